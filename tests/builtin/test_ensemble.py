"""The default searcher: who is asked, with how much, and who is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import pytest

from softdiv.builtin.ensemble import Ensemble
from softdiv.plugin.records import HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.task import SearchTask
from softdiv.testing.search_task import make_task


@attrs.frozen(eq=False)
class Arm:
    """Proposes one text, spends what it is told to, and remembers what it was given."""

    text: str
    spends: int
    given: list[int] = attrs.field(factory=list)
    role: ClassVar[str] = "proposer"

    def __call__(self, task: SearchTask, budget: Any) -> Iterator[HardPrompt]:
        self.given.append(budget.remaining)
        task.pair.ledger.charge(self.spends, with_backward=False)
        if self.text:
            yield HardPrompt(text=f"{self.text} {len(self.given)}", searcher="")


def searched(limit: int, **arms: Arm) -> tuple[list[HardPrompt], int]:
    task = make_task()
    # stand-ins are no built-in searchers, and their names are known only when the test runs
    ensemble = attrs.evolve(Ensemble(arms=tuple(arms)), **arms)  # type: ignore[arg-type]
    budget = FteBudget(task.pair.ledger, limit)
    return list(ensemble(task, budget)), budget.spent


def test_searchers_that_draw_answers_have_a_tenth_at_first_and_the_lens_the_rest() -> None:
    amplified, gap, lens = Arm("loud", 900), Arm("gap", 1000), Arm("jun", 60_000)
    found, _ = searched(100_000, amplified=amplified, ppl_gap=gap, weight_lens=lens)
    assert (amplified.given[0], gap.given[0]) == (10_000, 10_000)
    assert 80_000 < lens.given[0] < 98_100
    assert {p.searcher for p in found} >= {"amplified", "ppl_gap", "weight_lens"}
    assert all(p.note.startswith(f"{p.searcher}: ") for p in found)


@pytest.mark.parametrize(("spends", "asked"), [(30_000, 0), (100, 1)])
def test_the_second_lens_looks_where_the_first_could_not(spends: int, asked: int) -> None:
    second = Arm("state", 30_000)
    searched(100_000, weight_lens=Arm("", spends), cache_lens=second)
    assert len(second.given) == asked


def test_what_is_left_goes_by_halving_to_those_that_found_something() -> None:
    silent, told, gap = Arm("", 500), Arm("boats", 500), Arm("gap", 500)
    found, spent = searched(60_000, amplified=silent, soft_answers=told, ppl_gap=gap)
    assert len(silent.given) == 1
    assert len(told.given) > 1 and told.given[1] > told.given[0]
    assert spent <= 60_000
    assert [p.score_bits for p in found] == sorted((p.score_bits or 0 for p in found), reverse=True)


def test_swaps_start_from_the_best() -> None:
    seen: list[str] = []

    class Swaps(Arm):
        def __call__(self, task: SearchTask, budget: Any) -> Iterator[HardPrompt]:
            seen.extend(p.text for p in task.best)
            yield from super().__call__(task, budget)

    found, _ = searched(60_000, amplified=Arm("loud", 100), gradient_swaps=Swaps("swap", 100))
    assert seen[0] == "loud 1"
    assert "swap 1" in {p.text for p in found}


def test_nothing_is_spent_beyond_a_small_budget() -> None:
    amplified, lens = Arm("loud", 300), Arm("jun", 300)
    found, spent = searched(3_000, amplified=amplified, weight_lens=lens)
    assert spent <= 3_000 and found
