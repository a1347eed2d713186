"""Words of the vocabulary, in the short request in which every one of them is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from softdiv.pair.inputs import common_prefix
from softdiv.pair.layout import Context
from softdiv.pair.words import token_texts, word_beginnings
from softdiv.plugin.records import Example
from softdiv.search.task import SearchTask

LEAD = "Tell me about {}."
"""What a word is tried in."""
PLAIN = ("apple", "zebra", "Summer")
"""Words that show what of :data:`LEAD` stands around a word, as tokens."""
SHORTEST = 3
"""Letters of a word."""
LONGEST = 4
"""Tokens that a word may have when model_1 completes it."""


def asked(task: SearchTask, word: str) -> Context:
    """The conversation about one word, as both models are given it."""
    return task.layout.hard(Example(id=word, text=LEAD.format(word)))


def slot_in(task: SearchTask, sentence: str, beside: Example | None = None) -> Context:
    """The conversation in which ``sentence`` is the user's text, or the prompt beside one, with a
    slot for vectors where it says ``{}``."""
    texts = [sentence.format(word) for word in PLAIN]
    if beside is None:
        contexts = [task.layout.hard(Example(id=text, text=text)) for text in texts]
    else:
        contexts = [task.layout.hard(beside, text) for text in texts]
    backwards = [Context(before=context.before[::-1]) for context in contexts]
    behind = common_prefix(backwards)[::-1]
    return Context(before=common_prefix(contexts), after=behind, has_slot=True)


def around(task: SearchTask) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids before and behind a word in :data:`LEAD`, in the conversation that both are given."""
    slot = slot_in(task, LEAD)
    return slot.before, slot.after


def vocabulary_words(task: SearchTask) -> list[tuple[int, str]]:
    """Token and text of each word of three letters or more that one token begins, in the
    tokenizer's order, in one case: small letters where there are any."""
    model = task.pair.model_1
    return _once(list(word_beginnings(model.tokenizer, model.ordinary_ids()).items()))


def _once(words: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    kept: dict[str, tuple[int, str]] = {}
    for i, text in words:
        folded = text.casefold()
        if len(text) >= SHORTEST and (folded not in kept or text == folded):
            kept[folded] = (i, text)
    return list(kept.values())


def continued(
    task: SearchTask, before: tuple[int, ...], words: Mapping[str, tuple[int, ...]], count: int
) -> dict[str, tuple[int, ...]]:
    """Each word, given by its ids, with each of model_1's ``count`` likeliest small-letter
    continuations behind ``before``."""
    if not words:
        return {}
    texts = _inner_tokens(task)
    inner = list(texts)
    index = torch.tensor(inner, device=task.pair.model_1.device)
    contexts = [Context(before=(*before, *ids)) for ids in words.values()]
    found = {}
    for (word, ids), logs in zip(
        words.items(), task.next_log_probs(task.pair.model_1, contexts), strict=True
    ):
        for place in logs[index].topk(min(count, len(inner))).indices.tolist():
            found[word + texts[inner[place]]] = (*ids, inner[place])
    return found


def completed(
    task: SearchTask, before: tuple[int, ...], words: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Each word as model_1 would finish it: longer while its likeliest next token has only small
    letters."""
    texts, whole = _inner_tokens(task), list(words.items())
    growing = list(range(len(whole)))
    for _ in range(LONGEST - 1):
        contexts = [Context(before=(*before, *whole[place][1])) for place in growing]
        likeliest = [int(row.argmax()) for row in task.next_log_probs(task.pair.model_1, contexts)]
        longer = [(p, token) for p, token in zip(growing, likeliest, strict=True) if token in texts]
        for place, token in longer:
            word, ids = whole[place]
            whole[place] = (word + texts[token], (*ids, token))
        growing = [place for place, _ in longer]
    return dict(whole)


def _inner_tokens(task: SearchTask) -> dict[int, str]:
    """Tokens of small letters that go on with a word."""
    ordinary = task.pair.model_1.ordinary_ids()
    texts = zip(ordinary, token_texts(task.pair.tokenizer, ordinary), strict=True)
    return {i: text for i, text in texts if text.isalpha() and text == text.lower()}
