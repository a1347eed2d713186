"""From suspected words to prompts: tested on the models' answers, spelled out, worded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, gt

from softdiv.divergence.rollouts import FROM_MODEL_2
from softdiv.pair.layout import Context
from softdiv.pair.words import token_texts
from softdiv.plugin.interfaces import Budget
from softdiv.plugin.records import HardPrompt
from softdiv.search.candidate_words import (
    LEAD,
    SHORTEST,
    around,
    asked,
    completed,
    continued,
    unfinished,
)
from softdiv.search.cost import PROMPT_TOKENS, usual_row
from softdiv.search.task import SearchTask
from softdiv.search.wording import WORDINGS, worded

FINALISTS, QUESTIONS = 12, 3
"""Words, each beside as many user texts, of which the plainest is taken."""
AROUND = 5
"""Tokens that a word's wording adds to a row, the word's own among them."""
BEGINNINGS = 2
"""Of a word that gives half as much as the word itself: tried once more when it is put into
words, on whole answers. On one token of a few, a letter too many looks like a gain."""
LOOK_SHARE = 0.7
"""Of what is left of the budget, for looking at words; the rest tests the best of them."""

PAIR = "{} and {}"
"""Two words side by side mean less than this, and one of the two orders often less again."""
PAIR_TOKENS = 5
"""Of such a pair, by which its test is paid for: two words of two tokens, and what joins them."""
Tokens = dict[str, tuple[int, ...]]
"""Words by their text, with the tokens that spell them."""


@attrs.frozen(kw_only=True)
class WordSearcher:
    """A searcher that suspects words of the vocabulary. What it then does with the best of them
    (:meth:`prompts_of`) is the same for all of these: whether the models answer differently is
    measured on their answers, never concluded from what made a word suspect."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    vocabulary: int = attrs.field(default=32_768, validator=ge(1))
    """Words looked at, at most: those that model_1 expects most."""
    words: int = attrs.field(default=48, validator=ge(1))
    """Words tested on the models' answers."""
    extended: tuple[int, ...] = (6, 4)
    """Words spelled out further, in each round."""
    continuations: tuple[int, ...] = (24, 16)
    """Continuations tried for each of them; model_1's likeliest."""
    pairs: int = attrs.field(default=12, validator=ge(0))
    """Of the words tested, as model_1 completes them, those also tried two at a time, where no
    single word does: those most suspect and of the largest D."""
    tested_tokens: int = attrs.field(default=1, validator=ge(1))
    """Answer tokens by which a word is tested. One needs no sampling; more see a behaviour that
    opens as any answer does, at as many more positions a word."""
    near: float = attrs.field(default=0.05, validator=gt(0.0))
    """Share of the best score within which fewer tokens win."""
    prompts: int = attrs.field(default=3, validator=ge(1))
    """Words that become prompts."""
    texts: int = attrs.field(default=6, validator=ge(1))
    """User texts on which each prompt's wording is chosen."""
    answer_tokens: int = attrs.field(default=12, validator=ge(1))
    """Length of the answers it is chosen by."""

    def prompts_of(
        self, task: SearchTask, budget: Budget, suspects: Mapping[str, tuple[int, ...]], source: str
    ) -> Iterator[HardPrompt]:
        """Yield one prompt for each of the best words, best first.

        Where the budget left is less than all this takes, less is tried of everything.

        Args:
            suspects: most suspect first.
            source: where they come from, for the prompts' notes.
        """
        search = self._within(task, budget, suspects)
        tokens = dict(itertools.islice(suspects.items(), search.words))
        spelled = search._spelled(task, budget, tokens)
        means = search._beside_texts(task, budget, spelled, tokens)
        begun = unfinished(task, around(task)[0], {word: tokens[word] for word in means})
        roots: dict[tuple[int, ...], list[str]] = {}
        for word in means:  # several spellings of one discovery are one prompt
            roots.setdefault(self._root(task, tokens[word]), []).append(word)
        plainest = [self._plainest(words, means, tokens, begun) for words in roots.values()]
        for word in sorted(plainest, key=lambda w: -means[w])[: search.prompts]:
            shorter = [w for w in means if _begins(tokens[w], tokens[word]) and w not in begun]
            shorter = [w for w in shorter if means[w] >= means[word] / 2][:BEGINNINGS]
            texts = search.texts if budget.remaining else 0
            text = worded(task, word, texts, search.answer_tokens, shorter)
            yield HardPrompt(text=text, searcher="", note=f"'{word}' from {source}")

    def _plainest(
        self, words: Sequence[str], means: Mapping[str, float], tokens: Tokens, begun: set[str]
    ) -> str:
        """Of those as good as the best, a whole word before a beginning, of fewest tokens."""
        enough = (1 - self.near) * max(means[word] for word in words)
        near = [word for word in words if means[word] >= enough]
        return min(near, key=lambda w: (w in begun, len(tokens[w]), -means[w]))

    def _root(self, task: SearchTask, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The first token, and the second where that is only one or two letters."""
        (first,) = token_texts(task.pair.tokenizer, ids[:1])
        return ids[: 1 if len(first.strip()) >= SHORTEST else 2]

    def _within(self, task: SearchTask, budget: Budget, suspects: Sized) -> WordSearcher:
        """The same, with the numbers that the budget left can pay."""
        tried = min(self.words, len(suspects))
        tried += sum(n * more for n, more in zip(self.extended, self.continuations, strict=False))
        wanted = tried * self._word_cost(task) + self._choice_cost(task)
        wanted += math.comb(self.pairs, 2) * self._word_cost(task, PAIR_TOKENS)
        share = min(1.0, budget.remaining / wanted)

        def less(count: int) -> int:
            return max(1, round(count * share))

        return attrs.evolve(
            self,
            words=less(self.words),
            continuations=tuple(map(less, self.continuations)),
            pairs=less(self.pairs),
            prompts=less(self.prompts),
            texts=less(self.texts),
        )

    def _word_cost(self, task: SearchTask, tokens: int = 1) -> int:
        """FTE of testing a word of so many tokens alone."""
        return 2 * (tokens + len(around(task)[1]) + self.tested_tokens)

    def _choice_cost(self, task: SearchTask) -> int:
        """FTE of finding the plainest word and wording the best."""
        row = usual_row(task) - PROMPT_TOKENS + AROUND
        plainest = 1.5 * FINALISTS * QUESTIONS * (row + self.tested_tokens)
        wording = self.prompts * len(WORDINGS) * self.texts * (row + self.answer_tokens)
        return int(2 * (plainest + wording))

    def _tested(self, task: SearchTask, budget: Budget, contexts: Sequence[Context]) -> list[float]:
        """D in bits of the first answer tokens of each context, while the budget lasts."""
        found: list[float] = []
        size = task.config.batch_rows
        for start in range(0, len(contexts), size):
            if budget.remaining == 0:
                break
            part = contexts[start : start + size]
            if self.tested_tokens == 1:
                found += task.first_bits(part)
                continue
            keys = [f"tested:{start + place}" for place in range(len(part))]
            weights = [FROM_MODEL_2] * len(part)
            for result in task.sample(part, weights, keys, self.tested_tokens):
                found += result.mean_bits().tolist()
        return found

    def _alone(self, task: SearchTask, budget: Budget, words: Sequence[str]) -> dict[str, float]:
        kept = [word for word in words if task.usable(LEAD.format(word))]
        bits = self._tested(task, budget, [asked(task, word) for word in kept])
        return dict(zip(kept, bits, strict=False))

    def _spelled(self, task: SearchTask, budget: Budget, tokens: Tokens) -> list[str]:
        """The best words and what they may be the beginnings of, best first.

        Adds the tokens of each longer word to ``tokens``.
        """
        before, _ = around(task)
        suspects = list(tokens)
        bits = self._alone(task, budget, suspects)
        latest = list(bits)
        for count, more in zip(self.extended, self.continuations, strict=False):
            if budget.remaining == 0:
                break
            best = sorted(latest, key=lambda w: -bits[w])[:count]
            longer = continued(task, before, {w: tokens[w] for w in best}, more)
            fresh = {word: ids for word, ids in longer.items() if word not in tokens}
            tokens |= fresh
            bits |= self._alone(task, budget, list(fresh))
            latest = [word for word in fresh if word in bits]
        bits |= self._together(task, budget, [w for w in suspects if w in bits], bits, tokens)
        return sorted(bits, key=lambda w: -bits[w])[:FINALISTS]

    def _together(
        self,
        task: SearchTask,
        budget: Budget,
        suspects: Sequence[str],
        bits: Mapping[str, float],
        tokens: Tokens,
    ) -> dict[str, float]:
        """Two words each, where they do better than every single one.

        Two words that act only together are suspect each, and leave a trace in D each, and other
        words do only one of the two.
        """
        best = max(bits.values(), default=0.0)
        if (1 + self.near) * best >= 1 or budget.remaining == 0:
            return {}  # no bits are left to gain
        by_bits = sorted(suspects, key=lambda w: -bits[w])
        places = {word: n + by_bits.index(word) for n, word in enumerate(suspects)}
        first = {word: tokens[word] for word in sorted(suspects, key=places.__getitem__)}
        first = dict(itertools.islice(first.items(), self.pairs))
        whole = dict(completed(task, around(task)[0], first))
        numbered = itertools.combinations(enumerate(whole), 2)
        order = sorted(numbered, key=lambda pair: pair[0][0] + pair[1][0])
        pairs = [PAIR.format(one, other) for (_, one), (_, other) in order]
        spelled = {pair: tuple(_ids(task, f" {pair}")) for pair in pairs}
        left = max(0, budget.remaining - self._choice_cost(task))
        affordable = left // self._word_cost(task, PAIR_TOKENS)
        tested = self._alone(task, budget, pairs[:affordable])
        better = {pair: value for pair, value in tested.items() if value > (1 + self.near) * best}
        tokens |= {pair: spelled[pair] for pair in better}
        return better

    def _beside_texts(
        self, task: SearchTask, budget: Budget, best: Sequence[str], tokens: Tokens
    ) -> dict[str, float]:
        """Mean D of each of the best words beside user texts, of what their first tokens spell,
        and of the shortest of the best as model_1 completes them; adds their tokens."""
        for word in best:
            texts = token_texts(task.pair.tokenizer, tokens[word])
            for count in range(1, len(texts)):
                shorter_text = "".join(texts[:count]).strip()
                if len(shorter_text) >= SHORTEST:
                    tokens.setdefault(shorter_text, tokens[word][:count])
        shorter = [
            w for w, ids in tokens.items() if any(ids == tokens[b][: len(ids)] for b in best)
        ]
        means = self._means(task, budget, [*best, *shorter])
        enough = (1 - self.near) * max(means.values(), default=0.0)
        near = sorted((w for w in means if means[w] >= enough), key=lambda w: len(tokens[w]))
        begun = {word: tokens[word] for word in near[: self.prompts]}
        whole = dict(completed(task, around(task)[0], begun))
        tokens |= {word: ids for word, ids in whole.items() if word not in tokens}
        return means | self._means(task, budget, [word for word in whole if word not in means])

    def _means(self, task: SearchTask, budget: Budget, words: Sequence[str]) -> dict[str, float]:
        candidates = [w for w in dict.fromkeys(words) if task.usable(f"{w}.")]
        examples = task.texts(QUESTIONS)
        values = self._tested(
            task, budget, [task.layout.hard(e, f"{w}.") for w in candidates for e in examples]
        )
        parts = [values[n : n + len(examples)] for n in range(0, len(values), len(examples))]
        return {word: sum(part) / len(part) for word, part in zip(candidates, parts, strict=False)}


def _ids(task: SearchTask, text: str) -> list[int]:
    return list(task.pair.tokenizer(text, add_special_tokens=False)["input_ids"])


def _begins(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(one) < len(other) and other[: len(one)] == one
