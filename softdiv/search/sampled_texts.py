"""Texts that the models write on their own, behind a few ids, each with its likelihood ratio."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import attrs

from softdiv.divergence.rollouts import FROM_MODEL_2
from softdiv.errors import PairError
from softdiv.pair.layout import Context, Layout
from softdiv.pair.sampling import Sampling
from softdiv.plugin.interfaces import Budget
from softdiv.plugin.records import TextContext
from softdiv.search.task import SearchTask
from softdiv.search.text_task import AnyTask, TextTask

_BEGUN = re.compile(r"[^\W\d_]+")
"""What is left of a word that the context has begun."""


@attrs.frozen
class SampledText:
    """What was written behind a context, from the first whole word on."""

    text: str
    gap: float
    """Mean log p2 - log p1 of its tokens, nats."""
    ended: bool
    """The models wrote its end; else it was cut short."""


def sample_texts(
    task: AnyTask,
    budget: Budget,
    contexts: Sequence[Any],
    weights: Sequence[tuple[float, float]],
    keys: Sequence[str],
    *,
    tokens: int,
    share: float,
    sampling: Sampling | None = None,
) -> list[SampledText]:
    """One text for each context, in order, as many as ``share`` of the budget left pays for.

    Args:
        weights: mixture weights, one for each context, see :func:`softdiv.pair.sampling.mix`.
        keys: names of the random streams.
        tokens: longest text.
        sampling: the task's by default.

    Raises:
        PairError: by text nothing but model_2's own texts can be drawn.
    """
    if isinstance(task, TextTask):
        if any(tuple(one) != tuple(FROM_MODEL_2) for one in weights):
            raise PairError("by text no mixture of two models' tokens can be drawn")
        return _texts_of_model_2(task, budget, contexts, keys, tokens, share, sampling)
    start, found = budget.remaining, list[SampledText]()
    while len(found) < len(contexts):
        spent, done = start - budget.remaining, len(found)
        size = _paid_for(task, contexts[done:], tokens, int(start * share) - spent)
        if size == 0:
            break
        part = slice(done, done + size)
        for result in task.sample(
            contexts[part], weights[part], keys[part], tokens, sampling=sampling
        ):
            gaps, lengths = result.mean_of(result.ratio).tolist(), result.lengths.tolist()
            for row, (gap, length) in enumerate(zip(gaps, lengths, strict=True)):
                answer, context = result.answer(row), contexts[len(found)]
                ended = length < tokens or answer[-1] in task.pair.stop_ids
                found.append(SampledText(_behind(task.layout, context, answer), gap, ended))
    return found


def _texts_of_model_2(
    task: TextTask,
    budget: Budget,
    contexts: Sequence[TextContext],
    keys: Sequence[str],
    tokens: int,
    share: float,
    sampling: Sampling | None,
) -> list[SampledText]:
    """The same by text, where each of the two reads everything."""
    left, size = int(budget.remaining * share), 0
    for context in contexts:
        left -= 2 * (task.pair.size(context) + tokens)
        if left < 0:
            break
        size += 1
    told = task.sampled(contexts[:size], keys[:size], tokens, sampling)
    found = []
    for context, (answer, ratio) in zip(contexts, told, strict=False):
        begun = _BEGUN.match(answer.text) if (context.text or "")[-1:].isalpha() else None
        text = answer.text[begun.end() :] if begun else answer.text
        found.append(SampledText(text, ratio / max(answer.tokens, 1), not answer.cut))
    return found


def _paid_for(task: SearchTask, contexts: Sequence[Context], tokens: int, limit: int) -> int:
    """How many contexts of the next batch ``limit`` FTE decode, were all as long as the longest."""
    batch = contexts[: task.config.batch_rows]
    longest = max(map(len, batch))
    spent, read = 0, set[Context]()
    for number, context in enumerate(batch):
        for model in (task.pair.model_1, task.pair.model_2):
            if model.keeps_cache:
                spent += tokens + (0 if context in read else longest)  # equal ones are read once
            else:
                spent += tokens * longest + tokens * tokens // 2
        read.add(context)
        if spent > limit:
            return number
    return len(batch)


def _behind(layout: Layout, context: Context, answer: list[int]) -> str:
    """The answer as it reads behind its context, without what ends the context's last word."""
    before, whole = layout.decode(list(context.before)), layout.decode([*context.before, *answer])
    if not whole.startswith(before):
        return layout.decode(answer)
    text = whole.removeprefix(before)
    begun = _BEGUN.match(text) if before[-1:].isalpha() else None
    return text[begun.end() :] if begun else text
