"""Report -> Markdown; model text cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from softdiv.analysis.figures import drawable
from softdiv.plain_text import clipped, markdown, markdown_table, visible
from softdiv.plugin.records import Curve
from softdiv.report.conversation import Turn, answers, turns
from softdiv.report.facts import page, placement
from softdiv.report.formatting import number
from softdiv.report.html import environment
from softdiv.report.model import Report

ANSWERS_SHOWN = 3
LONGEST_TEXT, LONGEST_BEFORE = 4000, 400


def to_markdown(report: Report) -> str:
    """The whole report as one Markdown document."""
    named, place = report.evaluation.named, placement(report)
    shown = named.findings[:ANSWERS_SHOWN] if named else ()
    templates = environment(_finalize, autoescape=False)  # Markdown has other signs than HTML
    templates.filters.update(table=_table, points=_points, items=_items, turn=_turn, fence=_fence)
    document = templates.get_template("report.md.j2").render(
        **page(report),
        answers=[(found, turns(found, place), answers(found)) for found in shown],
        longest_before=LONGEST_BEFORE,
        drawable=drawable,
    )
    return f"{document}\n"


def _finalize(value: Any) -> Any:
    """Every text the template prints is clipped and escaped; what the filters made passes."""
    return value if not isinstance(value, str) or isinstance(value, Markup) else _text(value)


def _text(text: str, longest: int = LONGEST_TEXT) -> str:
    return markdown(clipped(text, longest))


def _turn(turn: Turn, longest: int = LONGEST_TEXT) -> Markup:
    """One message, the prompt in bold."""
    before, prompt, after = (
        _text(part, longest) for part in (turn.before, turn.prompt, turn.after)
    )
    parts = [before, f"**{prompt}**" if prompt else "", after]
    return _made(" ".join([f"{_text(turn.role.capitalize())}:", *filter(None, parts)]))


def _table(rows: Iterable[Sequence[Any]], head: Sequence[str]) -> Markup:
    def cells(row: Iterable[Any]) -> list[str]:
        return [clipped(number(cell), LONGEST_TEXT) for cell in row]

    return _made(markdown_table(cells(head), map(cells, rows)))


def _points(curve: Curve) -> Markup:
    columns = [[f"{x:g}" for x in curve.x], *curve.series.values()]
    return _table(zip(*columns, strict=True), (curve.x_label, *curve.series))


def _items(items: Iterable[str]) -> Markup:
    return _made("\n".join(f"- {_text(item)}" for item in items))


def _fence(text: str) -> Markup:
    """A code block no text can close: its fence is longer than any run of backticks inside."""
    shown = visible(clipped(text, LONGEST_TEXT))
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return _made(f"{fence}\n{shown}\n{fence}")


def _made(document: str) -> Markup:
    return Markup(document)  # noqa: S704 (of Markdown, in which every text is escaped)
