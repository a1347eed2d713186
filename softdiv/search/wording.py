"""In which words a suspected word becomes a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from softdiv.divergence.rollouts import FROM_MODEL_2
from softdiv.divergence.sampler import streams
from softdiv.search.candidate_words import LEAD
from softdiv.search.task import SearchTask

WORDINGS = (LEAD, "I like {}.", "{}.")
NEAR_LIFT = 0.1
"""Of the best lift, within which the shortest wording wins."""


def worded(
    task: SearchTask, word: str, texts: int, tokens: int, shorter: Sequence[str] = ()
) -> str:
    """The wording under which model_2's answers are least model_1's; the shortest if near.

    Args:
        texts: user texts beside which each is tried; 0 takes the first wording untried.
        tokens: length of the answers.
        shorter: beginnings of the word that may be all of it, each tried in the last wording.
    """
    wordings = [w.format(word) for w in WORDINGS] + [WORDINGS[-1].format(w) for w in shorter]
    prompts = [p for p in wordings if task.usable(p)]
    if not texts:
        return prompts[0]
    examples = task.texts(texts)
    items = [(prompt, example) for prompt in prompts for example in examples]
    ratios: list[float] = []
    for result in task.sample(
        [task.layout.hard(example, prompt) for prompt, example in items],
        [FROM_MODEL_2] * len(items),
        streams("worded", [example for _, example in items]),
        tokens,
    ):
        ratios += result.summed_ratio().tolist()
    size = len(examples)
    lifts = [sum(ratios[i : i + size]) / size for i in range(0, len(ratios), size)]
    top = max(lifts)
    good = [p for p, v in zip(prompts, lifts, strict=True) if v >= top - NEAR_LIFT * abs(top)]
    return min(good, key=len)
