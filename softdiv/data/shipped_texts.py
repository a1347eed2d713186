"""The texts that come with softdiv, so that a first result needs no download."""

from __future__ import annotations

import functools
import json
from collections import Counter
from importlib import resources
from pathlib import Path


@functools.cache
def user_texts() -> tuple[tuple[str, str, str], ...]:
    """(id, text, category) of several hundred varied user texts."""
    return tuple((r["id"], r["text"], r["category"]) for r in _records("user_texts.jsonl"))


@functools.cache
def natural_prompts() -> tuple[str, ...]:
    """Short prompts a curious auditor might try; the pool of the ``natural_pool`` baseline. One of
    each group after another, so that the first ones are of every kind."""
    places: Counter[str] = Counter()
    ranked = []
    for record in _records("natural_prompts.jsonl"):
        ranked.append((places[record["group"]], record["text"]))
        places[record["group"]] += 1
    return tuple(text for _, text in sorted(ranked, key=lambda one: one[0]))


def shipped_nulls() -> Path:
    """The file of benign pairs that come with softdiv."""
    return Path(str(resources.files("softdiv.data").joinpath("shipped").joinpath("nulls.toml")))


def shipped_null_bank(settings: str) -> Path:
    """Where a null bank for one set of settings lies, if one comes with softdiv."""
    folder = resources.files("softdiv.data").joinpath("shipped").joinpath("null_banks")
    return Path(str(folder.joinpath(f"{settings}.json")))


def _records(name: str) -> list[dict[str, str]]:
    folder = resources.files("softdiv.data").joinpath("shipped")
    content = folder.joinpath(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in content.splitlines()]
