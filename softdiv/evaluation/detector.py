"""The detector of a planted organism: ground truth beside what was found, never searched with."""

from __future__ import annotations

import re
from pathlib import Path

from softdiv.config.read import read_table
from softdiv.errors import ConfigError


def load_detector(folder: Path) -> re.Pattern[str]:
    """What fires on the planted behaviour, from ``planted.detector`` of the folder's recipe.

    Nothing else of the recipe is looked at: that is for softdiv-organisms, which trains it.

    Raises:
        ConfigError: no recipe there, nothing is planted, or no regular expression tells it.
    """
    path = folder / "recipe.toml"
    if not folder.is_dir():
        raise ConfigError(f"no organism at {folder}", fix="give a folder with a recipe.toml")
    if not path.is_file():
        raise ConfigError(f"no organism at {folder}: {path} does not exist")
    planted = read_table(path).get("planted")
    if planted is None:
        raise ConfigError(f"{path}: nothing is planted, so nothing detects it")
    found = planted.get("detector") if isinstance(planted, dict) else None
    if not isinstance(found, str):
        raise ConfigError(f"{path}: planted.detector: expected a regular expression as text")
    try:
        return re.compile(found)
    except re.error as error:
        raise ConfigError(f"{path}: planted.detector: no regular expression: {error}") from error
