"""The story of a run, top to bottom. Read this first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import torch

from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.errors import RunError, did_you_mean
from softdiv.plugin.declared import changed_plugins, file_identity, refuse_missing_files
from softdiv.plugin.events import RunEvent
from softdiv.plugin.failures import Failures
from softdiv.plugin.observers import Observers
from softdiv.report.model import Report
from softdiv.stages.analyze import analyze
from softdiv.stages.evaluate import evaluate
from softdiv.stages.generate import generate
from softdiv.stages.report import build_report, report
from softdiv.stages.train import train
from softdiv.stages.work import Work
from softdiv.storage.run import CONFIG, RunFolder, open_existing, open_run
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
    """What :meth:`DivergencePipeline.run` returns."""

    report: Report
    run_dir: Path


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
    force: bool = False
    """Repeat what has finished: :meth:`run` starts anew, :meth:`run_stage` repeats the stage."""
    nothing_to_do: bool = attrs.field(init=False, default=False)
    """Whether the last call found all it was asked for finished."""
    _existing: bool = attrs.field(init=False, default=False)
    _work: Work | None = attrs.field(init=False, default=None)

    @classmethod
    def of_run(
        cls,
        run_dir: Path,
        *,
        plugin_files: Sequence[Path] = (),
        observers: Sequence[tuple[object, str]] = (),
        force: bool = False,
    ) -> DivergencePipeline:
        """The pipeline of an existing run folder, with the configuration stored in it.

        Raises:
            RunError: it is no run folder.
        """
        if not (run_dir / CONFIG).is_file():
            raise RunError(f"{run_dir} is not a softdiv run", why=f"it has no {CONFIG}")
        config = ExperimentConfig.from_file(run_dir / CONFIG)
        pipeline = cls(
            config=config,
            run_dir=run_dir,
            plugin_files=plugin_files,
            observers=observers,
            force=force,
        )
        pipeline._existing = True
        return pipeline

    def run(self) -> PipelineResult:
        """Every stage in order; a stage that has finished is read back, not repeated.

        Raises:
            SoftdivError: whatever a user can mend, before any work is lost.
        """
        with self._opened("train", until="report") as work:
            for stage in STORY.values():
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
    def trainer(self) -> DivergenceTrainer | None:
        """The trainer, once training has begun in this process (None if it was read back)."""
        return self._work.trainer if self._work else None

    @contextmanager
    def _opened(self, first: str, until: str) -> Iterator[Work]:
        """The run folder with everything built that can fail before models are loaded.

        Observers are told of nothing where nothing is left to do.
        """
        if self.config.num_threads is not None:
            torch.set_num_threads(self.config.num_threads)
        prepared = Prepared.of(self.config, self.plugin_files)
        self.config, parts = prepared.config, prepared.parts
        with self._open(prepared) as run:
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
            if self.nothing_to_do:
                yield work
                return
            known, now = run.manifest["facts"].get("plugins"), prepared.plugins.records
            work.changed = tuple(changed_plugins(known, now))
            run.note(plugins=[attrs.asdict(record) for record in now])
            event = RunEvent(run_dir=run.path, config=self.config)
            observers.tell("run_start", event)
            try:
                yield work
            except BaseException as error:
                event.error = error
                raise
            finally:
                observers.tell("run_end", event)

    def _open(self, prepared: Prepared) -> RunFolder:
        if self._existing and self.run_dir is not None:
            run = open_existing(self.run_dir)
            refuse_missing_files(run.manifest["facts"].get("plugins"), prepared.plugins.records)
            return run
        return open_run(
            {**self.config.to_dict(), **file_identity(prepared.plugins.records)},
            self.config.to_toml(),
            name=self.config.pair.name or "pair",
            parent=Path(self.config.output_dir),
            folder=self.run_dir,
            fresh=self.force,
        )
