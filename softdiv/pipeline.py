"""The story of a run, top to bottom. Read this first."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch

from softdiv import stored
from softdiv.components import Components, Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.of_run import config_of_run
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.errors import ConfigError, Interrupted, RunError, did_you_mean
from softdiv.pair.manager import pick_device
from softdiv.pair.template import template_file
from softdiv.plugin.declared import changed_plugins, file_identity, refuse_missing_files
from softdiv.plugin.events import RunEvent
from softdiv.plugin.failures import Failures
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.interfaces import Processor
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import Finding
from softdiv.ranks.group import join
from softdiv.ranks.launch import launched_as, world_size
from softdiv.report.model import Report
from softdiv.report.notebook import frame
from softdiv.search.generator import SearchResult
from softdiv.stages.analyze import analyze
from softdiv.stages.evaluate import evaluate
from softdiv.stages.follow import dismiss, follow, lead
from softdiv.stages.generate import generate, give_prompts
from softdiv.stages.load import fitting, load_pair, load_texts
from softdiv.stages.report import build_report, report
from softdiv.stages.revision import Base
from softdiv.stages.train import train
from softdiv.stages.work import Work
from softdiv.storage.atomic import sha256_file
from softdiv.storage.names import CONFIG
from softdiv.storage.run import RunFolder, open_existing, open_run
from softdiv.training.trainer import DivergenceTrainer

STORY: Mapping[str, Callable[[Work], None]] = {
    "train": train,  # a soft prompt that pushes the two models apart
    "generate": generate,  # text prompts from it, and baselines at equal cost
    "evaluate": evaluate,  # both on held-out texts, and the verdict
    "analyze": analyze,  # where, how and on what the models differ
    "report": report,  # for a reader
}
"""Each stage reads the files of the stages before it, and does nothing if it has finished."""


@attrs.frozen
class PipelineResult:
    """What :meth:`DivergencePipeline.run` returns; ``result["dataset"]`` is ``result.dataset``."""

    report: Report
    run_dir: Path

    @property
    def dataset(self) -> tuple[Finding, ...]:
        """Every held-out user text under every prompt and baseline, the best prompt's first."""
        return self.report.evaluation.findings

    def to_pandas(self) -> Any:
        """The ``pandas.DataFrame`` of :func:`softdiv.report.notebook.frame`; so its errors."""
        return frame("pandas", self.report.evaluation)

    def to_polars(self) -> Any:
        """The same as a ``polars.DataFrame``."""
        return frame("polars", self.report.evaluation)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def __getitem__(self, key: str) -> Any:
        known = ("dataset", "report", "run_dir")
        if key not in known:
            raise KeyError(f"{key!r}: {did_you_mean(key, known)}")
        return getattr(self, key)


