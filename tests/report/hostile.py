"""Texts that try to become something else, and a report that has one in every text field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from softdiv.plugin.records import Heatmap, Scatter, Section
from softdiv.report.model import Report
from tests.report.sample import sample_report

BESIDE = re.compile(r"config\.toml|analysis/[a-z0-9-]+\.(svg|csv)")
"""Files in the same run folder: no text has a say in where a link goes."""
CANARY = "http://127.0.0.1:9/canary"
"""replaced by a listening address where a browser is watched"""
PWN = f"document.title='PWNED';fetch('{CANARY}')"
HOSTILE_TEXTS = (
    # scripts
    f"<script>{PWN}</script>",
    f"<SCRIPT SRC={CANARY}.js></SCRIPT>",
    f"</td></table><script>{PWN}</script>",
    f"</style><script>{PWN}</script>",
    f"</title><script>{PWN}</script>",
    f"--><script>{PWN}</script><!--",
    f"]]><script>{PWN}</script>",
    f"<scr<script>ipt>{PWN}</scr</script>ipt>",
    f"<script\x00>{PWN}</script>",
    f"\"><script>{PWN}</script>",
    f"'><script>{PWN}</script>",
    # event handlers
    f'<img src=x onerror="{PWN}">',
    f'" onmouseover="{PWN}" autofocus onfocus="{PWN}',
    f"' onclick='{PWN}",
    f"<body onload=\"{PWN}\">",
    f"<details open ontoggle=\"{PWN}\">",
    f"<video><source onerror=\"{PWN}\"></video>",
    f"<input autofocus onfocus=\"{PWN}\">",
    f"<marquee onstart=\"{PWN}\">",
    # things that fetch
    f"<img src={CANARY}.png>",
    f"<link rel=stylesheet href={CANARY}.css>",
    f"<iframe src={CANARY}></iframe>",
    f"<object data={CANARY}></object>",
    f"<meta http-equiv=refresh content='0;url={CANARY}'>",
    f"<base href={CANARY}/>",
    f"<form action={CANARY}><button>go</button></form>",
    f"<style>@import '{CANARY}.css'; body {{ background: url({CANARY}) }}</style>",
    f"red;background:url({CANARY})",
    # urls
    f"<a href=\"javascript:{PWN}\">x</a>",
    f"javascript:{PWN}",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    # svg and mathml
    f"<svg onload=\"{PWN}\">",
    f"<svg><script>{PWN}</script></svg>",
    f"<svg><image href={CANARY}.png /></svg>",
    f"</text></g></svg><script>{PWN}</script>",
    f"<math><mtext><script>{PWN}</script></mtext></math>",
    # templates and mathtext
    "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "$\\frac{1}{$ $x^{2$",
    # terminals
    "\x1b[2J\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\x1b]8;;http://127.0.0.1:9/\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J\x90q\x9c\r\x08\x08",
    # what cannot be seen
    "a\u202egnp.exe\u2066b\u2069",
    "nul\x00byte\ud800surrogate\u200b\ufeff",
    "\U000e0041\U000e0042 tags, \ue000 private",
    # spreadsheets and markdown
    "=HYPERLINK(\"http://127.0.0.1:9/\",\"x\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "[x](javascript:alert(1)) ![x](http://127.0.0.1:9/x.png) <http://127.0.0.1:9/>",
    "```\n# heading\n| a | b |\n|---|---|\n<!--",
    # size
    "A<b>" * 50_000,
)  # fmt: skip


def report_of(text: str, *, figures: bool) -> Report:
    """A report with every kind of content and ``text`` in every text field and key.

    Args:
        figures: keep the figures' data; drawing them is most of the time.
    """
    filled: Report = _filled(_whole(figures), text)
    return filled


def _whole(figures: bool) -> Report:
    report = sample_report()
    token = report.evaluation.prompts[0].findings[0].tokens_2[0]
    findings = tuple(
        attrs.evolve(f, tokens_1=(token,)) for f in report.evaluation.prompts[0].findings
    )
    best = attrs.evolve(report.evaluation.prompts[0], findings=findings)
    section = report.sections[0]
    drawn = Section(
        title="s",
        summary="s",
        curves=section.curves,
        heatmaps=(
            Heatmap(title="h", x_label="x", y_label="y", x=("a",), y=("b",), values=((1.0,),),
                    unit="u"),
        ),
        scatters=(Scatter(title="t", x_label="x", y_label="y", groups={"g": ((0.0, 1.0),)}),),
    )  # fmt: skip
    plain = attrs.evolve(section, curves=())
    return attrs.evolve(
        report,
        evaluation=attrs.evolve(report.evaluation, prompts=(best, *report.evaluation.prompts[1:])),
        sections=(plain, drawn) if figures else (plain,),
        training_curve=report.training_curve if figures else None,
    )


def _filled(value: Any, text: str) -> Any:
    if isinstance(value, str):
        return text
    if attrs.has(type(value)):
        changes = {
            field.alias: _filled(getattr(value, field.name), text)
            for field in attrs.fields(type(value))
        }
        return type(value)(**changes)
    if isinstance(value, Mapping):
        return {f"{text}{n}": _filled(item, text) for n, item in enumerate(value.values())}
    if isinstance(value, (list, tuple)):
        return tuple(_filled(item, text) for item in value)
    return value
