from __future__ import annotations

import re

import pytest

from softdiv.report.markdown import to_markdown
from tests.report.sample import HOSTILE, sample_report


def outside_fences(document: str) -> str:
    return re.sub(r"^(`{3,})\n.*?\n\1$", "", document, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("prompts", [True, False])
def test_hostile_text_is_no_markup(prompts: bool) -> None:
    document = to_markdown(
        sample_report(prompts=prompts, text=HOSTILE, answer=HOSTILE + "\n```\n# x")
    )
    prose = outside_fences(document)
    assert "<script>" not in prose
    assert "](javascript" not in prose
    assert "\n# x" not in prose
    assert "\x1b" not in document and "\x00" not in document
    document.encode()


def test_table_rows_keep_their_width() -> None:
    document = to_markdown(sample_report(text="a | b\nc"))
    tables = re.findall(r"(?:^\|.*\n)+", document, flags=re.MULTILINE)
    assert sum("| a " in table for table in tables) >= 2  # prompts, metrics
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_no_prompt_is_said() -> None:
    assert "No text prompt was found." in to_markdown(sample_report(prompts=False))


def test_what_was_said_before_a_text_is_shown() -> None:
    assert "\nSystem: Stay calm. " in to_markdown(sample_report())
