"""``softdiv metrics list`` and its siblings."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from softdiv.cli.main import softdiv
from softdiv.plugin.interfaces import KINDS, Kind
from softdiv.plugin.manager import PluginManager


def lines(*arguments: str) -> list[list[str]]:
    result = CliRunner().invoke(softdiv, list(arguments))
    assert result.exit_code == 0, result.output
    return [line.split(maxsplit=2) for line in result.output.splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_read_from_the_source_is_what_is_registered(kind: Kind) -> None:
    """Fails when a built-in registers in a way that its source does not spell out."""
    entries = PluginManager.load().registry.entries(kind)
    assert entries
    assert [(name, plugin) for name, plugin, _ in lines(kind, "list")] == [
        (entry.name, entry.plugin) for entry in entries
    ]
    assert all(about.strip() for _, _, about in lines(kind, "list"))


def test_a_plugin_s_components_come_after_the_built_in_ones() -> None:
    rows = lines("metrics", "list", "--plugin", "rank-overlap")
    assert rows[-1][0] == "rank_overlap"
    assert rows[-1][2].startswith("(softdiv-rank-overlap 0.1.0)")
    assert rows[0][0] == "jsd"
    assert "softdiv_rank_overlap" in sys.modules
