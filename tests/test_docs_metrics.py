"""docs/metrics.md names every built-in metric, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from softdiv.plugin.manager import PluginManager

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


def test_the_page_lists_the_registered_metrics() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [entry.name for entry in PluginManager.load().registry.entries("metrics")]
