"""``--texts FILE``: the source that reads it, by its ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SOURCES: Mapping[str, str] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    ".parquet": "parquet",
}
"""Ending (before .gz) -> source; a folder is a saved data set, anything else a text a line."""


def source(path: Path) -> dict[str, Any]:
    """The table of ``data.processors`` that reads a file or folder."""
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    name = "hub" if path.is_dir() else SOURCES.get(ending, "text")
    return {"name": name, "data_path": str(path)}


def with_texts(
    data: Mapping[str, Any], texts: Sequence[Path], *, keep_filters: bool
) -> dict[str, Any]:
    """A ``[data]`` table that reads these texts in place of its own.

    Args:
        keep_filters: what comes after the table's own sources stays; the shipped quickstart's
            filters suit its own short texts only.
    """
    rest = [p for p in data["processors"] if not (p["name"] == "shipped" or "data_path" in p)]
    sources = [source(path) for path in texts]
    # categories are names in the table's own sources
    return {
        **data,
        "processors": [*sources, *(rest if keep_filters else [])],
        "categories": [],
    }
