"""Does a section hold together? A plugin's may not, and what was read from a file may not."""

from __future__ import annotations

from softdiv.plugin.records import Section


def misshapen(section: Section) -> str:
    """What does not fit in a section's tables and figures; empty where all does."""
    for table in section.tables:
        if any(len(row) != len(table.columns) for row in table.rows):
            return f"table '{table.title}' has a row of another width than its columns"
    for curve in section.curves:
        if any(len(values) != len(curve.x) for values in curve.series.values()):
            return f"curve '{curve.title}' has a series of another length than its axis"
    for heatmap in section.heatmaps:
        widths = {len(row) for row in heatmap.values}
        if len(heatmap.values) != len(heatmap.y) or widths - {len(heatmap.x)}:
            return f"heatmap '{heatmap.title}' has not as many values as its axes"
    return ""
