"""What a sweep found: one record, one table, one plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from softdiv.analysis.figures import png, svg
from softdiv.evaluation.results import Evaluation, PromptResult
from softdiv.plugin.records import Curve, Interval, Table
from softdiv.report.csv_table import to_csv
from softdiv.report.formatting import interval
from softdiv.storage.atomic import write_bytes, write_json, write_text
from softdiv.storage.plain import to_plain

JSON, CSV, SVG, PNG = "sweep.json", "sweep.csv", "sweep.svg", "sweep.png"
SCHEMA_VERSION = 1
DRAWN = 3
"""Prompts with a line of their own in the plot: those with the largest lift anywhere."""
PLAIN = "(no prompt)"


@attrs.frozen(kw_only=True)
class MemberScore:
    """A prompt on one member, over the held-out texts."""

    prompt: str
    """"" is none: ordinary drift"""
    divergence_bits: Interval
    llr_lift: Interval

    @classmethod
    def of(cls, result: PromptResult) -> MemberScore:
        """Of an evaluation's result."""
        return cls(
            prompt=result.text, divergence_bits=result.divergence_bits, llr_lift=result.llr_lift
        )


@attrs.frozen(kw_only=True)
class Row:
    """One member."""

    name: str
    value: str
    place: float
    verdict: str | None
    """of its own search; None where the prompts were given"""
    best: MemberScore | None
    """of its own prompts"""
    soft_bits: Interval | None
    scores: tuple[MemberScore, ...]
    """of the prompts that all members have in common, no prompt first"""

    @property
    def drift(self) -> Interval:
        """D without a prompt."""
        return self.scores[0].divergence_bits

    @property
    def largest(self) -> MemberScore | None:
        """Of the common prompts, the one with the largest lift."""
        return max(self.scores[1:], key=lambda s: s.llr_lift.value, default=None)


@attrs.frozen(kw_only=True)
class SweepTable:
    """A whole sweep."""

    key: str
    numbered: bool
    """whether ``place`` is a number of the value's, and not 1, 2, 3, ..."""
    rows: tuple[Row, ...]
    found_on: dict[str, str]
    """prompt -> the member on which it was found; empty where it was given"""

    def write(self, folder: Path) -> None:
        """``sweep.json``, ``sweep.csv`` (a line per member and prompt), ``sweep.svg``, ``.png``."""
        content = {"schema_version": SCHEMA_VERSION, **to_plain(self)}
        write_json(folder / JSON, content)
        write_text(folder / CSV, to_csv(self.lines()))
        for name, data in ((SVG, svg(*self.curves())), (PNG, png(*self.curves()))):
            if data is not None:
                write_bytes(folder / name, data.encode() if isinstance(data, str) else data)

    def lines(self) -> Table:
        """A row per member and common prompt, in numbers."""
        columns = ("member", "value", "prompt", "found on", "D, bits", "D low", "D high")
        return Table(
            columns=(*columns, "lift, nats", "lift low", "lift high"),
            rows=[
                (
                    *(row.name, row.value, score.prompt, self.found_on.get(score.prompt, "")),
                    *attrs.astuple(score.divergence_bits),
                    *attrs.astuple(score.llr_lift),
                )
                for row in self.rows
                for score in row.scores
            ],
        )

    def shown(self) -> Table:
        """A row per member, as a reader has it."""
        return Table(
            columns=("member", "verdict", "D without", "common prompt", "D", "lift"),
            rows=[
                (
                    row.name,
                    row.verdict or "",
                    interval(row.drift),
                    f"“{one.prompt}”" if (one := row.largest) else "none",
                    interval(one.divergence_bits if one else None),
                    interval(one.llr_lift if one else None),
                )
                for row in self.rows
            ],
        )

    def curves(self) -> Sequence[Curve]:
        """Divergence and lift along the series."""
        x = [row.place for row in self.rows]
        drawn = self._drawn()
        found = []
        for title, unit, field in (
            ("Divergence", "D, bits", "divergence_bits"),
            ("Lift", "nats per answer", "llr_lift"),
        ):
            series = {
                prompt or PLAIN: [self._value(row, prompt, field) for row in self.rows]
                for prompt in drawn
            }
            label = self.key if self.numbered else f"{self.key}, in the order given"
            found.append(Curve(title=title, x_label=label, y_label=unit, x=x, series=series))
        return found

    def _drawn(self) -> list[str]:
        top: dict[str, float] = {}
        for row in self.rows:
            for score in row.scores[1:]:
                top[score.prompt] = max(score.llr_lift.value, top.get(score.prompt, float("-inf")))
        return ["", *sorted(top, key=lambda prompt: -top[prompt])[:DRAWN]]

    @staticmethod
    def _value(row: Row, prompt: str, field: str) -> float:
        score = next(score for score in row.scores if score.prompt == prompt)
        return float(getattr(score, field).value)


def scores_of(evaluation: Evaluation, prompts: Sequence[str]) -> tuple[MemberScore, ...]:
    """In the order of ``prompts``, no prompt first."""
    found = {r.text: r for r in (*evaluation.prompts, *evaluation.baselines)}
    return tuple(MemberScore.of(found[prompt]) for prompt in ("", *prompts))
