"""Every line of the table of errors in docs/cli.md: the exit code, the words, no traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from softdiv.storage.manifest import read_manifest, write_manifest

from .conftest import Call

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
ROW = re.compile(r"^\| `softdiv (?P<command>[^`]+)` \| (?P<code>\d+) \| (?P<error>.+) \|$", re.M)
TABLE = [match.groups() for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


def test_the_table_is_read() -> None:
    assert len(TABLE) > 20


@pytest.fixture
def places(run: Path, config_file: Path, tmp_path: Path) -> dict[str, str]:
    empty = tmp_path / "empty"
    empty.mkdir()
    write_manifest(empty, {**read_manifest(run), "stages": {}})
    (empty / "config.toml").write_text((run / "config.toml").read_text())
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").write_text("precious")
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{oops\n')
    found = {"RUN": run, "CONFIG": config_file, "EMPTY": empty, "HERE": tmp_path / "here"}
    return {name: str(path) for name, path in {**found, "BAD": tmp_path / "bad.jsonl"}.items()}


@pytest.mark.parametrize(("command", "code", "error"), TABLE, ids=[row[0] for row in TABLE])
def test_a_documented_error(
    command: str,
    code: str,
    error: str,
    places: dict[str, str],
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def filled(text: str) -> str:
        return re.sub(r"\b(RUN|CONFIG|EMPTY|HERE|BAD)\b", lambda m: places[m[0]], text)

    words = [filled(w) for w in re.split(r"\s+", command)]
    assert call(*words) == int(code)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    pattern = ".*".join(re.escape(part) for part in filled(error).split("…"))
    assert any(re.fullmatch(pattern, line.removeprefix("error: ")) for line in lines), lines
