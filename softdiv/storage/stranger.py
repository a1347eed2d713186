"""Files of a model folder that a stranger made: what they hold, without loading any of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import PairError

LFS_POINTER = b"version https://git-lfs"
"""How the text begins that git-lfs leaves in place of a large file."""
LARGEST_JSON = 64 << 20
"""Bytes; the largest tokenizers have half of it."""
PLAIN_NAME = re.compile(r"[\w.\-][\w.\- ]*\Z")


@attrs.frozen
class StoredTensor:
    """One entry of a safetensors header."""

    file: Path
    dtype: str
    """As safetensors names it: ``F32``, ``BF16``, ``I64``, ``F8_E4M3`` ..."""
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether it holds floating point numbers, of any width."""
        return self.dtype.startswith(("F", "BF"))


def refuse_pointer(path: Path) -> None:
    """Raises PairError if git-lfs left a pointer where ``path`` should be."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(LFS_POINTER))
    except OSError as error:
        raise PairError(f"{path} cannot be read", why=error.strerror or str(error)) from error
    if begins == LFS_POINTER:
        raise PairError(
            f"{path} is damaged",
            why="it is a git-lfs pointer, not the file itself",
            fix="run 'git lfs pull' in its folder, or download the file",
        )


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Names, formats and shapes of a safetensors file, from its header.

    Raises:
        PairError: it is not there, is cut short, is a pointer, or is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise PairError(f"{path} does not exist")
    refuse_pointer(path)
    try:
        with safe_open(path, framework="pt") as file:
            found = {}
            for name in file.keys():  # noqa: SIM118 (no dict)
                entry = file.get_slice(name)
                found[name] = StoredTensor(path, entry.get_dtype(), tuple(entry.get_shape()))
            return found
    except (SafetensorError, OSError, ValueError) as error:
        raise PairError(
            f"{path} is damaged", why=f"no safetensors file: {error}", fix="download it again"
        ) from error


def read_stored(tensor: StoredTensor, name: str) -> Any:
    """The tensor itself."""
    from safetensors import safe_open

    with safe_open(tensor.file, framework="pt") as file:
        return file.get_tensor(name)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a stranger's folder, in bounded memory.

    Raises:
        PairError: it is not there, too large, a pointer, no JSON, or not an object.
    """
    if not path.is_file():
        raise PairError(f"{path} does not exist")
    if path.stat().st_size > LARGEST_JSON:
        raise PairError(f"{path} is damaged", why=f"it has {path.stat().st_size:,} bytes")
    refuse_pointer(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise PairError(f"{path} is damaged", why=f"not JSON: {why}") from error
    if not isinstance(found, dict):
        raise PairError(f"{path} is damaged", why=f"it holds {type(found).__name__}, no object")
    return found


def shards(index: Path) -> list[Path]:
    """The safetensors files that an index names, each once.

    Raises:
        PairError: a name leaves the folder or is no safetensors file (a pickle is never opened),
            or a file is missing.
    """
    content = read_object(index)
    for key in ("metadata", "weight_map"):  # transformers asks for both
        if not isinstance(content.get(key), Mapping):
            raise PairError(f"{index} is damaged", why=f"it has no {key}")
    table = content["weight_map"]
    if not table:
        raise PairError(f"{index} is damaged", why="its weight_map is empty")
    names = list(dict.fromkeys(table.values()))
    for name in names:
        if not isinstance(name, str) or not PLAIN_NAME.match(name):
            raise PairError(f"{index} names {name!r}", why="which is no file of this folder")
        if not name.endswith(".safetensors"):
            raise PairError(
                f"{index} names {name}",
                why="softdiv opens safetensors only, never a pickle",
                fix="convert it to safetensors",
            )
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise PairError(
            f"{index.parent} lacks {len(missing)} of its {len(names)} weight files",
            why=f"e.g. {missing[0]}",
            fix="download them all",
        )
    return [index.parent / name for name in names]
