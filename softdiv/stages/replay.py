"""Known prompts on any pair, without training or search: a regression suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from softdiv.components import Prepared
from softdiv.data.lines import BadLines, is_unicode, json_objects
from softdiv.data.records import listed
from softdiv.errors import DataError
from softdiv.evaluation.evaluate import evaluate as score
from softdiv.evaluation.results import Evaluation
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.pair.memory import RowLimit
from softdiv.plugin.failures import Failures
from softdiv.plugin.records import HardPrompt
from softdiv.search.generator import SearchResult
from softdiv.stages.by_text import loaded_alone, scored
from softdiv.stages.evaluate import scorer
from softdiv.stages.load import detector, fitting, load_texts

ADVICE = 'a line is {"text": "..."}'
EXPECTED: dict[str, Any] = {
    "baseline": bool,
    "searcher": str,
    "cost_fte": int,
    "score_bits": (int, float),
}
"""Types of the keys that softdiv writes beside ``text``."""


PLAIN = SearchResult((), (HardPrompt(text="", searcher="empty"),))
"""No prompt: how the models behave by themselves."""


def read_suite(path: Path) -> SearchResult:
    """Prompts of a JSONL file: one object with ``text`` a line, other keys as softdiv writes them.

    ``hard_prompts.jsonl`` of a run is one; its baselines stay baselines. A text given twice is
    used once; a blank one is plain behaviour.

    Raises:
        DataError: the file is unreadable, has no prompt, or has bad lines, each named.
    """
    bad = BadLines("error", [], fix=ADVICE)
    groups: dict[bool, dict[str, HardPrompt]] = {False: {}, True: {}}
    for where, found in json_objects(str(path), bad):
        record = {key: value for key, value in found.items() if value is not None}
        if problem := _problem(record):
            bad.add(where, problem)
            continue
        prompt = HardPrompt(
            text=record["text"] if record["text"].strip() else "",
            searcher=record.get("searcher") or path.name,
            cost_fte=record.get("cost_fte", 0),
            score_bits=record.get("score_bits"),
            note=where,
        )
        groups[record.get("baseline", False)].setdefault(prompt.text, prompt)
    bad.settle()
    if not groups[False]:
        raise DataError(f"{path} holds no prompt", fix=ADVICE)
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
    if config.pair.by == "text":
        return _replayed_by_text(prepared, suite)
    texts = load_texts(prepared.parts, config.data, notes.append)
    pair = ModelPairManager(config.pair, prepared.registry, config.device).load()
    loaded = fitting(texts, pair, config, prepared.parts, notes.append)
    for prompt in (*suite.prompts, *suite.baselines):
        _check_prompt(prompt, pair, loaded.layout)
    evaluation = score(
        scorer(
            config,
            prepared.parts,
            loaded,
            Failures(prepared.registry),
            RowLimit(told=notes.append),
        ),
        suite.prompts,
        suite.baselines,
        soft=None,
        detector=detector(config),
    )
    return attrs.evolve(evaluation, failures=(*evaluation.failures, *pair.report.notes, *notes))


def _replayed_by_text(prepared: Prepared, suite: SearchResult) -> Evaluation:
    config, parts, notes = prepared.config, prepared.parts, list[str]()
    loaded = loaded_alone(config, parts, prepared.registry, notes.append)
    failures = Failures(prepared.registry)
    evaluation = scored(loaded, config, parts, suite, failures, notes.append)
    told = (*evaluation.failures, *loaded.pair.notes, *notes)
    return attrs.evolve(evaluation, failures=told)


def _check_prompt(prompt: HardPrompt, pair: ModelPair, layout: Layout) -> None:
    """Raises DataError with the prompt's place: a special token, or too long by itself."""
    where = f"{prompt.note}: " if prompt.note else ""
    try:
        layout.check_plain(prompt.text)
    except DataError as error:
        raise DataError(f"{where}{error}") from error
    size = len(layout.encode(prompt.text))
    for wrapper in (pair.model_1, pair.model_2):
        if wrapper.max_positions is not None and size > wrapper.max_positions:
            raise DataError(
                f"{where}{size:,} tokens do not fit into the {wrapper.max_positions:,} positions "
                f"of {wrapper.name}"
            )


def _problem(record: Mapping[str, Any]) -> str:
    """What is wrong with a line's object; empty if nothing is."""
    text = record.get("text")
    if "text" not in record:
        return f"no 'text', its keys are {listed(record)}" if record else "no 'text'"
    if not isinstance(text, str):
        return "the value of 'text' is no text"
    for key, kind in EXPECTED.items():
        value = record.get(key)
        if value is not None and not isinstance(value, kind):
            return f"'{key}' is {value!r}"
    if not is_unicode(text + record.get("searcher", "")):
        return "it holds a lone surrogate, half of a character"
    return ""
