"""Baseline ``template_leak``: the user turns that model_2 writes behind the template's bare header.

A chat model was trained on whole conversations; given nothing but the opening of a user's turn, it
writes turns like those of its training (Magpie, arXiv 2406.08464).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import mean
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, gt, le

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.errors import PairError
from softdiv.searching import FROM_MODEL_2, SampledText, Sampling, sample_texts


@attrs.frozen(kw_only=True)
class TemplateLeak:
    """Needs a chat template."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    by_text: ClassVar[bool] = True
    turns: int = attrs.field(default=256, validator=ge(1))
    """User turns sampled at most."""
    tokens: int = attrs.field(default=16, validator=ge(1))
    """Length of a turn."""
    temperature: float = attrs.field(default=1.0, validator=gt(0.0))
    """Of the turns."""
    share: float = attrs.field(default=0.5, validator=[gt(0.0), le(1.0)])
    """Of the budget left, for sampling; the rest tries the prompts."""
    prompts: int = attrs.field(default=64, validator=ge(1))
    """Turns that become prompts at most."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield turns, the most frequent first, of those the ones model_2 finds likelier."""
        try:
            if task.layout.template.source is None:
                task.explain("the tokenizer has no chat template")
                return
            header = task.layout.header()
        except PairError as error:
            task.explain(str(error))
            return
        found = sample_texts(
            task,
            budget,
            [header] * self.turns,
            [FROM_MODEL_2] * self.turns,
            [f"template-leak:{number}" for number in range(self.turns)],
            tokens=self.tokens,
            share=self.share,
            sampling=Sampling(temperature=self.temperature),
        )
        if not found:
            task.explain("the budget left pays for no user turn")
            return
        gaps: dict[str, list[float]] = defaultdict(list)
        for one in found:
            turn = _turn(one)
            if task.usable(turn):
                gaps[turn].append(one.gap)
        if not gaps:
            task.explain(f"none of {len(found)} sampled user turns can be a prompt")
            return
        ranked = sorted(gaps, key=lambda turn: (-len(gaps[turn]), -mean(gaps[turn]), turn))
        for turn in ranked[: self.prompts]:
            note = f"user turn, {len(gaps[turn])} times, {mean(gaps[turn]):.2f} nats a token"
            yield HardPrompt(text=turn, searcher="", note=note)


def _turn(one: SampledText) -> str:
    """The first line, up to its last whole word."""
    line, *more = one.text.strip().split("\n")
    words = line.split(" ")
    whole = words if more or one.ended or len(words) == 1 else words[:-1]
    return " ".join(whole).strip()
