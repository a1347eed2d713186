"""Known prompts on any pair, without training or search: a regression suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import torch

from softdiv.components import Prepared
from softdiv.errors import DataError
from softdiv.evaluation.evaluate import evaluate as score
from softdiv.evaluation.results import Evaluation
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPairManager
from softdiv.plugin.failures import Failures
from softdiv.plugin.records import HardPrompt
from softdiv.search.generator import SearchResult
from softdiv.stages.evaluate import detector, scorer
from softdiv.stages.load import load_texts
from softdiv.stages.work import Loaded

SHOWN = 5
"""Bad lines named in an error; the rest are counted."""


def read_suite(path: Path) -> SearchResult:
    """Prompts of a JSONL file: one object with ``text`` a line, other keys as softdiv writes them.

    ``hard_prompts.jsonl`` of a run is one; its baselines stay baselines. A text given twice is
    used once.

    Raises:
        DataError: the file is unreadable, has no prompt, or has bad lines, each named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"prompts {path} cannot be read", why=str(error)) from error
    groups: dict[bool, dict[str, HardPrompt]] = {False: {}, True: {}}
    problems = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _record(line)
        if isinstance(found, str):
            problems.append(f"{path}:{number}: {found}")
            continue
        prompt = HardPrompt(
            text=found["text"],
            searcher=found.get("searcher") or path.name,
            cost_fte=found.get("cost_fte", 0),
            score_bits=found.get("score_bits"),
        )
        groups[found.get("baseline", False)].setdefault(prompt.text, prompt)
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError("; ".join(problems[:SHOWN]) + more, fix='a line is {"text": "..."}')
    if not groups[False]:
        raise DataError(f"{path} holds no prompt", fix='a line is {"text": "..."}')
    return SearchResult(tuple(groups[False].values()), tuple(groups[True].values()))


def replay(prepared: Prepared, suite: SearchResult) -> Evaluation:
    """Held-out scores of given prompts, and the verdict. Nothing is written or kept.

    Raises:
        DataError: too few texts, or a prompt holds a special token of this pair's tokenizer.
        PairError: a model cannot be loaded, or the two cannot be compared.
    """
    config, notes = prepared.config, list[str]()
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    split = load_texts(prepared.parts, config.data, notes.append)
    pair = ModelPairManager(config.pair, prepared.registry, config.device).load()
    layout = Layout(pair.tokenizer, config.training.placement)
    evaluation = score(
        scorer(
            config,
            prepared.parts,
            Loaded(split, pair, layout),
            Failures(prepared.registry),
        ),
        suite.prompts,
        suite.baselines,
        soft=None,
        detector=detector(config),
    )
    return attrs.evolve(evaluation, failures=(*evaluation.failures, *notes))


def _record(line: str) -> dict[str, Any] | str:
    """The line's object, or what is wrong with it."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON: {error}"
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        return "no object with a 'text'"
    expected: dict[str, Any] = {
        "baseline": bool,
        "searcher": str,
        "cost_fte": int,
        "score_bits": (int, float),
    }
    for key, kind in expected.items():
        if found.get(key) is not None and not isinstance(found[key], kind):
            return f"'{key}' is {found[key]!r}"
    return {key: value for key, value in found.items() if value is not None}
