"""The story of a run, top to bottom. Read this first."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch

from softdiv.analysis.analyzer import DivergenceAnalyzer
from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.component import ComponentConfig
from softdiv.config.load import ExperimentConfig
from softdiv.data.assemble import assemble_examples
from softdiv.data.split import Split, split_examples
from softdiv.errors import ConfigError, PluginError
from softdiv.evaluation.evaluate import evaluate
from softdiv.evaluation.metrics import DivergenceMetrics
from softdiv.evaluation.results import Evaluation
from softdiv.evaluation.scoring import Scorer
from softdiv.organism.recipe import load_detector
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.plugin.declared import changed_plugins, declared, file_identity
from softdiv.plugin.events import PromptsEvent, ReportEvent, RunEvent
from softdiv.plugin.failures import Failures
from softdiv.plugin.interfaces import Kind
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import HardPrompt
from softdiv.report.convergence import convergence_curve
from softdiv.report.model import Report
from softdiv.report.writer import write_report
from softdiv.search.generator import HardPromptGenerator, NamedSearcher, SearchResult
from softdiv.search.task import SearchTask
from softdiv.storage.atomic import read_json, read_json_lines
from softdiv.storage.run import RunFolder, open_run
from softdiv.training.trainer import DivergenceTrainer, TrainingResult


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
    """Exactly this folder; otherwise a new one (or the unfinished one) under ``output_dir``."""
    plugin_files: Sequence[Path] = ()
    """Local plugin files, loaded after ``config.plugins``; a config can never name one."""
    observers: Sequence[tuple[object, str]] = ()
    """(observer, label) of observers beside the config's, e.g. a progress display."""
    trainer: DivergenceTrainer | None = attrs.field(init=False, default=None)
    _seconds: dict[str, float] = attrs.field(init=False, factory=dict)
    _notes: list[str] = attrs.field(init=False, factory=list)
    """What was left out or failed, one line each, for the report."""

    def run(self) -> PipelineResult:
        """Every stage in order; a stage that a killed run finished is read back, not repeated.

        Raises:
            SoftdivError: whatever a user can mend, before any work is lost.
        """
        if self.config.num_threads is not None:
            torch.set_num_threads(self.config.num_threads)
        catalogue = ModelRegistry.load()
        plugins = PluginManager.load(
            self.config.plugins,
            files=self.plugin_files,
            hints=catalogue.hints(),
            packages=catalogue.packages(),
        )
        self.config = attrs.evolve(
            self.config,
            plugins=declared(self.config.plugins),
            pair=resolve_pair(self.config.pair, catalogue),
        )
        parts = Components.build(self.config, plugins)
        with self._open(plugins) as run:
            self._notes += changed_plugins(run.manifest["facts"].get("plugins"), plugins.records)
            run.note(plugins=[attrs.asdict(record) for record in plugins.records])
            failures = Failures(
                plugins.registry,
                lambda line, trace: run.event("plugin failure", line=line, traceback=trace),
            )
            observers = Observers.of([*parts.observers, *self.observers], attribution=failures)
            event = RunEvent(run_dir=run.path, config=self.config)
            observers.tell("run_start", event)
            try:
                result = self._stages(run, plugins, parts, observers)
            except BaseException as error:
                event.error = error
                raise
            finally:
                observers.tell("run_end", event)
        return result

    def _stages(
        self, run: RunFolder, plugins: PluginManager, parts: Components, observers: Observers
    ) -> PipelineResult:
        config, notes = self.config, self._notes
        with self._timed("load"):
            examples = assemble_examples(parts.processors, config.data, notes.append)
            split = split_examples(
                examples,
                val_fraction=config.data.val_fraction,
                test_fraction=config.data.test_fraction,
            )
            pair = ModelPairManager(config.pair, plugins.registry, config.device).load()
        run.note(threads=torch.get_num_threads(), device=str(pair.model_1.device))
        layout = Layout(pair.tokenizer, config.training.placement)
        with self._timed("train"):
            trained = self._train(pair, split, parts.loss, run, observers)
        with self._timed("search"):
            found = self._search(pair, layout, split, trained, parts, run, observers)
        observers.tell(
            "prompts_found", PromptsEvent(prompts=found.prompts, baselines=found.baselines)
        )
        with self._timed("evaluate"):
            evaluation = self._evaluate(
                pair, layout, split, trained, found, parts, observers.attribution
            )
        run.complete("evaluate", run.write_json_lines("generations.jsonl", _answers(evaluation)))
        with self._timed("analyze"), pair.ledger.phase("analysis"):
            sections = DivergenceAnalyzer(
                analyzers=parts.analyzers, failures=observers.attribution
            ).analyze(evaluation.findings, pair, layout)
        notes += observers.failures
        report = Report(
            pair=_described(pair, config),
            evaluation=evaluation,
            training={
                "steps": trained.steps,
                "best_bits": trained.best_bits,
                "stop_reason": trained.stop_reason,
                "engine": trained.engine,
            },
            training_curve=convergence_curve(read_json_lines(run.path / "metrics.jsonl")),
            sections=sections,
            ledger={**pair.ledger.by_phase, "total": pair.ledger.total},
            seconds={name: round(value, 2) for name, value in self._seconds.items()},
            config=config.to_dict(),
            machine=run.manifest["facts"],
            reproduce=f"softdiv run {run.path / 'config.toml'} --output-dir NEW_DIR"
            + "".join(f" --plugin-file {shlex.quote(str(path))}" for path in self.plugin_files),
            warnings=(*pair.report.notes, *notes),
        )
        files = write_report(report, run)
        run.complete("report", files)
        observers.tell(
            "report_ready", ReportEvent(report=report, files=[run.path / n for n in files])
        )
        return PipelineResult(report, run.path)

    def _open(self, plugins: PluginManager) -> RunFolder:
        run = open_run(
            {**self.config.to_dict(), **file_identity(plugins.records)},
            name=self.config.pair.name or "pair",
            parent=Path(self.config.output_dir),
            folder=self.run_dir,
        )
        run.write_text("config.toml", self.config.to_toml())
        return run

    def _train(
        self, pair: ModelPair, split: Split, loss: Any, run: RunFolder, observers: Observers
    ) -> TrainingResult:
        self.trainer = DivergenceTrainer(
            pair=pair, config=self.config, loss=loss, split=split, run=run, observers=observers
        )
        return self.trainer.train()

    def _search(
        self,
        pair: ModelPair,
        layout: Layout,
        split: Split,
        trained: TrainingResult,
        parts: Components,
        run: RunFolder,
        observers: Observers,
    ) -> SearchResult:
        """Run the searchers, or read what an earlier run of this folder found."""
        if run.done("search"):
            return _read_prompts(run, pair)

        task = SearchTask(
            pair=pair,
            layout=layout,
            train=split.train,
            config=self.config.generation,
            soft_prompt=trained.prompt if trained.steps else None,
            seed=self.config.seed,
        )
        generator = HardPromptGenerator(
            task=task,
            val=split.val,
            failures=observers.attribution,
            on_stage=lambda event: observers.tell("search_step", event),
        )
        found = generator.search(parts.searchers, parts.baselines, spent_before=pair.ledger.total)
        self._notes += generator.unavailable
        records = [
            {"baseline": baseline, **attrs.asdict(prompt)}
            for baseline, group in ((False, found.prompts), (True, found.baselines))
            for prompt in group
        ]
        files = run.write_json_lines("hard_prompts.jsonl", records)
        files |= run.write_json("ledger.json", pair.ledger.by_phase)
        run.complete("search", files)
        return found

    def _evaluate(
        self,
        pair: ModelPair,
        layout: Layout,
        split: Split,
        trained: TrainingResult,
        found: SearchResult,
        parts: Components,
        failures: Failures,
    ) -> Evaluation:
        organism = self.config.pair.organism
        scorer = Scorer(
            pair=pair,
            layout=layout,
            examples=split.test[: self.config.evaluation.test_texts],
            generation=self.config.generation,
            evaluation=self.config.evaluation,
            metrics=DivergenceMetrics(parts.metrics, failures),
            seed=self.config.seed,
        )
        with pair.ledger.phase("evaluation"):
            return evaluate(
                scorer,
                found.prompts,
                found.baselines,
                soft=trained.prompt if trained.steps else None,
                detector=re.compile(load_detector(Path(organism))) if organism else None,
                search_failures=tuple(self._notes),
            )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[stage] = time.perf_counter() - start


