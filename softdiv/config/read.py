"""A TOML or YAML file as a plain table, by its ending."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from softdiv.errors import ConfigError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ENDINGS = (".toml", ".yaml", ".yml")


def read_table(path: Path) -> dict[str, Any]:
    """The whole file as a table. Raises ConfigError."""
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """Raises ConfigError with the closest name in the folder if the file is missing."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"config {path} does not exist", fix=_neighbours(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path} cannot be read: {error}") from error


def is_yaml(path: Path) -> bool:
    """By the ending; everything else is TOML."""
    return path.suffix in (".yaml", ".yml")


def parse(text: str, path: Path) -> dict[str, Any]:
    """``text`` as the file's ending says. Raises ConfigError naming ``path``."""
    return _parse_yaml(text, path) if is_yaml(path) else _parse_toml(text, path)


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error


def _parse_yaml(text: str, path: Path) -> dict[str, Any]:
    import yaml

    try:
        table = yaml.load(text, _safe_loader())  # noqa: S506 (a SafeLoader with 1e-4 as a number)
        json.dumps(table, default=str, skipkeys=True)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    except ValueError as error:  # json's, or a date that does not exist
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: expected a table at the top level")
    return table


def _safe_loader() -> Any:
    """YAML 1.1 reads ``1e-4`` as text (it wants ``1.0e-4``); people write the former."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
    return Loader


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"folder {folder} does not exist either"
    return did_you_mean(path.name, [p.name for p in folder.glob("*") if p.suffix in _ENDINGS])
