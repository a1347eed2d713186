"""A sentence-transformers folder, before it is opened: plain modules, safetensors, no code.

Some versions of sentence-transformers run the Python code that a local folder names; all of them
fall back to pickles.
"""

from __future__ import annotations

import json
from pathlib import Path

from softdiv.errors import PairError
from softdiv.storage.stranger import refuse_pointer, stored_tensors

PLAIN = {"Transformer", "Pooling", "Normalize", "Dense", "LayerNorm", "Dropout"}
"""Modules without files of their own but JSON and safetensors."""
WITH_WEIGHTS = {"Transformer", "Dense", "LayerNorm"}
CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines")
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is downloaded of a hub id."""


def refuse_strange_encoder(folder: Path) -> None:
    """Raises ValueError for what may hold code or pickles, or is not whole."""
    try:
        _inspect(folder)
    except (PairError, OSError) as error:
        raise ValueError(str(error)) from error


def _inspect(folder: Path) -> None:
    for code in sorted(folder.rglob("*.py")):
        if code.name == "__init__.py":  # of a package that carries the model
            continue
        raise ValueError(f"{folder} holds Python code ({code.name}), which softdiv does not run")
    for file in sorted(set(folder.rglob("*.json")) - set(folder.rglob("*vocab*.json"))):
        if file.name == "tokenizer.json":  # its tokens may be any words
            continue
        text = _text(file)
        if any(f'"{key}"' in text for key in CODE_KEYS):
            raise ValueError(f"{file} asks for Python code of its own, which softdiv does not run")
    for kind, path in _modules(folder):
        if kind not in PLAIN:
            raise ValueError(
                f"{folder} has a module '{kind}'; of sentence-transformers' modules, softdiv opens "
                f"{', '.join(sorted(PLAIN))}"
            )
        weights = sorted(path.glob("*.safetensors"))
        if kind in WITH_WEIGHTS and not weights:
            raise ValueError(f"{path} holds no safetensors; softdiv never opens a pickle")
        for file in weights:
            stored_tensors(file)


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """(kind, its folder) of each module that ``modules.json`` names."""
    if not (folder / "modules.json").is_file():
        return [("Transformer", folder)]
    found = json.loads(_text(folder / "modules.json"))
    modules = []
    for entry in found if isinstance(found, list) else [found]:
        kind, path = (entry.get("type"), entry.get("path")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(kind, str) or not isinstance(path, str):
            raise ValueError(f"{folder / 'modules.json'} is damaged")
        package, _, name = kind.rpartition(".")
        inside = (folder / path).resolve()
        if package.split(".")[0] != "sentence_transformers" or not _within(folder, inside):
            raise ValueError(f"{folder / 'modules.json'} names {kind} in '{path}', which is code")
        modules.append((name, inside))
    return modules


def _within(folder: Path, path: Path) -> bool:
    return path == folder.resolve() or folder.resolve() in path.parents


def _text(file: Path) -> str:
    refuse_pointer(file)
    return file.read_text(encoding="utf-8")
