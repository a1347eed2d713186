"""YAML into plain values: the safe loader, stricter where YAML is lax."""

from __future__ import annotations

import re
from typing import Any

import yaml

from softdiv.config.limits import MOST


class Loader(yaml.SafeLoader):
    """A key given twice is refused, as in TOML, and ``1e-4`` is a number.

    YAML 1.1 wants ``1.0e-4``; people write the former.
    """

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """``<<: *other``; merges of merges multiply, so their number has an end."""
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > MOST:
            raise yaml.constructor.ConstructorError(
                None, None, f"holds more than {MOST:,} values", node.start_mark
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the safe loader does. Raises ConstructorError for a key given twice."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value[:60]}' is given twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)
