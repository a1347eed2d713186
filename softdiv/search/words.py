"""Words that one set of answers uses and another does not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{2,}")

TEMPLATES = ("Tell me about {}.", "I like {}.")
"""Short prompts built around a word; ``{}`` is the word."""


def over_represented(answers: Sequence[str], plain: Sequence[str], count: int) -> list[str]:
    """The ``count`` words most over-represented in ``answers``, by number of answers they occur in.

    Log odds with a prior of one half (Monroe et al. 2008, without the informative prior),
    weighted by how many answers show the word, so that one odd answer does not win.
    """
    if not answers:
        return []
    seen, usual = _documents(answers), _documents(plain)
    scores = {}
    for word, times in seen.items():
        odds = math.log((times + 0.5) / (len(answers) - times + 0.5))
        base = usual[word]
        base_odds = math.log((base + 0.5) / (len(plain) - base + 0.5))
        scores[word] = (odds - base_odds) * math.sqrt(times)
    ranked = sorted(scores, key=lambda word: (-scores[word], word))
    return [_usual_form(word, answers) for word in ranked[:count] if scores[word] > 0]


def _documents(answers: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for answer in answers:
        found.update({word.lower() for word in _WORD.findall(answer)})
    return found


def _usual_form(word: str, answers: Sequence[str]) -> str:
    forms = Counter(f for answer in answers for f in _WORD.findall(answer) if f.lower() == word)
    best: str = forms.most_common(1)[0][0]
    return best
