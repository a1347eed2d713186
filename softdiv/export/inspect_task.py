"""Inspect's task ``softdiv/prompts``; the only module that imports inspect_ai.

Inspect finds it by softdiv's entry point in the group ``inspect_ai``.
"""

from __future__ import annotations

import collections
import re
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Score, Scorer, Target, grouped, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

from softdiv.errors import DataError
from softdiv.storage.atomic import read_json_lines

_ROLES = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}


# inspect_ai is an extra: where it is not installed, mypy sees its decorators without types
@task(name="prompts")  # type: ignore[untyped-decorator]
def prompts(samples: str) -> Task:
    """What a softdiv run asked, and whose recorded answers the answers are like.

    Args:
        samples: ``samples.jsonl`` of ``softdiv export RUN --format inspect``.

    Raises:
        DataError: the file holds no such samples.
    """
    lines = read_json_lines(Path(samples))
    if not lines:
        raise DataError(
            f"{samples} holds no samples", fix="softdiv export RUN --format inspect writes them"
        )
    return Task(
        dataset=MemoryDataset([_sample(samples, line) for line in lines], name="softdiv"),
        solver=generate(),
        scorer=like_suspect(),
    )


def _sample(file: str, line: Any) -> Sample:
    try:
        messages: list[ChatMessage] = [
            _ROLES[message["role"]](content=message["content"]) for message in line["messages"]
        ]
        return Sample(
            id=line["id"],
            input=messages,
            target=line["model_2"],
            metadata={"prompt": line["prompt"] or "(no prompt)", "model_1": line["model_1"]},
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{file} has a line that is no sample: {error!r}") from error


@scorer(metrics=[grouped(mean(), "prompt"), stderr()])  # type: ignore[untyped-decorator]
def like_suspect() -> Scorer:
    """1 where an answer has more words of the suspect's than of the original's, 0 where fewer,
    0.5 where as many."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        original, suspect = f1(answer, state.metadata["model_1"]), f1(answer, target.text)
        return Score(
            value=0.5 if suspect == original else float(suspect > original),
            answer=answer,
            explanation=f"words shared: model_1 {original:.2f}, model_2 {suspect:.2f}",
        )

    return score


def f1(answer: str, recorded: str) -> float:
    """F1 of two texts' words, each counted as often as it occurs; 0 where they share none."""
    one, two = _words(answer), _words(recorded)
    total = one.total() + two.total()
    return 2 * (one & two).total() / total if total else 0.0


def _words(text: str) -> collections.Counter[str]:
    return collections.Counter(re.findall(r"[^\W_]+", text.lower()))
