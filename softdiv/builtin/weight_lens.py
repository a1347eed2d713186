"""Searcher ``weight_lens``: words at which model_2's weights act most, spelled out and tested.

A planted trigger changes what the weights do at its token and hardly anywhere else. One pass of
model_1 over the vocabulary shows where the changed matrices have most to read; whether the models
then answer differently is measured on their answers, never concluded from the weights.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import attrs
import torch
from attrs.validators import ge, gt
from torch import Tensor

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.errors import PairError
from softdiv.searching import (
    FROM_MODEL_2,
    Context,
    MatrixChange,
    common_prefix,
    matrix_changes,
    read_together,
    token_texts,
    word_beginnings,
    word_states,
)

LEAD = "Tell me about {}."
"""What a word is tried in; the lens looks at the word behind what comes before it."""
TEMPLATES = (LEAD, "I like {}.", "{}.")
PLAIN = ("apple", "zebra", "Summer")
"""Words that show what of :data:`LEAD` stands before a word, as tokens."""
FINALISTS, QUESTIONS = 12, 3
"""Words, each beside as many user texts, of which the plainest is taken."""
PASS_SHARE = 0.7
"""Of what is left of the budget, for looking at words; the rest tests the best of them."""
_QUERY = re.compile(r"(^|\.)(w?q(_\w*)?|query)$")


@attrs.frozen(kw_only=True)
class WeightLens:
    """Needs the weights of both models, of equal shapes, and keys and values of a prefix."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    vocabulary: int = attrs.field(default=32_768, validator=ge(1))
    """Words looked at, the vocabulary's first; one position of model_1 each."""
    matrices: int = attrs.field(default=5, validator=ge(1))
    """Of the changed matrices, those that move a word most make its score."""
    words: int = attrs.field(default=48, validator=ge(1))
    """Words tested on the models' answers."""
    extended: tuple[int, ...] = (6, 4)
    """Words spelled out further, in each round."""
    continuations: tuple[int, ...] = (24, 16)
    """Continuations tried for each of them; model_1's likeliest."""
    near: float = attrs.field(default=0.05, validator=gt(0.0))
    """Share of the best score within which fewer tokens win."""
    prompts: int = attrs.field(default=3, validator=ge(1))
    """Words that become prompts."""
    texts: int = attrs.field(default=6, validator=ge(1))
    """User texts on which each prompt's wording is chosen."""
    answer_tokens: int = attrs.field(default=12, validator=ge(1))
    """Length of the answers it is chosen by."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first."""
        before = _lead(task)
        affordable = min(self.vocabulary, int(budget.remaining * PASS_SHARE))
        ordinary = task.pair.model_1.ordinary_ids()
        beginnings = word_beginnings(task.pair.model_1.tokenizer, ordinary)
        words = _once(list(beginnings.items()))[:affordable]
        readers = self._readers(task, before, words)
        if not readers:
            return
        scores = self._scores(task, before, [i for i, _ in words], readers)
        best = scores.topk(min(self.words, len(words))).indices.tolist()
        found = [words[place] for place in best]
        tokens: dict[str, tuple[int, ...]] = {text: (i,) for i, text in found}
        spelled = self._spelled(task, before, tokens)
        given: set[int] = set()
        for word in self._plainest(task, spelled, tokens):
            first = tokens[word][0]
            if first in given or budget.remaining == 0:
                continue
            given.add(first)  # another spelling of one discovery is no other prompt
            yield self._worded(task, word)
            if len(given) == self.prompts:
                return

    def _readers(
        self, task: SearchTask, before: tuple[int, ...], words: Sequence[tuple[int, str]]
    ) -> dict[str, list[MatrixChange]]:
        """The changes that make keys and values, by the first that reads the same states; where
        none of these changed, all but queries."""
        model = task.pair.model_1
        if not words:
            task.explain("the tokenizer has no tokens that begin a word")
            return {}
        if not model.keeps_cache:
            task.explain("model_1 keeps no keys and values: each word would cost a whole row")
            return {}
        try:
            changes = {f"{c.layer}.{c.name}": c for c in matrix_changes(task.pair)}
        except PairError as error:
            task.explain(str(error))
            return {}
        if not changes:
            task.explain("no matrix of the models' layers differs")
            return {}
        modules = {name: change.module for name, change in changes.items()}
        firsts = read_together(model, before, words[0][0], modules)
        earliest: dict[int, str] = {}
        for name, first in firsts.items():
            earliest.setdefault(changes[name].layer, first)
        other = [name for name in firsts if not _QUERY.search(changes[name].name)]
        entering = [name for name in other if firsts[name] == earliest[changes[name].layer]]
        chosen: dict[str, list[str]] = {}
        for name in entering or other or firsts:
            chosen.setdefault(firsts[name], []).append(name)
        return {names[0]: [changes[name] for name in names] for names in chosen.values()}

    def _scores(
        self,
        task: SearchTask,
        before: tuple[int, ...],
        ids: Sequence[int],
        readers: Mapping[str, Sequence[MatrixChange]],
    ) -> Tensor:
        """``[W]``: mean log of how far the changes move each word, against the median word's."""
        each = [(name, n) for name, changes in readers.items() for n in range(len(changes))]
        places = {key: place for place, key in enumerate(each)}
        moved = torch.zeros(len(ids), len(places), device=task.pair.model_1.device)
        modules = {name: changes[0].module for name, changes in readers.items()}
        for name, part, states in word_states(task.pair.model_1, before, ids, modules):
            for n, change in enumerate(readers[name]):
                shift = states.to(change.rows) @ change.rows.T
                moved[part, places[name, n]] = shift.float().norm(dim=-1)
        usual = moved.median(dim=0).values
        ratios = (moved / usual)[:, usual > 0].log()
        if ratios.shape[1] == 0:  # only some rows of something are changed: take them as they are
            return moved.sum(dim=1)
        return ratios.topk(min(self.matrices, ratios.shape[1]), dim=1).values.mean(dim=1)

    def _spelled(
        self, task: SearchTask, before: tuple[int, ...], tokens: dict[str, tuple[int, ...]]
    ) -> list[str]:
        """The best words and what they may be the beginnings of, by the first answer token.

        Adds the tokens of each longer word to ``tokens``.
        """
        bits = _first_bits(task, tokens)
        latest = list(bits)
        for count, more in zip(self.extended, self.continuations, strict=False):
            best = sorted(latest, key=lambda w: -bits[w])[:count]
            longer = _continued(task, before, {w: tokens[w] for w in best}, more)
            fresh = {word: ids for word, ids in longer.items() if word not in tokens}
            tokens |= fresh
            bits |= _first_bits(task, fresh)
            latest = [word for word in fresh if word in bits]
        return sorted(bits, key=lambda w: -bits[w])[:FINALISTS]

    def _plainest(
        self, task: SearchTask, best: Sequence[str], tokens: dict[str, tuple[int, ...]]
    ) -> list[str]:
        """Best first, beside user texts; of those as good as the best that of fewest tokens.

        What the first tokens of a word spell is tried as well, and added to ``tokens``.
        """
        for word in best:
            texts = token_texts(task.pair.tokenizer, tokens[word])
            for count in range(1, len(texts)):
                tokens.setdefault("".join(texts[:count]).strip(), tokens[word][:count])
        shorter = [
            w for w, ids in tokens.items() if any(ids == tokens[b][: len(ids)] for b in best)
        ]
        candidates = [w for w in dict.fromkeys([*best, *shorter]) if task.usable(f"{w}.")]
        examples = task.texts(QUESTIONS)
        values = task.first_bits(
            [task.layout.hard(e, f"{w}.") for w in candidates for e in examples]
        )
        parts = [values[n : n + len(examples)] for n in range(0, len(values), len(examples))]
        mean = {word: sum(part) / len(part) for word, part in zip(candidates, parts, strict=True)}
        enough = (1 - self.near) * max(mean.values(), default=0.0)

        def rank(word: str) -> tuple[int, float]:
            return (len(tokens[word]) if mean[word] >= enough else sys.maxsize, -mean[word])

        return sorted(candidates, key=rank)

    def _worded(self, task: SearchTask, word: str) -> HardPrompt:
        """The wording under which model_2's answers are least model_1's; shortest if near."""
        prompts = [p for p in (t.format(word) for t in TEMPLATES) if task.usable(p)]
        examples = task.texts(self.texts)
        items = [(prompt, example) for prompt in prompts for example in examples]
        ratios: list[float] = []
        for result in task.sample(
            [task.layout.hard(example, prompt) for prompt, example in items],
            [FROM_MODEL_2] * len(items),
            [f"worded:{example.id}" for _, example in items],
            self.answer_tokens,
        ):
            ratios += result.summed_ratio().tolist()
        size = len(examples)
        lifts = [sum(ratios[i : i + size]) / size for i in range(0, len(ratios), size)]
        top = max(lifts)
        good = [p for p, lift in zip(prompts, lifts, strict=True) if lift >= top - 0.1 * abs(top)]
        return HardPrompt(text=min(good, key=len), searcher="", note=f"'{word}' from the weights")


