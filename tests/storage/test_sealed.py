from __future__ import annotations

import json
from pathlib import Path

import pytest

from softdiv.errors import RunError
from softdiv.storage.sealed import SEAL, read_sealed, write_sealed

TABLE = {"a": 0.1, "b": {"ü": ["\ud800", None, 1e300]}, "path": Path("x")}


def test_it_is_read_back_as_json(tmp_path: Path) -> None:
    write_sealed(tmp_path / "t.json", TABLE)
    assert read_sealed(tmp_path / "t.json") == {**TABLE, "path": "x"}
    text = (tmp_path / "t.json").read_text()
    (tmp_path / "t.json").write_text(text.replace(" ", "  "))  # the content, not the bytes
    assert read_sealed(tmp_path / "t.json")["a"] == 0.1


@pytest.mark.parametrize("change", [{"a": 0.2}, {"c": 1}, {SEAL: "0" * 64}, {SEAL: None}])
def test_what_has_changed_is_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "t.json"
    write_sealed(path, TABLE)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunError, match="is damaged: it is not what was written"):
        read_sealed(path)


def test_what_is_no_table_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(RunError, match="holds no table"):
        read_sealed(tmp_path / "t.json")
