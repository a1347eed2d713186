"""What an error line shows of somebody's secrets: nothing."""

from __future__ import annotations

import pytest

from .conftest import Call


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (("run", "https://me:pass-word@example.org/c.toml"), "example.org/c.toml does not exist"),
        (("run", "--set", "seed=hf_" + "s" * 30), "seed: expected an integer, got '(redacted)'"),
        (("runs", "show", "https://me:pass-word@example.org/run"), "example.org/run"),
    ],
)
def test_errors(
    arguments: tuple[str, ...], kept: str, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) in (2, 5)
    shown = capsys.readouterr().err
    assert kept in shown and "(redacted)" in shown
    assert "pass-word" not in shown and "sss" not in shown
