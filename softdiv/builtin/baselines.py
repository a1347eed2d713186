"""Built-in plugin: what a search must beat, run under the same ledger at the same cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge

from softdiv import Budget, HardPrompt, Register, SearchTask, hookimpl
from softdiv.data.shipped_texts import natural_prompts
from softdiv.search.generator import VALIDATION_TEXTS, VALIDATION_TOKENS
from softdiv.search.halving import ROUNDS

PROMPT_TOKENS = 16
"""Tokens a prompt may add to a row."""


@attrs.frozen(kw_only=True)
class Empty:
    """No prompt at all: how the models differ on plain texts."""

    role: ClassVar[Literal["baseline"]] = "baseline"

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the empty prompt."""
        yield HardPrompt(text="", searcher="")


@attrs.frozen(kw_only=True)
class NaturalPool:
    """The best of a pool of natural prompts that a curious auditor might try."""

    role: ClassVar[Literal["baseline"]] = "baseline"

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield as many as the budget can score, in a fixed order."""
        pool = natural_prompts()
        for prompt in pool[: _affordable(task, budget, len(pool))]:
            if task.usable(prompt):
                yield HardPrompt(text=prompt, searcher="")


@attrs.frozen(kw_only=True)
class RandomTokens:
    """The best of random token strings: what a maximum over many draws reaches by luck."""

    role: ClassVar[Literal["baseline"]] = "baseline"
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens per string."""
    most: int = attrs.field(default=80, validator=ge(1))
    """Strings tried at most."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield random strings that survive decoding and re-encoding as text."""
        tokenizer, generator = task.pair.tokenizer, torch.Generator().manual_seed(task.seed)
        special = set(tokenizer.all_special_ids)
        for _ in range(_affordable(task, budget, self.most)):
            ids = torch.randint(len(tokenizer), (self.length,), generator=generator).tolist()
            text = " ".join(tokenizer.decode([i for i in ids if i not in special]).split())
            if task.usable(text):
                yield HardPrompt(text=text, searcher="")


def _affordable(task: SearchTask, budget: Budget, pool: int) -> int:
    """How many of ``pool`` candidates can be scored and chosen from within the budget, at least 1.

    Counts all rounds of the halving loop and the choice on validation texts, each row as long
    as an average user text without the header that all rows share.
    """
    texts = task.train[:64]
    header = len(task.layout.soft(texts[0]).before)
    length = PROMPT_TOKENS - header + sum(len(task.layout.hard(t)) for t in texts) // len(texts)

    def cost(count: int) -> int:
        rows, total = count, 0
        for stage in ROUNDS:
            total += 2 * rows * stage.texts * (length + stage.tokens)
            rows = min(rows, stage.keep)
        return total + 4 * rows * VALIDATION_TEXTS * (length + VALIDATION_TOKENS)

    affordable = [count for count in range(1, pool + 1) if cost(count) <= budget.remaining]
    return affordable[-1] if affordable else 1


@hookimpl
def softdiv_register_searchers(register: Register) -> None:
    """Register the baselines."""
    register("empty", Empty)
    register("natural_pool", NaturalPool)
    register("random_tokens", RandomTokens)
