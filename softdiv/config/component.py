"""A component named in a config: which one, and its options as written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import attrs

from softdiv.plugin.strict import shown

C = TypeVar("C", bound="ComponentConfig")


@attrs.frozen
class ComponentConfig:
    """``{ name = "jsd", ... }``. The options are checked against the component's own class."""

    KEY: ClassVar[str] = "name"
    name: str
    options: Mapping[str, Any] = attrs.field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The table as it is written in TOML."""
        return {self.KEY: self.name, **self.options}

    @classmethod
    def from_table(cls: type[C], value: Any) -> C:
        """From a table, or from a bare name.

        Raises:
            ValueError: no name, or neither table nor text.
        """
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, Mapping):
            raise ValueError(f'expected a table like {{ {cls.KEY} = "..." }}, got {shown(value)}')
        if not isinstance(value.get(cls.KEY), str):
            raise ValueError(f'this table needs {cls.KEY} = "..."')
        return cls(value[cls.KEY], {k: v for k, v in value.items() if k != cls.KEY})


@attrs.frozen
class LoaderConfig(ComponentConfig):
    """``{ loader = "hf", path = "..." }``: a model of the pair."""

    KEY: ClassVar[str] = "loader"


def unique_names(components: Sequence[ComponentConfig]) -> list[str]:
    """Names for the report; a component used twice gets ``name``, ``name-2``, ..."""
    counts: dict[str, int] = {}
    names = []
    for component in components:
        counts[component.name] = number = counts.get(component.name, 0) + 1
        names.append(component.name if number == 1 else f"{component.name}-{number}")
    return names
