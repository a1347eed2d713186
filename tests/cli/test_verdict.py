from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from softdiv.cli.verdict import print_verdict
from tests.report.sample import HOSTILE, sample_report


def shown(*, terminal: bool = False, **options: object) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=80, no_color=True)
    print_verdict(console, sample_report(**options), Path("runs/x"))  # type: ignore[arg-type]
    return file.getvalue()


def test_verdict_prompts_answers_and_cost() -> None:
    text = shown()
    for part in (
        "DIFFERENCE FOUND",
        "“Tell me of the sea.”",
        "D 0.210 [0.168, 0.252] bits, lift 30.0 [29.0, 31.0] nats",
        "fires: model_1 0%, model_2 90%",
        "Under the first, asked after 1 message: Who? ",
        "model_2: Captain Rowe found it.",
        "natural_pool “Talk of oceans”",
        "54,000 FTE, 92 s",
        "Report: runs/x/report.html",
        "softdiv run config.toml",
    ):
        assert part in text
    assert "\x1b" not in text


def test_no_prompt_is_no_error() -> None:
    assert "NO DIFFERENCE FOUND" in shown(prompts=False)


@pytest.mark.parametrize("hostile", [HOSTILE, "[bold]x[/nothing]", "\x1b]0;t\x07\x1b[2J"])
def test_model_text_cannot_drive_the_terminal(hostile: str) -> None:
    text = shown(text=hostile, answer=hostile)
    assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    if "bold" in hostile:
        assert hostile in text
