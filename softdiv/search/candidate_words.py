"""Words of the vocabulary, in the short request in which every one of them is tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
"""In these, model_1 says which words it expects, where the budget does not pay for all."""
PLAIN = ("apple", "zebra", "Summer")
"""Words that show what of :data:`LEAD` stands around a word, as tokens."""
SHORTEST = 3
"""Letters of a word, and of a token that tells something of one."""
DEEPER = 16
"""As many more continuations are looked at behind one letter than behind two: there are fewer
such beginnings, and each has more."""
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


def suspectable(task: SearchTask, limit: int, vocabulary: int, begun: int) -> dict[str, Word]:
    """Words to look at, with their tokens: the vocabulary's, and some that only begin with a token
    of one or two letters, which tells nothing of the word. Many rare words do.

    Args:
        limit: words in all.
        vocabulary: of these, at most so many of the vocabulary; those that model_1 expects most.
        begun: and so many of the others, while they are less than a quarter of all.
    """
    single = vocabulary_words(task)
    rest = max(limit - min(len(single), vocabulary), min(begun, limit // 4))
    longer = begun_words(task, min(begun, rest))
    kept = expected(task, single, min(vocabulary, limit - len(longer)))
    return {text: (token,) for token, text in kept} | longer


def expected(
    task: SearchTask, words: Sequence[tuple[int, str]], count: int
) -> Sequence[tuple[int, str]]:
    """The ``count`` words that model_1 expects most in :data:`LEADS`, in the order given.

    A vocabulary of a quarter of a million tokens has more words than a budget pays for, and only
    the first ten thousand or so are in order of frequency. Free where there are no more words.
    """
    if not 0 < count < len(words):
        return words[: max(count, 0)]
    contexts = [Context(before=slot_in(task, lead).before) for lead in LEADS]
    rows = task.next_log_probs(task.pair.model_1, contexts)
    index = torch.tensor([token for token, _ in words], device=task.pair.model_1.device)
    likely = torch.stack([row[index].float() for row in rows]).mean(0)
    places = likely.sort(descending=True, stable=True).indices[:count]
    return [words[place] for place in sorted(places.tolist())]


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


def begun_words(task: SearchTask, count: int) -> dict[str, Word]:
    """``count`` words of two tokens, the first of one or two small letters, the second among those
    that model_1 finds likeliest behind it; together by their first token.

    It costs a position of model_1 for each such first token.
    """
    before, beginnings = around(task)[0], _beginnings(task)
    short = {i: t for i, t in beginnings.items() if len(t) < SHORTEST and t == t.lower()}
    texts, whole = _inner_tokens(task), set(beginnings.values())
    if not short or not texts or count <= 0:
        return {}
    index = torch.tensor(list(texts), device=task.pair.model_1.device)
    contexts = [Context(before=(*before, token)) for token in short]
    rows = task.next_log_probs(task.pair.model_1, contexts)
    # ties, of which 16 bits make many, in the tokenizer's order, however deep one looks
    likeliest = [index[row[index].sort(descending=True, stable=True).indices] for row in rows]
    depth = 1 + 2 * count // sum(_deeper(text) for text in short.values())
    while True:
        ranked: list[tuple[float, int, Word, str]] = []
        unseen = math.inf  # the least rank of what was not looked at
        for (token, text), ids in zip(short.items(), likeliest, strict=True):
            looked_at = min(depth * _deeper(text), len(texts))
            words = [(text + texts[i], (token, i)) for i in ids[:looked_at].tolist()]
            words = [(w, ids) for w, ids in words if len(w) >= SHORTEST and w not in whole]
            ranked += [(n / _deeper(text), token, ids, w) for n, (w, ids) in enumerate(words)]
            if looked_at < len(texts):
                unseen = min(unseen, len(words) / _deeper(text))
        best = sorted(ranked)[:count]
        if unseen == math.inf or (len(best) == count and best[-1][0] < unseen):
            return {text: ids for _, _, ids, text in sorted(best, key=lambda one: one[1])}
        depth *= 2


def _deeper(first: str) -> int:
    return DEEPER if len(first) == 1 else 1


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
