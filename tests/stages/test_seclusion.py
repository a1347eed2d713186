"""What a search may know: no validation text, no test text, and nothing of what was planted."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.pipeline import DivergencePipeline
from softdiv.plugin.records import HardPrompt
from softdiv.search.generator import NamedSearcher
from softdiv.search.task import SearchTask
from softdiv.stages.load import load_texts

SETTINGS = (
    "plugins=[]",
    "training.max_steps=1",
    'generation.baselines=["empty"]',
    'evaluation.metrics=["jsd"]',
    "analysis.analyzers=[]",
)


def config(*overrides: str) -> ExperimentConfig:
    return ExperimentConfig.from_file(config_path("smoke"), [*SETTINGS, *overrides])


@attrs.define(eq=False)
class Spy:
    """Reads every text that can be reached from what it is given."""

    role: ClassVar[str] = "proposer"
    seen: set[str] = attrs.field(factory=set)

    def __call__(self, task: SearchTask, budget: Any) -> Iterator[HardPrompt]:
        known, queue = set[int](), [task, budget]
        while queue:
            thing = queue.pop()
            if id(thing) in known or isinstance(thing, type) or type(thing).__name__ == "module":
                continue
            known.add(id(thing))
            if isinstance(thing, str):
                self.seen.add(thing)
            queue += [one for one in gc.get_referents(thing) if not callable(one)]
            if hasattr(type(thing), "__attrs_attrs__"):  # slots are not among the referents of all
                queue += [getattr(thing, a.name) for a in attrs.fields(type(thing))]
        yield HardPrompt(text="Hello", searcher="")


def test_no_validation_or_test_text_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, build = Spy(), Prepared.of

    def with_spy(*args: Any, **kwargs: Any) -> Prepared:
        made = build(*args, **kwargs)
        return attrs.evolve(
            made, parts=attrs.evolve(made.parts, searchers=(NamedSearcher("spy", spy),))
        )

    monkeypatch.setattr(Prepared, "of", with_spy)
    pipeline = DivergencePipeline(config=config(), run_dir=tmp_path / "run")
    pipeline.run()
    split = load_texts(build(config()).parts, config().data, lambda note: None)
    assert {e.text for e in split.train} <= spy.seen  # it can see
    hidden = {e.text for e in (*split.val, *split.test)} - {e.text for e in split.train}
    assert hidden and not hidden & spy.seen


def test_a_detector_changes_nothing_that_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "organism"
    folder.mkdir()
    (folder / "recipe.toml").write_text("[planted]\ndetector = '.'\n")
    found = []
    for name, more in (("with", [f"pair.organism={folder}"]), ("without", [])):
        run_dir = tmp_path / name
        report = DivergencePipeline(config=config(*more), run_dir=run_dir).run().report
        rates = [p.detector_rate_2 for p in report.evaluation.prompts]
        assert rates == ([1.0] * len(rates) if more else [None] * len(rates))
        found.append((run_dir / "hard_prompts.jsonl").read_text())
    assert found[0] == found[1]
