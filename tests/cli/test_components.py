"""``softdiv metrics list`` and its siblings."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from softdiv.cli.main import softdiv
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.manager import PluginManager


def rows(*arguments: str) -> list[tuple[str, str, str]]:
    """(component, plugin, the rest) of each line."""
    result = CliRunner().invoke(softdiv, list(arguments))
    assert result.exit_code == 0, result.output
    found = [line.split(maxsplit=2) for line in result.output.splitlines()]
    return [(name, plugin, rest) for name, plugin, rest in found]


@pytest.mark.parametrize("kind", KINDS)
def test_read_from_the_source_is_what_is_registered(kind: Kind) -> None:
    """Fails when a built-in registers in a way that its source does not spell out."""
    entries = PluginManager.load().registry.entries(kind)
    assert entries
    listed = rows(kind, "list")
    assert [(name, plugin) for name, plugin, _ in listed] == [
        (entry.name, entry.plugin.split("'")[1]) for entry in entries
    ]
    assert all(rest.partition(")")[2].strip() for _, _, rest in listed)


def test_a_plugin_s_components_come_after_the_built_in_ones() -> None:
    listed = rows("metrics", "list", "--plugin", "rank-overlap")
    assert listed[0][0] == "jsd"
    assert listed[-1][:2] == ("rank_overlap", "rank-overlap")
    assert listed[-1][2].startswith("(softdiv-rank-overlap 0.1.0)")
    assert "softdiv_rank_overlap" in sys.modules
