"""A search task on a tiny random pair, watched: what is spent, when, and by whom."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from softdiv.config.schema import GenerationConfig
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.testing.kit import require

if TYPE_CHECKING:
    from softdiv.search.task import SearchTask

ORDINARY_LIMIT = 20_000
"""FTE; enough for a few rounds of the built-in searchers on the tiny pair."""
MOST_CALLS = 500
"""Calls of the task's methods after which a searcher is called a runaway."""


@functools.cache
def _models() -> tuple[Any, Any, Any]:
    from softdiv.plugin.manager import PluginManager

    registry = PluginManager.load().registry
    model_1, tokenizer = registry.build("models", "tiny", {}).load("cpu")
    model_2, _ = registry.build("models", "tiny", {"noise": 0.05}).load("cpu")
    return model_1, model_2, tokenizer


def texts() -> list[Example]:
    """Training texts of the task."""
    subjects = ("boats", "bread", "the moon", "old maps", "a garden", "trains", "tea", "snow")
    return [Example(id=f"t{i}", text=f"Tell me about {s}.") for i, s in enumerate(subjects)]


def make_task(*, trained: bool = True, candidates: bool = True) -> SearchTask:
    """A fresh task, on a ledger of its own.

    Args:
        trained: with a soft prompt, as after training.
        candidates: with prompts in ``best``, as refiners find it.
    """
    import torch

    from softdiv.pair.layout import Layout
    from softdiv.pair.manager import ModelPair
    from softdiv.search.task import SearchTask

    model_1, model_2, tokenizer = _models()
    soft = torch.randn(3, model_1.config.hidden_size, generator=torch.Generator().manual_seed(0))
    return SearchTask(
        pair=ModelPair.of(model_1, model_2, tokenizer),
        layout=Layout(tokenizer),
        train=texts(),
        config=GenerationConfig(num_generations_per_prompt=3, num_prompts=2),
        soft_prompt=0.1 * soft if trained else None,
        seed=0,
        best=[
            HardPrompt(text=text, searcher="kit", score_bits=bits)
            for text, bits in (("Tell me about ships.", 0.2), ("I like tea.", 0.1))
        ]
        if candidates
        else [],
    )


def watched(task: SearchTask) -> tuple[Any, ...]:
    """What a searcher may read but not change."""
    pair = task.pair
    return (
        list(task.train),
        list(task.best),
        task.soft_prompt,
        attrs.asdict(task.config, recurse=False),
        pair.model_1.model.state_dict(),
        pair.model_2.model.state_dict(),
    )


@attrs.define(eq=False)
class WatchedBudget(FteBudget):
    """A budget that remembers whether anything was spent after it had run out."""

    calls: int = 0
    overrun: int = 0
    """FTE spent after the searcher met an exhausted budget."""
    _known_exhausted_at: int | None = attrs.field(init=False, default=None)

    @property
    def spent(self) -> int:
        """FTE since this budget was opened."""
        self.look()
        return super().spent

    def look(self) -> None:
        """A moment at which the searcher could have stopped."""
        total = super().spent
        if self._known_exhausted_at is not None:
            self.overrun = max(self.overrun, total - self._known_exhausted_at)
        elif total >= self.limit:
            self._known_exhausted_at = total

    def called(self) -> None:
        """The task is asked to run the models."""
        self.look()
        self.calls += 1
        require(self.calls <= MOST_CALLS, f"it has called the models {MOST_CALLS} times: no end")


def watch_calls(task: SearchTask, budget: WatchedBudget) -> SearchTask:
    """The same task, telling ``budget`` of every call that runs the models."""
    from softdiv.search.task import SearchTask

    class WatchedTask(SearchTask):
        def score(
            self, prompts: Sequence[str], examples: Sequence[Example], tokens: int
        ) -> list[float]:
            budget.called()
            return super().score(prompts, examples, tokens)

        def answers(self, requests: Any, tokens: int) -> list[list[str]]:
            budget.called()
            return super().answers(requests, tokens)

    fields = [field for field in attrs.fields(SearchTask) if field.init]
    shared: dict[str, Any] = {str(field.alias): getattr(task, field.name) for field in fields}
    return WatchedTask(**shared)


class PassCounter:
    """Counts the positions that go through the two models, whoever sends them."""

    def __init__(self, task: SearchTask) -> None:
        from softdiv.pair.layers import body_of  # torch: the kit is imported without it

        self.positions = 0
        self._models = (body_of(task.pair.model_1.model), body_of(task.pair.model_2.model))
        self._handles: list[Any] = []

    def __enter__(self) -> PassCounter:
        hook: Callable[..., None] = self._count
        self._handles = [m.register_forward_pre_hook(hook, with_kwargs=True) for m in self._models]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _count(self, module: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = named.get("inputs_embeds")
        if given is None:
            given = named.get("input_ids", positional[0] if positional else None)
        if given is not None:
            self.positions += int(given.shape[0] * given.shape[1])
