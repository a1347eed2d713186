"""Built-in plugin: what a search must beat, run under the same ledger at the same cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge

from softdiv import Budget, HardPrompt, Register, Searcher, SearchTask, hookimpl
from softdiv.builtin.template_leak import TemplateLeak
from softdiv.data.shipped_texts import natural_prompts


@attrs.frozen(kw_only=True)
class Empty:
    """No prompt at all: how the models differ on plain texts."""

    role: ClassVar[Literal["baseline"]] = "baseline"
    by_text: ClassVar[bool] = True

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the empty prompt."""
        yield HardPrompt(text="", searcher="")


@attrs.frozen(kw_only=True)
class NaturalPool:
    """The best of a pool of natural prompts that a curious auditor might try."""

    role: ClassVar[Literal["baseline"]] = "baseline"
    by_text: ClassVar[bool] = True
    most: int = attrs.field(default=120, validator=ge(1))
    """Prompts tried at most."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield them in a fixed order; the first are scored, as many as the budget pays for."""
        for prompt in natural_prompts()[: self.most]:
            if task.usable(prompt):
                yield HardPrompt(text=prompt, searcher="")


@attrs.frozen(kw_only=True)
class RandomTokens:
    """The best of random token strings: what a maximum over many draws reaches by luck."""

    role: ClassVar[Literal["baseline"]] = "baseline"
    by_text: ClassVar[bool] = True
    length: int = attrs.field(default=6, validator=ge(1))
    """Tokens per string."""
    most: int = attrs.field(default=80, validator=ge(1))
    """Strings tried at most."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield random strings that survive decoding and re-encoding as text."""
        tokenizer, generator = task.pair.tokenizer, torch.Generator().manual_seed(task.seed)
        special = set(tokenizer.all_special_ids)
        for _ in range(self.most):
            ids = torch.randint(len(tokenizer), (self.length,), generator=generator).tolist()
            text = " ".join(tokenizer.decode([i for i in ids if i not in special]).split())
            if task.usable(text):
                yield HardPrompt(text=text, searcher="")


@hookimpl
def softdiv_register_searchers(register: Register[Searcher]) -> None:
    """Register the baselines."""
    register("empty", Empty)
    register("natural_pool", NaturalPool)
    register("random_tokens", RandomTokens)
    register("template_leak", TemplateLeak)
