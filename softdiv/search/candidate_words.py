"""Words of the vocabulary, in the short request in which every one of them is tried."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from softdiv.pair.inputs import common_prefix
from softdiv.pair.layout import Context
from softdiv.pair.vocabulary import Word
from softdiv.pair.words import token_texts, word_beginnings
from softdiv.plugin.records import Example
from softdiv.search.task import SearchTask

LEAD = "Tell me about {}."
"""What a word is tried in."""
LEADS = (
    LEAD,
    "Tell me about the {}.",
    "What is a {}?",
    "I like {}.",
    "I bought a {}.",
    "Write a poem about a {}.",
)
"""In these, model_1 says which words it expects."""
PLAIN = ("apple", "zebra", "Summer")
"""Words that show what of :data:`LEAD` stands around a word, as tokens."""
SHORTEST = 3
"""Letters of a word, and of a token that tells something of one."""
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


def suspectable(task: SearchTask, most: int, limit: int) -> dict[str, Word]:
    """Words to look at, with their tokens: those that model_1 expects most, of one token, or of
    two where the first is of one or two letters, which tells nothing of the word.

    A vocabulary has more words than a budget pays for, and only its first ten thousand or so are
    in order of frequency. What a word is expected with: model_1's mean log-probability of its first
    token in :data:`LEADS`, and of the second behind it in :data:`LEAD`.

    Args:
        most: words.
        limit: words, and the positions of model_1 that it takes to ask, together.
    """
    single = vocabulary_words(task)
    contexts = [Context(before=slot_in(task, lead).before) for lead in LEADS]
    limit = min(most, limit - sum(len(context.before) for context in contexts))
    if not single or limit <= 0:
        return {}
    rows = [row.float() for row in task.next_log_probs(task.pair.model_1, contexts)]
    first = torch.stack(rows).mean(0)
    index = torch.tensor([token for token, _ in single], device=first.device)
    likely = first[index]
    least = float(likely.topk(limit).values[-1]) if limit < len(single) else -math.inf
    scores, longer = _begun_words(task, first, limit, least)
    # ties, of which 16 bits make many, in the order given
    order = torch.cat([likely, scores]).sort(descending=True, stable=True).indices[:limit]
    kept = sorted(order.tolist())
    words: dict[str, Word] = {single[n][1]: single[n][:1] for n in kept if n < len(single)}
    begun = [longer[n - len(single)] for n in kept if n >= len(single)]
    return words | dict(sorted(begun, key=lambda one: one[1][0]))


def _begun_words(
    task: SearchTask, first: Tensor, count: int, least: float
) -> tuple[Tensor, list[tuple[str, Word]]]:
    """``[n]`` log-probabilities, largest first, and the ``n <= count`` words of two tokens.

    Args:
        first: ``[V]``, how model_1 expects the first token.
        least: what is less likely is left out.
    """
    before, beginnings = around(task)[0], _beginnings(task)
    short = {i: t for i, t in beginnings.items() if len(t) < SHORTEST and t == t.lower()}
    firsts = [token for token in short if first[token] > least]
    texts, whole = _inner_tokens(task), set(beginnings.values())
    inner = list(texts)
    index = torch.tensor(inner, dtype=torch.long, device=first.device)
    contexts = [Context(before=(*before, token)) for token in firsts]
    scores, places = first.new_zeros(0), index.new_zeros(0)
    for n, row in enumerate(task.next_log_probs(task.pair.model_1, contexts)):
        scores = torch.cat([scores, row[index].float() + first[firsts[n]]])
        places = torch.cat([places, torch.arange(len(inner), device=index.device) + n * len(inner)])
        best = scores.sort(descending=True, stable=True)
        scores, places = best.values[:count], places[best.indices[:count]]
    found: dict[str, tuple[Tensor, Word]] = {}
    for score, place in zip(scores, places.tolist(), strict=True):
        ids = (firsts[place // len(inner)], inner[place % len(inner)])
        text = short[ids[0]] + texts[ids[1]]
        if len(text) >= SHORTEST and text not in whole:
            found.setdefault(text, (score, ids))
    likely = torch.stack([score for score, _ in found.values()]) if found else scores[:0]
    return likely, [(text, ids) for text, (_, ids) in found.items()]


def standing_out(
    words: Mapping[str, Word], moved: Tensor, kinds: int, count: int
) -> dict[str, Word]:
    """The ``count`` words with the largest :func:`standing`, largest first."""
    items, scores = list(words.items()), standing(words, moved, kinds)
    return dict(items[place] for place in scores.topk(min(count, len(items))).indices.tolist())


def standing(words: Mapping[str, Word], moved: Tensor, kinds: int) -> Tensor:
    """``[W]``: at which words something is large against what is usual.

    Args:
        moved: ``[W, S]``, S kinds of one thing, at least 0 each. A word's score is the mean of its
            ``kinds`` largest logarithms of value over median, the median being that of the words
            of as many tokens.
    """
    scores = moved.new_zeros(len(moved))
    lengths = torch.tensor([len(ids) for ids in words.values()], device=moved.device)
    for length in lengths.unique():
        of_length = moved[lengths == length]
        usual = of_length.median(dim=0).values
        ratios = (of_length / usual)[:, usual > 0].log()
        if ratios.shape[1]:
            scores[lengths == length] = ratios.topk(min(kinds, ratios.shape[1])).values.mean(-1)
        else:  # it is nothing at most words: take it as it is
            scores[lengths == length] = of_length.sum(dim=1)
    return scores


def vocabulary_words(task: SearchTask) -> list[tuple[int, str]]:
    """Token and text of each word of three letters or more that one token begins, in the
    tokenizer's order, in one case: small letters where there are any."""
    kept: dict[str, tuple[int, str]] = {}
    for i, text in _beginnings(task).items():
        folded = text.casefold()
        if len(text) >= SHORTEST and (folded not in kept or text == folded):
            kept[folded] = (i, text)
    return list(kept.values())


def _beginnings(task: SearchTask) -> dict[int, str]:
    model = task.pair.model_1
    return word_beginnings(model.tokenizer, model.ordinary_ids())


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
    task: SearchTask, before: tuple[int, ...], words: Mapping[str, Word]
) -> list[tuple[str, Word]]:
    """Each word as model_1 would finish it, with its tokens: longer while its likeliest next token
    has only small letters."""
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
    return whole


def unfinished(task: SearchTask, before: tuple[int, ...], words: Mapping[str, Word]) -> set[str]:
    """Those that model_1 expects to go on with small letters, rather than not."""
    contexts = [Context(before=(*before, *ids)) for ids in words.values()]
    rows = task.next_log_probs(task.pair.model_1, contexts)
    inner = torch.tensor(list(_inner_tokens(task)), device=task.pair.model_1.device)
    return {word for word, row in zip(words, rows, strict=True) if row[inner].exp().sum() > 0.5}


def _inner_tokens(task: SearchTask) -> dict[int, str]:
    """Tokens of small letters that go on with a word."""
    ordinary = task.pair.model_1.ordinary_ids()
    texts = zip(ordinary, token_texts(task.pair.tokenizer, ordinary), strict=True)
    return {i: text for i, text in texts if text.isalpha() and text == text.lower()}
