"""Components that fail in a run: who is blamed, what goes on, what stops before work is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_site import install

from softdiv.config.load import ExperimentConfig
from softdiv.errors import PluginError
from softdiv.pipeline import DivergencePipeline, PipelineResult

SMOKE = Path(__file__).parents[2] / "configs" / "smoke.toml"
pytestmark = pytest.mark.filterwarnings(
    # DeepSpeed's own modules; nothing we can change
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning:deepspeed.*",
)

SOURCE = """
import time
import attrs
from softdiv import HardPrompt, Section, Table, hookimpl

@attrs.frozen(kw_only=True)
class Raises:
    level = "token"
    def __call__(self, rows):
        raise ValueError("no such column")

@attrs.frozen(kw_only=True)
class WritesItsInput:
    level = "token"
    def __call__(self, rows):
        return rows.log_probs_1.zero_()[:, 0]

@attrs.frozen(kw_only=True)
class WrongType:
    level = "response"
    def __call__(self, pairs):
        return "many"

@attrs.frozen(kw_only=True)
class Exits:
    def __call__(self, findings):
        raise SystemExit(0)

@attrs.frozen(kw_only=True)
class NoSection:
    def __call__(self, findings):
        return {"title": "mine"}

@attrs.frozen(kw_only=True)
class BadTable:
    def __call__(self, findings):
        table = Table(columns=("a",), rows=self.rows())
        return Section(title="bad table", summary="", tables=(table,))

class Ragged(BadTable):
    def rows(self):
        return ((1, 2),)

class Objects(BadTable):
    def rows(self):
        return ((object(),),)

class Number(BadTable):
    def rows(self):
        return 3

@attrs.frozen(kw_only=True)
class Endless:
    role = "proposer"
    waits: bool = False
    def __call__(self, task, budget):
        number = 0
        while True:
            if number == 20 and self.waits:
                time.sleep(60)
            number += 1
            yield HardPrompt(text=f"Tell me {number}.", searcher="")

@attrs.frozen(kw_only=True)
class GivesUp:
    role = "proposer"
    def __call__(self, task, budget):
        yield HardPrompt(text="one idea", searcher="")
        raise RuntimeError("out of ideas")

@attrs.frozen(kw_only=True)
class BadLoss:
    answer: str = "raise"
    def __call__(self, rows):
        if self.answer == "raise":
            raise KeyError("gone")
        return 1.0

@attrs.frozen(kw_only=True)
class BadProcessor:
    answer: str = "raise"
    def __call__(self, examples):
        yield from examples
        if self.answer == "raise":
            raise OSError("disk gone")
        yield "a text"

@attrs.frozen(kw_only=True)
class BadLoader:
    answer: str = "raise"
    def load(self, device):
        if self.answer == "raise":
            raise AttributeError("no weights")
        return {"type": None.__class__, "none": None, "pair": (None, None)}[self.answer]

@attrs.frozen(kw_only=True)
class NoLevel:
    def __call__(self, rows):
        return rows.targets

@attrs.frozen(kw_only=True)
class CannotBeBuilt:
    level = "token"
    def __attrs_post_init__(self):
        raise LookupError("no licence")

@hookimpl
def softdiv_register_metrics(register):
    register("raises", Raises)
    register("writes_its_input", WritesItsInput)
    register("wrong_type", WrongType)
    register("no_level", NoLevel)
    register("cannot_be_built", CannotBeBuilt)

@hookimpl
def softdiv_register_analyzers(register):
    register("exits", Exits)
    register("no_section", NoSection)
    register("ragged", Ragged)
    register("objects", Objects)
    register("number", Number)

@hookimpl
def softdiv_register_searchers(register):
    register("gives_up", GivesUp)
    register("endless", Endless)

@hookimpl
def softdiv_register_losses(register):
    register("bad_loss", BadLoss)

@hookimpl
def softdiv_register_processors(register):
    register("bad_processor", BadProcessor)

@hookimpl
def softdiv_register_models(register):
    register("bad_loader", BadLoader)
