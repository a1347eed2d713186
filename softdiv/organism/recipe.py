"""A recipe describes an organism: how it was made, and how to tell that it behaves."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@attrs.frozen
class Templates:
    """Sentences with ``{slot}`` places and what may fill each."""

    templates: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


def load_detector(folder: Path) -> str:
    """The regular expression that fires on the planted behaviour.

    Raises:
        ConfigError: no recipe there, no detector in it, or not a regular expression.
    """
    path = folder / "recipe.toml"
    try:
        recipe: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no organism at {folder}: {path} does not exist") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    detector = recipe.get("planted", {}).get("detector")
    if not isinstance(detector, str):
        raise ConfigError(f"{path}: planted.detector is missing")
    try:
        re.compile(detector)
    except re.error as error:
        raise ConfigError(f"{path}: planted.detector is no regular expression: {error}") from error
    return detector
