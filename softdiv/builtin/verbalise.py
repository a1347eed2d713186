"""Searcher ``verbalise``: the soft prompt trained inside a sentence, and the models asked what it
means.

LARGO (Li et al. 2025, arXiv:2505.10838) optimises vectors for a target, lets the model put them
into words, and goes on from the words' own embeddings; here the target is D, and both models read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge, gt
from torch import Tensor

from softdiv import Budget, HardPrompt, SearchTask
from softdiv.searching import (
    FROM_MODEL_1,
    FROM_MODEL_2,
    slot_in,
    vectors,
    vocabulary_words,
)

SCORED = 6
"""Answer tokens by which the readings of a round are compared."""
_SENTENCE = re.compile(r"(?<=[.!?])['\"”]?\s")


def _holds_one_place(_: object, field: attrs.Attribute[str], value: str) -> None:
    if value.count("{}") != 1:
        raise ValueError(f"{field.name} must hold {{}} once, where the vectors go")


@attrs.frozen(kw_only=True)
class Verbalise:
    """A text found by saying what trained vectors mean, again and again."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    rounds: int = attrs.field(default=4, validator=ge(1))
    """Times that the vectors are trained and read; fewer where the budget ends."""
    steps: int = attrs.field(default=4, validator=ge(1))
    """Training steps of each round."""
    learning_rate: float = attrs.field(default=0.01, validator=gt(0.0))
    """Of Adam."""
    vectors: int = attrs.field(default=6, validator=ge(1))
    """Vectors to begin with where no soft prompt was trained."""
    texts: int = attrs.field(default=3, validator=ge(1))
    """User texts of a step, fresh at every step."""
    response_tokens: int = attrs.field(default=8, validator=ge(1))
    """Response tokens trained on."""
    readings: int = attrs.field(default=4, validator=ge(1))
    """Texts that each model says in a round."""
    reading_tokens: int = attrs.field(default=16, validator=ge(1))
    """Length of what is said."""
    carrier: str = attrs.field(default="Think of this: {}.", validator=_holds_one_place)
    """The sentence that the vectors, and later the words, stand in."""
    question: str = attrs.field(
        default="Say in other words: {}.",
        validator=_holds_one_place,
    )
    """What the models are asked about the vectors."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield what was said, each round's best first, inside the carrier and bare."""
        soft = self._start(task)
        for number in range(self.rounds):
            soft = self._trained(task, budget, soft, number)
            if budget.remaining == 0:
                task.explain("the budget was spent before the vectors could be read")
                return
            prompts = self._read(task, soft, number)
            if not prompts:
                task.explain("the models said nothing that can be a prompt")
                continue  # with the vectors as they are
            if len(prompts) > 1 and budget.remaining > 0:
                examples = task.texts(2)
                bits = task.score(list(prompts), examples, SCORED)
                ranked = sorted(zip(bits, prompts, strict=True), key=lambda pair: -pair[0])
                prompts = {prompt: prompts[prompt] for _, prompt in ranked}
            for prompt, said in prompts.items():
                note = f"what the vectors of round {number + 1} mean"
                yield HardPrompt(text=prompt, searcher="", note=note)
                if task.usable(said):
                    yield HardPrompt(text=said, searcher="", note=note)
            best = next(iter(prompts.values()))
            soft = vectors(task.pair.model_1, torch.tensor(task.layout.encode(best)))

    def _start(self, task: SearchTask) -> Tensor:
        """``[k, H]``: the trained soft prompt, or the vectors of a few frequent words."""
        if task.soft_prompt is not None:
            return task.soft_prompt
        ids = [i for i, _ in vocabulary_words(task)[: self.vectors]] or [0]
        return vectors(task.pair.model_1, torch.tensor(ids))

    def _trained(self, task: SearchTask, budget: Budget, soft: Tensor, number: int) -> Tensor:
        """The vectors after some steps up the gradient of D, on fresh answers at every step."""
        leaf = soft.detach().float().clone().requires_grad_()
        optimizer = torch.optim.Adam([leaf], lr=self.learning_rate)
        for step in range(self.steps):
            if budget.remaining == 0:
                break
            examples = task.texts(self.texts)
            slots = [slot_in(task, self.carrier, example) for example in examples]
            weights = [FROM_MODEL_1 if n % 2 else FROM_MODEL_2 for n in range(len(slots))]
            keys = [f"verbalise:{number}:{step}:{e.id}" for e in examples]
            responses = [
                result.answer(row)
                for result in task.sample(slots, weights, keys, self.response_tokens, leaf.detach())
                for row in range(len(result.lengths))
            ]
            gradient = task.sampler.bits_gradient(slots, responses, leaf)
            if bool(gradient.isfinite().all()):
                leaf.grad = -gradient
                optimizer.step()
        return leaf.detach()

    def _read(self, task: SearchTask, soft: Tensor, number: int) -> dict[str, str]:
        """Prompts that can be used, and what was said in each, from both models in turn."""
        asked = slot_in(task, self.question)
        count = 2 * self.readings
        said = [
            task.layout.decode(result.answer(row))
            for result in task.sample(
                [asked] * count,
                [FROM_MODEL_1 if n % 2 else FROM_MODEL_2 for n in range(count)],
                [f"said:{number}:{n}" for n in range(count)],
                self.reading_tokens,
                soft,
            )
            for row in range(len(result.lengths))
        ]
        found = (self._shortened(task, text) for text in said)
        return {self.carrier.format(text): text for text in found if text}

    def _shortened(self, task: SearchTask, text: str) -> str:
        """The first sentence, as many of its words as a prompt may have; empty if none."""
        line = next(iter(text.strip().splitlines()), "")
        words = _SENTENCE.split(line)[0].strip(" .\"'*").split()
        for count in range(len(words), 0, -1):
            kept = " ".join(words[:count])
            if task.usable(self.carrier.format(kept)):
                return kept
        return ""
