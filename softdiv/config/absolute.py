"""Paths of a config, wherever its run is opened from: chat, a stage, a run again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from softdiv.config.load import ExperimentConfig

C = TypeVar("C", bound=ExperimentConfig)

_KEYS = frozenset(
    (
        *("path", "data_path", "file", "folder", "adapter", "tokenizer", "model", "encoder"),
        *("organism", "chat_template", "init_prompt", "deepspeed_config", "null_bank"),
    )
)
"""Keys and options that may hold a path; some of them hold names of a hub instead."""
_ENDINGS = ("_path", "_file", "_folder", "_dir")
_OTHERS = frozenset(("gguf_file", "output_dir"))
"""A file inside a model's folder, and where new runs go: neither is read."""


def with_absolute_paths(config: C) -> C:
    """The config with every path that leads somewhere from the working folder made absolute."""
    return type(config).from_dict(_absolute(config.to_dict()))


def _absolute(table: Any) -> Any:
    if isinstance(table, Mapping):
        return {key: _of_key(key, value) for key, value in table.items()}
    if isinstance(table, list):
        return [_absolute(item) for item in table]
    return table


def _of_key(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return _absolute(value)
    named = (key in _KEYS or key.endswith(_ENDINGS)) and key not in _OTHERS
    # a link stays the link: a model of a hub's cache is one
    return os.path.abspath(value) if named and value and _is_there(value) else value  # noqa: PTH100


def _is_there(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # too long, or not the name of a file at all
        return False
