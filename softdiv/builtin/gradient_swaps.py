"""Searcher ``gradient_swaps``: greedy coordinate swaps on D, from the best candidates so far.

Zou et al. (2023, arXiv:2307.15043) swap tokens by the gradient of a target's likelihood; here
the objective is the divergence of the two models on their own answers, minus a fluency penalty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, Rows, SearchTask
from softdiv.searching import (
    FROM_MODEL_1,
    FROM_MODEL_2,
    Context,
    both_states,
    jsd,
    prompt_log_likelihoods,
    row_values,
    targets_of,
    vectors,
    word_beginnings,
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
        slots = [task.layout.soft(e) for e in examples]
        ids = _prompt_ids(task, text, examples[0])
        if ids is None:
            task.explain(f"the tokens of {text!r} merge with the chat template's around them")
            return None
        weights = [FROM_MODEL_1 if i % 2 else FROM_MODEL_2 for i in range(len(slots))]
        (answers,) = task.sample(
            [_filled(slot, ids) for slot in slots],
            weights,
            [f"swap:{salt}:{e.id}" for e in examples],
            self.response_tokens,
        )
        responses = [answers.answer(row) for row in range(len(slots))]
        gradient = self._gradient(task, slots, responses, ids)
        trials = self._trials(task, ids, gradient, words, examples[0], salt)
        if not trials:
            task.explain("no swap gave a text that keeps its tokens")
            return None
        values = self._values(task, slots, responses, [ids, *trials])
        best = max(range(len(values)), key=values.__getitem__)
        if best == 0:
            task.explain("no swap was better than what it started from")
            return None
        return task.layout.prompt_of(trials[best - 1])

    def _gradient(
        self,
        task: SearchTask,
        slots: Sequence[Context],
        responses: Sequence[Sequence[int]],
        ids: Sequence[int],
    ) -> Tensor:
        """``[k, H]`` gradient of mean D with respect to the prompt's embeddings."""
        wrapper = task.pair.model_1
        soft = wrapper.embed(torch.tensor(ids, device=wrapper.device)).detach().float()
        soft.requires_grad_(True)
        self._bits(task, slots, responses, soft).mean().backward()
        assert soft.grad is not None
        return soft.grad

    def _bits(
        self,
        task: SearchTask,
        slots: Sequence[Context],
        responses: Sequence[Sequence[int]],
        soft: Tensor | None,
    ) -> Tensor:
        """``[N]`` JSD of every response token."""
        pair = task.pair
        states_1, states_2 = both_states(pair, slots, responses, soft)
        targets, owners = targets_of(responses, pair.model_1.device)

        def bits(rows: Rows) -> Tensor:
            return jsd(rows.log_probs_1, rows.log_probs_2)

        return row_values(bits, pair.model_1, pair.model_2, states_1, states_2, targets, owners)

    def _trials(
        self,
        task: SearchTask,
        ids: list[int],
        gradient: Tensor,
        words: Tensor,
        example: Example,
        salt: str,
    ) -> list[list[int]]:
        wrapper = task.pair.model_1
        gain = gradient @ vectors(wrapper, words).T  # [k, W], first-order change of D
        gain -= (gradient * vectors(wrapper, torch.tensor(ids))).sum(-1)[:, None]
        top = gain.flatten().topk(min(8 * self.candidates, gain.numel())).indices
        digest = hashlib.sha256(f"{task.seed}:{salt}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        trials: list[list[int]] = []
        for pick in torch.randperm(len(top), generator=generator).tolist():
            position, word = divmod(int(top[pick]), len(words))
            trial = [*ids[:position], int(words[word]), *ids[position + 1 :]]
            if trial in trials or not task.usable(task.layout.prompt_of(trial)):
                continue
            if task.layout.retokenises(trial, example):
                trials.append(trial)
            if len(trials) == self.candidates:
                break
        return trials

    @torch.no_grad()
    def _values(
        self,
        task: SearchTask,
        slots: Sequence[Context],
        responses: Sequence[Sequence[int]],
        trials: Sequence[list[int]],
    ) -> list[float]:
        """D on the fixed answers minus the fluency penalty, of every trial in one pass."""
        contexts = [_filled(slot, ids) for ids in trials for slot in slots]
        repeated = [response for _ in trials for response in responses]
        bits = self._bits(task, contexts, repeated, None)
        tokens = sum(len(response) for response in responses)
        divergence = [float(part.mean()) for part in bits.split(tokens)]
        if not self.fluency:
            return divergence
        logs = prompt_log_likelihoods(task.pair.model_1, slots[0].before, trials)
        surprise = [-float(part.mean()) if len(part) else 0.0 for part in logs]
        return [d - self.fluency * s for d, s in zip(divergence, surprise, strict=True)]


def _filled(slot: Context, ids: Sequence[int]) -> Context:
    return Context(before=(*slot.before, *ids, *slot.after))


def _prompt_ids(task: SearchTask, prompt: str, example: Example) -> list[int] | None:
    """The prompt's own token ids inside the template, None if they merge with its neighbours."""
    ids = task.layout.encode(prompt)
    return ids if task.layout.retokenises(ids, example) else None


def _word_like(task: SearchTask) -> Tensor:
    """``[W]`` ids of tokens that begin a word and consist of letters."""
    tokenizer = task.pair.tokenizer
    barred = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    size = min(task.pair.model_1.vocab_size or 0, len(tokenizer))
    ordinary = [i for i in range(size) if i not in barred]
    found = [i for i, text in word_beginnings(tokenizer, ordinary).items() if text.isascii()]
    return torch.tensor(found, dtype=torch.long, device=task.pair.model_1.device)