@attrs.define(eq=False, kw_only=True)
class DivergencePipeline:
    """``DivergencePipeline(config=config).run()``: models in, text prompts and evidence out."""

    config: ExperimentConfig
    run_dir: Path | None = None
    """Exactly this folder; otherwise the run of this config under ``output_dir``, or a new one."""
    plugin_files: Sequence[Path] = ()
    """Local plugin files, loaded after ``config.plugins``; a config can never name one."""
    observers: Sequence[tuple[object, str]] = ()
    """(observer, label) of observers beside the config's, e.g. a progress display."""
    metrics: DivergenceMetrics | None = None
    """A subclass's ``compute_*`` methods, reported beside the config's metrics."""
    processors: Sequence[Processor] = ()
    """Sources and filters in place of the config's, e.g. ``[MyProcessor(data_path="texts.txt")]``.
    """
    prompts: SearchResult | None = None
    """Known prompts in place of training and search, e.g. ``read_suite(path)``."""
    force: bool = False
    """Repeat what has finished: :meth:`run` starts anew, :meth:`run_stage` repeats the stage."""
    base: Base | None = None
    """A run that is added to: the stages it keeps are copied into a revision with this config."""
    nothing_to_do: bool = attrs.field(init=False, default=False)
    """Whether the last call found all it was asked for finished."""
    _existing: bool = attrs.field(init=False, default=False)
    _work: Work | None = attrs.field(init=False, default=None)

    @classmethod
    def of_run(
        cls,
        run_dir: Path,
        *,
        plugins: Sequence[str] = (),
        plugin_files: Sequence[Path] = (),
        observers: Sequence[tuple[object, str]] = (),
        force: bool = False,
    ) -> DivergencePipeline:
        """The pipeline of an existing run folder, with the configuration stored in it.

        Args:
            plugins: what a folder that was not made by this user may import.

        Raises:
            RunError: it is no run folder.
            PluginError: it was made elsewhere and names another plugin.
        """
        pipeline = cls(
            config=config_of_run(run_dir, plugins),
            run_dir=run_dir,
            plugin_files=plugin_files,
            observers=observers,
            force=force,
        )
        pipeline._existing = True
        return pipeline

    def run(self) -> PipelineResult:
        """Every stage in order; a stage that has finished is read back, not repeated.

        Under a launcher every rank trains, and shares what rank 0 searches and evaluates; rank 0
        alone returns.

        Raises:
            SoftdivError: whatever a user can mend, before any work is lost.
            Interrupted: a signal came; the message is the command that continues the run.
            SystemExit: 0 on every rank but 0, when rank 0 runs the models no more.
        """
        with self._opened("train", until="report") as work:
            for name, stage in STORY.items():
                if name == "generate" and self.prompts is not None:
                    give_prompts(work, self.prompts)
                else:
                    stage(work)
            return PipelineResult(build_report(work), work.run.path)

    def run_stage(self, name: str) -> Path:
        """One stage alone, on the files of the stages before it; returns the run folder.

        Raises:
            RunError: a stage before it has not finished, or no stage has this name.
        """
        if name not in STORY:
            raise RunError(f"no stage '{name}'", fix=did_you_mean(name, STORY))
        with self._opened(name, until=name) as work:
            STORY[name](work)
            return work.run.path

    @property
    def spent(self) -> Mapping[str, int]:
        """FTE by phase so far; empty before the models are loaded."""
        loaded = self._work.loaded if self._work else None
        return dict(loaded.pair.ledger.by_phase) if loaded else {}

    @property
    def trainer(self) -> DivergenceTrainer:
        """The trainer. Where training was read back from the folder it is made anew, with the best
        prompt in place: that loads the models.

        Raises:
            RunError: nothing was trained yet.
        """
        work = self._work
        if work is None:
            raise RunError("this pipeline has no trainer yet", fix="call run() first")
        if self.config.pair.by == "text":
            raise RunError("no soft prompt was trained", why="the pair is compared by text")
        if work.trainer is None:
            trained = stored.training(work.run)
            texts = load_texts(work.parts, work.config.data, lambda note: None)
            pair = load_pair(work.config, work.registry)
            split = fitting(texts, pair, work.config, work.parts, lambda note: None).split
            work.trainer = DivergenceTrainer(
                pair, work.config, work.parts.loss, split, metrics=work.parts.metrics.beside({})
            )
            work.trainer.engine.assign(trained.prompt.to(pair.model_1.device))
        return work.trainer

    @contextmanager
    def _opened(self, first: str, until: str) -> Iterator[Work]:
        """The run folder with everything built that can fail before models are loaded.

        Observers are told of nothing where nothing is left to do.
        """
        if self.prompts is not None:
            self.config = self.config.with_overrides("training.max_steps=0")
        if self.config.num_threads is not None:
            torch.set_num_threads(self.config.num_threads)
        prepared = Prepared.of(self.config, self.plugin_files)
        self.config, parts = prepared.config, self._with_own(prepared.parts)
        if self.config.pair.by == "text" and world_size() > 1:
            raise ConfigError('pair.by = "text" runs in one process', fix="start without torchrun")
        ranks = join(torch.device(pick_device(self.config.device)).type)
        if not ranks.first:
            follow(ranks, attrs.evolve(prepared, parts=parts), self.observers)
        with self._open(prepared) as run:
            if self.base is not None:
                self.base.put_into(run)
            if given := self._given_in_python():
                run.note(given_in_python=given)
            failures = Failures(
                prepared.registry,
                lambda line, trace: run.event("plugin failure", line=line, traceback=trace),
            )
            observers = Observers.of([*parts.observers, *self.observers], attribution=failures)
            work = self._work = Work(
                run=run,
                config=self.config,
                parts=parts,
                registry=prepared.registry,
                observers=observers,
                plugin_files=self.plugin_files,
            )
            if self.force:
                work.forget(first)
            self.nothing_to_do = run.done(until)
            lead(
                ranks,
                work,
                trains=first == "train" and not run.done("train"),
                serves=until != "train"
                and not self.nothing_to_do
                and (self.config.training.engine.shard_models or not run.done("evaluate")),
            )
            if self.nothing_to_do:
                yield work
                return
            known, now = run.manifest["facts"].get("plugins"), prepared.plugins.records
            work.changed = tuple(changed_plugins(known, now))
            run.note(plugins=[attrs.asdict(record) for record in now])
            event = RunEvent(run_dir=run.path, config=self.config)
            observers.tell(Hooks.softdiv_run_start, event)
            try:
                yield work
            except KeyboardInterrupt as error:
                event.error = error
                folder = shlex.quote(str(run.path))
                again = f"{launched_as()} run {folder}/{CONFIG} --output-dir {folder}"
                raise Interrupted(f"{str(error) or 'interrupted'}; to continue: {again}") from error
            except BaseException as error:
                event.error = error
                raise
            finally:
                dismiss(work)
                observers.tell(Hooks.softdiv_run_end, event)

    def _with_own(self, parts: Components) -> Components:
        """The config's components, with those given in Python."""
        if self.metrics is not None:
            parts = attrs.evolve(parts, metrics=self.metrics.beside(parts.metrics.metrics))
        if self.processors:
            parts = attrs.evolve(parts, processors=tuple(self.processors))
        return parts

    def _given_in_python(self) -> list[str]:
        """Class names of what config.toml cannot name: another run than without them."""
        given = [*([] if self.metrics is None else [self.metrics]), *self.processors]
        return [type(component).__name__ for component in given]

    def _open(self, prepared: Prepared) -> RunFolder:
        if self._existing and self.run_dir is not None:
            run = open_existing(self.run_dir)
            refuse_missing_files(run.manifest["facts"].get("plugins"), prepared.plugins.records)
            return run
        template_file(self.config.pair)
        given: dict[str, Any] = {
            "given_in_python": self._given_in_python(),
            "given_prompts": [p.text for p in self.prompts.prompts] if self.prompts else [],
            "deepspeed_config": _content(self.config.training.engine.deepspeed_config),
            "chat_template": _content(self.config.pair.chat_template),
        }
        resolved = {
            **self.config.to_dict(),
            **file_identity(prepared.plugins.records),
            **{key: value for key, value in given.items() if value},
        }
        return open_run(
            resolved,
            self.config.to_toml(),
            name=self.config.pair.name or "pair",
            parent=Path(self.config.output_dir),
            folder=self.base.folder(resolved) if self.base else self.run_dir,
            fresh=self.force,
        )


def _content(path: str | None) -> str | None:
    """A file's content is part of what a run is, not its name alone."""
    return sha256_file(Path(path)) if path is not None else None