@attrs.frozen(kw_only=True)
class Components:
    """Every component the config names, built before any model is loaded."""

    processors: tuple[Any, ...]
    loss: Any
    searchers: tuple[NamedSearcher, ...]
    baselines: tuple[NamedSearcher, ...]
    metrics: dict[str, Any]
    analyzers: dict[str, Any]
    observers: tuple[tuple[object, str], ...]

    @classmethod
    def build(cls, config: ExperimentConfig, plugins: PluginManager) -> Components:
        """Raises ConfigError with the problems of all components at once."""
        problems: list[str] = []

        def built(kind: Kind, where: str, wanted: Sequence[ComponentConfig]) -> list[Any]:
            found = []
            for index, component in enumerate(wanted):
                try:
                    found.append(
                        plugins.registry.build_guarded(kind, component.name, component.options)
                    )
                except ConfigError as error:
                    problems.extend(f"{where}[{index}]: {line}" for line in error.problems)
                except PluginError as error:
                    problems.append(f"{where}[{index}]: {error}")
            return found

        def named(kind: Kind, where: str, wanted: Sequence[ComponentConfig]) -> dict[str, Any]:
            return dict(zip(unique_names(wanted), built(kind, where, wanted), strict=False))

        generation = config.generation
        searchers = named("searchers", "generation.searchers", generation.searchers)
        baselines = named("searchers", "generation.baselines", generation.baselines)
        watching = named("observers", "observers", config.observers)
        made = cls(
            processors=tuple(built("processors", "data.processors", config.data.processors)),
            loss=next(iter(built("losses", "training.loss", [config.training.loss])), None),
            searchers=tuple(NamedSearcher(n, s) for n, s in searchers.items()),
            baselines=tuple(NamedSearcher(n, s) for n, s in baselines.items()),
            metrics=named("metrics", "evaluation.metrics", config.evaluation.metrics),
            analyzers=named("analyzers", "analysis.analyzers", config.analysis.analyzers),
            observers=tuple((observer, f"'{name}'") for name, observer in watching.items()),
        )
        if problems:
            raise ConfigError(problems)
        return made