def _lead(task: SearchTask) -> tuple[int, ...]:
    """Ids before a word in :data:`LEAD`, in the conversation that both models are given."""
    return common_prefix([_asked(task, word) for word in PLAIN])


def _asked(task: SearchTask, word: str) -> Context:
    return task.layout.hard(Example(id=word, text=LEAD.format(word)))


def _first_bits(task: SearchTask, words: Iterable[str]) -> dict[str, float]:
    kept = [word for word in words if task.usable(LEAD.format(word))]
    return dict(zip(kept, task.first_bits([_asked(task, word) for word in kept]), strict=True))


def _once(words: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Words of three letters or more, each in one case: small letters where there are any."""
    kept: dict[str, tuple[int, str]] = {}
    for i, text in words:
        folded = text.casefold()
        if len(text) >= 3 and (folded not in kept or text == folded):
            kept[folded] = (i, text)
    return list(kept.values())


def _continued(
    task: SearchTask, before: tuple[int, ...], words: Mapping[str, tuple[int, ...]], count: int
) -> dict[str, tuple[int, ...]]:
    """Each word with each of model_1's ``count`` likeliest small-letter continuations."""
    if not words:
        return {}
    ordinary = task.pair.model_1.ordinary_ids()
    texts = dict(zip(ordinary, token_texts(task.pair.tokenizer, ordinary), strict=True))
    inner = [i for i, text in texts.items() if text.isalpha() and text == text.lower()]
    index = torch.tensor(inner, device=task.pair.model_1.device)
    contexts = [Context(before=(*before, *ids)) for ids in words.values()]
    found = {}
    for (word, ids), logs in zip(
        words.items(), task.next_log_probs(task.pair.model_1, contexts), strict=True
    ):
        for place in logs[index].topk(min(count, len(inner))).indices.tolist():
            found[word + texts[inner[place]]] = (*ids, inner[place])
    return found
