"""A recipe describes an organism; the detector tells whether it behaves."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from softdiv.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


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
