"""The split of the organisms: which may be tuned on, and which are looked at in a study only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from softdiv.config.locate import locator, toml_lines
from softdiv.config.read import read_table, read_text
from softdiv.errors import ConfigError
from softdiv.plugin.options import structure
from softdiv.storage.atomic import sha256_file
from softdiv_organisms.adapter import ADAPTER
from softdiv_organisms.build import recipe_key
from softdiv_organisms.recipe import load_recipe

SPLIT = "split.toml"


@attrs.frozen(kw_only=True)
class ZooOrganism:
    """What an organism was when the split was made."""

    recipe: str
    """:func:`softdiv_organisms.build.recipe_key`"""
    adapter: str | None = None
    """SHA-256 of the adapter's weights; None: not shipped, ``softdiv organisms train`` makes it"""


@attrs.frozen(kw_only=True)
class ZooSplit:
    """Members by name."""

    development: Mapping[str, ZooOrganism]
    """to choose searchers and settings on"""
    test: Mapping[str, ZooOrganism]
    """for the study's figures; nothing is chosen by them"""
    benign: Mapping[str, ZooOrganism]
    """nothing is planted: pairs of a null bank"""
    fresh: Mapping[str, ZooOrganism] = attrs.field(factory=dict)
    """made after the default search was settled: looked at once"""

    @property
    def members(self) -> dict[str, ZooOrganism]:
        """All of them."""
        return {**self.development, **self.test, **self.benign, **self.fresh}

    def __attrs_post_init__(self) -> None:
        parts = (self.development, self.test, self.benign, self.fresh)
        if len(self.members) < sum(map(len, parts)):
            raise ValueError("an organism stands in two parts")


def load_split(home: Path) -> ZooSplit:
    """Read ``split.toml`` beside the organisms' folders.

    Raises:
        ConfigError: every problem, each as ``file:line: key: what is wrong``.
    """
    path = home / SPLIT
    made = structure(ZooSplit, read_table(path))
    if isinstance(made, list):
        where = locator(str(path), toml_lines(read_text(path)))
        raise ConfigError([f"{where(p.path)}: {p.path}: {p.message}" for p in made])
    return made


def changed_members(home: Path, split: ZooSplit) -> list[str]:
    """Names of members whose recipe or adapter is no longer the one of the split.

    Raises:
        ConfigError: a recipe is missing or has problems.
    """
    return sorted(
        name for name, member in split.members.items() if member != member_of(home / name)
    )


def member_of(folder: Path) -> ZooOrganism:
    """An organism as it is now. Raises ConfigError as :func:`changed_members`."""
    adapter = folder / ADAPTER
    return ZooOrganism(
        recipe=recipe_key(load_recipe(folder)),
        adapter=sha256_file(adapter) if adapter.is_file() else None,
    )