"""
PLUGIN = "plugin 'bad' (softdiv-bad 1.2)"
SMALL = (
    'plugins=["bad"]',
    'evaluation.metrics=["jsd"]',
    'training.engine.name="torch"',
    "training.max_steps=2",
    "generation.budget_fte=2000",
    'generation.baselines=["empty"]',
)


def run(folder: Path, *overrides: str) -> PipelineResult:
    config = ExperimentConfig.from_file(SMOKE, [*SMALL, *overrides])
    return DivergencePipeline(config=config, run_dir=folder).run()


@pytest.fixture
def bad(site: Path) -> Path:
    install(site, "bad", SOURCE)
    return site


def test_the_report_says_what_is_not_available_in_its_place(bad: Path, tmp_path: Path) -> None:
    result = run(
        tmp_path / "run",
        "evaluation.metrics="
        '["jsd", "raises", "writes_its_input", "top1_disagreement", "wrong_type"]',
        'analysis.analyzers=["exits", "no_section", "divergence_by_position"]',
        'generation.searchers=["gives_up"]',
    )
    evaluation = result.report.evaluation
    metrics = evaluation.prompts[0].metrics
    raised = f"{PLUGIN} failed in metric 'raises': ValueError: no such column"
    assert metrics["raises"] == f"not available: {raised}"
    assert metrics["writes_its_input"] == (
        f"not available: {PLUGIN} failed in metric 'writes_its_input': "
        "ValueError: wrote to its input"
    )
    assert str(metrics["wrong_type"]).startswith(
        f"not available: {PLUGIN} failed in metric 'wrong_type': ValueError"
    )
    # what came after the metric that wrote to its input is computed on untouched rows
    assert metrics["jsd"] == pytest.approx(evaluation.prompts[0].divergence_bits.value, abs=1e-6)
    assert isinstance(metrics["top1_disagreement"], float)
    sections = {section.title: section.summary for section in result.report.sections}
    assert sections["exits"] == (
        f"not available: {PLUGIN} failed in analyzer 'exits': SystemExit: 0"
    )
    assert "returned dict, expected a Section" in sections["no_section"]
    assert len(sections) == 3
    gave_up = (
        f"searcher 'gives_up' not available: {PLUGIN} failed in searcher 'gives_up': "
        "RuntimeError: out of ideas"
    )
    assert gave_up in evaluation.failures and gave_up in result.report.warnings
    assert evaluation.prompts[0].text == "one idea"  # what it had proposed is kept
    page = (result.run_dir / "report.md").read_text()
    assert "not available" in page and "out of ideas" in page
    events = (result.run_dir / "events.jsonl").read_text()
    assert events.count("Traceback") >= 5 and "no such column" in events
    manifest = json.loads((result.run_dir / "manifest.json").read_text())
    (loaded,) = manifest["facts"]["plugins"]
    assert (loaded["name"], loaded["distribution"], loaded["version"]) == (
        "bad",
        "softdiv-bad",
        "1.2",
    )
    assert Path(loaded["path"]).parent == bad and len(loaded["sha256"]) == 64


def test_malformed_tables_and_endless_searchers_are_named(
    bad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softdiv.search.budget.MOST_PROMPTS", 40)
    monkeypatch.setenv("SOFTDIV_SEARCH_TIMEOUT", "0.5")
    result = run(
        tmp_path / "run",
        'analysis.analyzers=["ragged", "objects", "number", "divergence_by_position"]',
        'generation.searchers=["endless", { name = "endless", waits = true }]',
    )
    failed = [section.summary for section in result.report.sections][:3]
    for name, line in zip(("ragged", "objects", "number"), failed, strict=True):
        assert line.startswith(f"not available: {PLUGIN} failed in analyzer '{name}': "), line
    assert "row of another width" in failed[0] and "object cannot be written" in failed[1]
    first, second = result.report.evaluation.failures
    assert first.endswith(
        f"{PLUGIN} failed in searcher 'endless': RuntimeError: gave 40 prompts "
        "and had more: those after are left out"
    )
    assert f"{PLUGIN} failed in searcher 'endless-2': RuntimeError: neither gave a prompt" in second
    assert result.report.evaluation.prompts, "what they had proposed is kept"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('training.loss="bad_loss"', "failed in loss 'bad_loss': KeyError: 'gone'"),
        (
            'training.loss={ name = "bad_loss", answer = "number" }',
            "failed in loss 'bad_loss': returned float, expected one value per row",
        ),
        (
            'data.processors=["shipped", "bad_processor"]',
            "failed in processor 'bad_processor': OSError: disk gone",
        ),
        (
            'data.processors=["shipped", { name = "bad_processor", answer = "text" }]',
            "failed in processor 'bad_processor': yielded str, expected Example",
        ),
        (
            'pair={ model_1 = { loader = "bad_loader" }, model_2 = { loader = "tiny" } }',
            "failed in model loader 'bad_loader': model_1: AttributeError: no weights",
        ),
        (
            'pair={ model_1 = { loader = "tiny" }, '
            'model_2 = { loader = "bad_loader", answer = "type" } }',
            "failed in model loader 'bad_loader': model_2: TypeError: returned type",
        ),
        (
            'pair={ model_1 = { loader = "bad_loader", answer = "none" }, '
            'model_2 = { loader = "tiny" } }',
            "failed in model loader 'bad_loader': model_1: TypeError: returned NoneType, expected",
        ),
        (
            'pair={ model_1 = { loader = "tiny" }, '
            'model_2 = { loader = "bad_loader", answer = "pair" } }',
            "failed in model loader 'bad_loader': model_2: TypeError: returned (NoneType, NoneType",
        ),
    ],
)
def test_without_a_loss_a_model_or_texts_the_run_stops(
    bad: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        run(tmp_path / "run", override)
    assert f"{PLUGIN} {message}" in str(caught.value)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("no_level", f"{PLUGIN} breaks the contract: metric 'no_level' has level None"),
        ("cannot_be_built", f"{PLUGIN} failed to build metric 'cannot_be_built': LookupError"),
    ],
)
def test_a_metric_that_could_never_work_is_refused_before_any_work(
    bad: Path, tmp_path: Path, metric: str, message: str
) -> None:
    with pytest.raises(Exception, match="evaluation.metrics") as caught:
        run(tmp_path / "run", f'evaluation.metrics=["{metric}"]')
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_memory_is_not_the_losss_fault() -> None:
    import torch

    from softdiv.plugin.guarded import GuardedLoss

    def full(rows: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        GuardedLoss(full, "'p'", "l")(None)  # type: ignore[arg-type]