def unique_names(components: Sequence[ComponentConfig]) -> list[str]:
    """Names for the report; a component used twice gets ``name``, ``name-2``, ..."""
    counts: dict[str, int] = {}
    names = []
    for component in components:
        counts[component.name] = number = counts.get(component.name, 0) + 1
        names.append(component.name if number == 1 else f"{component.name}-{number}")
    return names


def _read_prompts(run: RunFolder, pair: ModelPair) -> SearchResult:
    groups: dict[bool, list[HardPrompt]] = {True: [], False: []}
    for record in read_json_lines(run.path / "hard_prompts.jsonl"):
        groups[record.pop("baseline")].append(HardPrompt(**record))
    pair.ledger.by_phase = read_json(run.path / "ledger.json")
    return SearchResult(tuple(groups[False]), tuple(groups[True]))


def _answers(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One record per prompt and held-out text: both fresh answers."""
    return [
        {
            "prompt": result.text,
            "searcher": result.searcher,
            "user_text": finding.example.text,
            "model_1": finding.response_1,
            "model_2": finding.response_2,
            "divergence_bits": finding.divergence_bits,
            "log_likelihood_ratio": finding.log_likelihood_ratio,
        }
        for result in (*evaluation.prompts, *evaluation.baselines)
        for finding in result.findings
    ]


def _described(pair: ModelPair, config: ExperimentConfig) -> dict[str, Any]:
    return {
        "name": pair.name,
        "model_1": config.pair.model_1.to_dict() if config.pair.model_1 else None,
        "model_2": config.pair.model_2.to_dict() if config.pair.model_2 else None,
        "organism": config.pair.organism,
        "notes": list(pair.report.notes),
        "identical": pair.report.identical,
    }
