"""Checks of searchers and baselines, on a tiny random pair."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from softdiv.plugin.records import HardPrompt
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, Subject, checks_in, require
from softdiv.testing.search_task import (
    ORDINARY_LIMIT,
    PassCounter,
    WatchedBudget,
    make_task,
    watch_calls,
    watched,
)

if TYPE_CHECKING:
    from softdiv.search.task import SearchTask

ROLES = ("proposer", "refiner", "baseline")
LOOKED_AT = 60
"""Prompts most checks look at; a searcher that never ends is check_stops' to find."""
MOST_PROMPTS = 2000


def prompts_of(component: Any, task: SearchTask) -> list[HardPrompt]:
    """The first prompts of a search with an ordinary budget."""
    budget = WatchedBudget(task.pair.ledger, ORDINARY_LIMIT)
    return list(islice(component(task, budget), LOOKED_AT))


def check_role(subject: Subject) -> None:
    """``role`` is one of three: a searcher without one is never run."""
    role = getattr(subject.make(), "role", None)
    require(role in ROLES, f"role is {role!r}: set role: ClassVar to one of {', '.join(ROLES)}")


def check_prompts_are_usable_texts(subject: Subject) -> None:
    """Each prompt is text the task can use, and survives being tokenised and decoded."""
    task = make_task()
    for prompt in prompts_of(subject.make(), task):
        require(
            isinstance(prompt, HardPrompt), f"it yields {type(prompt).__name__}, not HardPrompt"
        )
        text = prompt.text
        require(isinstance(text, str), f"a prompt's text is {type(text).__name__}")
        require(
            text == "" or task.usable(text),
            f"task.usable refuses {text[:60]!r}, so it would be dropped: ask before yielding",
        )
        ids = task.layout.encode(text)
        require(task.layout.prompt_of(ids) == text, f"{text[:60]!r} does not survive tokenisation")


def check_stops(subject: Subject) -> None:
    """With an ordinary budget it comes to an end."""
    task = make_task()
    budget = WatchedBudget(task.pair.ledger, ORDINARY_LIMIT)
    search = subject.make()(watch_calls(task, budget), budget)
    count = sum(1 for _ in islice(search, MOST_PROMPTS + 1))
    require(count <= MOST_PROMPTS, f"it has yielded {MOST_PROMPTS} prompts and goes on")


def check_budget(subject: Subject) -> None:
    """Once the budget is spent the models are not called again: at most one call too much."""
    task = make_task()
    budget = WatchedBudget(task.pair.ledger, 1)
    for _ in islice(subject.make()(watch_calls(task, budget), budget), LOOKED_AT):
        budget.look()
    budget.look()
    require(
        budget.overrun == 0,
        f"it spends {budget.overrun} FTE after its budget has run out: "
        "ask budget.remaining before each call",
    )


def check_every_pass_is_charged(subject: Subject) -> None:
    """Nothing goes through the models that the ledger does not see."""
    task = make_task()
    before = task.pair.ledger.total
    with PassCounter(task) as counter:
        prompts_of(subject.make(), task)
    paid = task.pair.ledger.total - before
    require(
        counter.positions <= paid,
        f"{counter.positions} positions went through the models, {paid} were paid for: "
        "score through the task, or through the pair's wrappers",
    )


def check_without_soft_prompt(subject: Subject) -> None:
    """Training may be skipped: then ``task.soft_prompt`` is None."""
    prompts_of(subject.make(), make_task(trained=False))


def check_without_candidates(subject: Subject) -> None:
    """Proposers may find nothing: then ``task.best`` is empty."""
    prompts_of(subject.make(), make_task(candidates=False))


KIT = Kit(
    kind="searchers",
    inputs=make_task,
    call=prompts_of,
    watched=watched,
    checks=(*EVERY_KIND, *checks_in(globals())),
)
