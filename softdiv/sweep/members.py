"""The pairs of a sweep: one config each, that differs in the value of one key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import attrs

from softdiv.config.load import ExperimentConfig, toml_value
from softdiv.errors import ConfigError
from softdiv.storage.atomic import to_json

LONGEST = 48
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@attrs.frozen
class Series:
    """``KEY=a,b,c``."""

    key: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, text: str) -> Series:
        """From the command line: values between commas, or one array in TOML.

        Raises:
            ConfigError: it is no key with values, or a value comes twice.
        """
        key, _, raw = (part.strip() for part in text.partition("="))
        found = toml_value(raw) if raw.startswith("[") else [v.strip() for v in raw.split(",")]
        values = tuple(found) if isinstance(found, list) else ()
        plain = all(isinstance(v, (str, int, float)) and v != "" for v in values)
        if not key or not values or not plain:
            raise ConfigError(
                f"--over {text}: expected KEY=VALUE,VALUE,...",
                fix="e.g. pair.model_2.revision=step100,step200, or KEY=['a,b', 'c']",
            )
        if len(set(map(str, values))) < len(values):
            raise ConfigError(f"--over {text}: a value comes twice")
        return cls(key, values)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members and their folders: the values, of paths the last part where those
        differ."""
        short = tuple(map(name_of, self.values))
        # file systems that take a and A for one
        alike = len({name.lower() for name in short}) < len(short)
        return tuple(name_of(value, told_apart=True) for value in self.values) if alike else short

    @property
    def settings(self) -> Mapping[str, str]:
        """Name of each member -> ``KEY=VALUE``, as ``--set`` has it."""
        written = (f"{self.key}={to_json(value, indent=None)}" for value in self.values)
        return dict(zip(self.names, written, strict=True))

    @property
    def places(self) -> tuple[float, ...]:
        """Where each member stands on an axis: the number its value is, or differs by, as a
        checkpoint's step; else 1, 2, 3, ..."""
        return _numbers([str(value) for value in self.values]) or tuple(
            float(place) for place in range(1, len(self.values) + 1)
        )

    @property
    def numbered(self) -> bool:
        """Whether :attr:`places` are of the values."""
        return bool(_numbers([str(value) for value in self.values]))


@attrs.frozen(kw_only=True)
class Member:
    """One pair of the sweep."""

    name: str
    value: Any
    place: float
    config: ExperimentConfig


def name_of(value: Any, *, told_apart: bool = False) -> str:
    """A folder's name for a value: the last part of a path. What no folder should be called is
    told apart by a hash, or, with ``told_apart``, everything."""
    text = str(value)
    part = PurePath(text).name or text
    last = _ODD.sub("-", part).strip("-.")[:LONGEST]
    if last == part and not told_apart:
        return last
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{last or 'value'}-{digest}"


def _numbers(texts: Sequence[str]) -> tuple[float, ...]:
    """The one number in which all texts differ; empty where they differ otherwise, or not at all,
    or the numbers are in no order."""
    around = {_NUMBER.sub("#", text) for text in texts}
    columns = list(zip(*(map(float, _NUMBER.findall(text)) for text in texts), strict=False))
    differing = [column for column in columns if len(set(column)) > 1]
    if len(around) > 1 or len(differing) != 1:
        return ()
    found = differing[0]
    return found if list(found) in (sorted(found), sorted(found, reverse=True)) else ()
