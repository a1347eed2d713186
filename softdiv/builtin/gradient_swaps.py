"""Searcher ``gradient_swaps``: greedy coordinate swaps on D, from the best candidates so far.

Zou et al. (2023, arXiv:2307.15043) swap tokens by the gradient of a target's likelihood; here
the objective is the divergence of the two models on their own answers, minus a fluency penalty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.searching import (
    AnsweredPrompt,
    answered,
    bits_gradient,
    filled,
    stream,
    surprises,
    swap_gains,
    typeable,
    word_tokens as _word_like,
)


@attrs.frozen(kw_only=True)
class GradientSwaps:
    """Swap one token at a time for one the gradient of D prefers; word-like tokens only."""

    role: ClassVar[Literal["refiner"]] = "refiner"
    steps: int = attrs.field(default=3, validator=ge(0))
    """Swaps tried per start."""
    starts: int = attrs.field(default=1, validator=ge(1))
    """Candidates refined, best first."""
    candidates: int = attrs.field(default=12, validator=ge(1))
    """Swaps scored per step."""
    texts: int = attrs.field(default=4, validator=ge(1))
    """User texts per step, fresh at every step."""
    response_tokens: int = attrs.field(default=8, validator=ge(1))
    """Response tokens scored."""
    fluency: float = attrs.field(default=0.01, validator=ge(0.0))
    """Bits of D given up per nat per token of model_1's surprise at the prompt."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield every improved prompt."""
        words = _word_like(task)
        if len(words) == 0:
            task.explain("the tokenizer has no tokens that are whole words")
            return
        if not task.best:
            task.explain("there was no prompt to start from")
        for start in task.best[: self.starts]:
            text = start.text
            for step in range(self.steps):
                if budget.remaining == 0 or not text:
                    task.explain("the budget was spent" if text else "the empty prompt is best")
                    return
                better = self._step(task, text, words, salt=f"{start.text}:{step}")
                if better is None:
                    continue
                text = better
                yield HardPrompt(text=text, searcher="", note=f"swapped from {start.text!r}")

    def _step(self, task: SearchTask, text: str, words: Tensor, salt: str) -> str | None:
        examples = task.texts(self.texts)
        ids = _prompt_ids(task, text, examples[0])
        if ids is None:
            task.explain(f"the tokens of {text!r} merge with the chat template's around them")
            return None
        (start,) = answered(task, [ids], examples, self.response_tokens, f"swap:{salt}")
        gains = swap_gains(task.pair.model_1, bits_gradient(task, start), ids, words)
        trials = self._trials(task, ids, gains, words, examples[0], salt)
        if not trials:
            task.explain("no swap gave a text that keeps its tokens")
            return None
        values = self._values(task, start, [ids, *trials])
        best = max(range(len(values)), key=values.__getitem__)
        if best == 0:
            task.explain("no swap was better than what it started from")
            return None
        return task.layout.prompt_of(trials[best - 1])

    def _trials(
        self,
        task: SearchTask,
        ids: list[int],
        gains: Tensor,
        words: Tensor,
        beside: Example,
        salt: str,
    ) -> list[list[int]]:
        """Of the swaps of the highest gain, some at random."""
        top = gains.flatten().topk(min(8 * self.candidates, gains.numel())).indices.tolist()
        order = torch.randperm(len(top), generator=stream(task, salt)).tolist()
        picks = (divmod(top[pick], len(words)) for pick in order)
        swapped = ([*ids[:at], int(words[word]), *ids[at + 1 :]] for at, word in picks)
        return typeable(task, swapped, self.candidates, beside)

    def _values(
        self, task: SearchTask, start: AnsweredPrompt, trials: Sequence[list[int]]
    ) -> list[float]:
        """D on the start's answers minus the fluency penalty, of every trial in one pass."""
        contexts = [filled(slot, ids) for ids in trials for slot in start.slots]
        repeated = [response for _ in trials for response in start.responses]
        bits = task.sampler.answer_bits(contexts, repeated)
        tokens = sum(len(response) for response in start.responses)
        divergence = [float(part.mean()) for part in bits.split(tokens)]
        if not self.fluency:
            return divergence
        surprise = surprises(task, start.slots[0].before, trials)
        return [d - self.fluency * s for d, s in zip(divergence, surprise, strict=True)]


def _prompt_ids(task: SearchTask, prompt: str, example: Example) -> list[int] | None:
    """The prompt's own token ids inside the template, None if they merge with its neighbours."""
    ids = task.layout.encode(prompt)
    return ids if task.layout.retokenises(ids, example) else None
