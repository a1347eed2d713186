"""A TOML or YAML file as a plain table, by its ending."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import Any

from softdiv.config.limits import DEEPEST, out_of_limits
from softdiv.errors import ConfigError, did_you_mean, in_one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ENDINGS = (".toml", ".yaml", ".yml")
LARGEST_FILE = 2**18
"""Bytes; every key softdiv knows takes 12 KB."""


def read_table(path: Path) -> dict[str, Any]:
    """The whole file as a table. Raises ConfigError."""
    table = parse(read_text(path), path)
    if problem := out_of_limits(table):
        raise ConfigError(f"{path}: {problem.path}: {problem.message}".replace(": : ", ": "))
    return table


def read_text(path: Path) -> str:
    """UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: missing (with the closest name in the folder), unreadable, too large, no text.
    """
    try:
        with path.open("rb") as stream:  # a pipe too, and no more of a device than this
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"config {path} does not exist", fix=_neighbours(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"config {path} cannot be read: {why}") from error
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"config {path} is larger than {LARGEST_FILE // 1024} KB")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"config {path} cannot be read: it is UTF-16", fix="save it as UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"config {path} cannot be read: line {line} is not UTF-8 text") from error


def is_yaml(path: Path) -> bool:
    """By the ending; everything else is TOML."""
    return path.suffix in (".yaml", ".yml")


def parse(text: str, path: Path) -> dict[str, Any]:
    """``text`` as the file's ending says. Raises ConfigError naming ``path``."""
    return _parse_yaml(text, path) if is_yaml(path) else _parse_toml(text, path)


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), start=1):
        key, equals, _ = line.partition("=")
        if equals and key.count(".") > DEEPEST:  # the parser takes the square of their number
            raise ConfigError(f"{path}:{number}: nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except ValueError as error:  # tomllib's own, and an integer of thousands of digits
        raise ConfigError(f"{path}: not valid TOML: {in_one_line(str(error))}") from error


def _parse_yaml(text: str, path: Path) -> dict[str, Any]:
    import yaml

    from softdiv.config.yaml_loader import Loader

    try:
        table = yaml.load(text, Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML: {in_one_line(str(error.problem))}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except Exception as error:  # a date that does not exist, a number of thousands of digits, ...
        raise ConfigError(f"{path}: not valid YAML: {in_one_line(str(error))}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: expected a table at the top level")
    return table


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"folder {folder} does not exist either"
    return did_you_mean(path.name, [p.name for p in folder.glob("*") if p.suffix in _ENDINGS])
