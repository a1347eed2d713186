"""Files that are either the old version or the new one, never half of each."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs

from softdiv.errors import RunError

if TYPE_CHECKING:
    import torch


def write_bytes(path: Path, data: bytes) -> str:
    """Write atomically (temporary sibling, fsync, rename, fsync of the folder).

    Returns:
        The sha256 of ``data`` as hex.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a run folder follows the user's umask like any other file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return hashlib.sha256(data).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> str:
    """UTF-8; returns the sha256."""
    return write_bytes(path, text.encode())


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON of plain values, attrs records and paths; NaN and infinity are refused."""

    def dumped(ascii_only: bool) -> str:
        return json.dumps(
            value, indent=indent, default=_plain, ensure_ascii=ascii_only, allow_nan=False
        )

    text = dumped(False)
    # a lone surrogate has no UTF-8; escaped, it is read back as it was
    return dumped(True) if any("\ud800" <= c <= "\udfff" for c in text) else text


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {field.name: getattr(value, field.name) for field in fields}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Path, frozenset, set)):
        return str(value) if isinstance(value, Path) else sorted(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> str:
    """Returns the sha256."""
    return write_text(path, to_json(value, indent=indent) + "\n")


def read_json(path: Path) -> Any:
    """Raises RunError naming the file if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged", why=str(error)) from error


def append_json_line(path: Path, value: Any) -> None:
    """Append one JSON object as a line; a torn last line of a killed writer is cut first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (to_json(value, indent=None) + "\n").encode()
    with path.open("ab+") as file:
        _cut_torn_line(file)
        file.write(line)


def _cut_torn_line(file: BinaryIO) -> None:
    """Without this, the next line would be glued to the torn one and damage the whole file."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return
    file.seek(end - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)


def read_json_lines(path: Path) -> list[Any]:
    """Every complete line; an incomplete last line (a killed writer) is ignored."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    complete = [line for line in lines[:-1] if line.strip()]
    try:
        return [json.loads(line) for line in complete]
    except json.JSONDecodeError as error:
        raise RunError(
            f"{path} is damaged", why=str(error), fix="mend or remove the line, or the file"
        ) from error


def write_json_lines(path: Path, values: list[Any]) -> str:
    """The whole file at once, atomically; returns the sha256."""
    return write_text(path, "".join(to_json(value, indent=None) + "\n" for value in values))


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> str:
    """A safetensors file; returns the sha256."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_bytes(path, save(plain, dict(metadata or {})))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        RunError: the file is missing, damaged, or not safetensors (a pickle is never opened).
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise RunError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise RunError(
            f"{path} is not a safetensors file",
            why=str(error),
            fix="softdiv never opens pickles; convert it to safetensors",
        ) from error


def sha256_file(path: Path) -> str:
    """Hex digest, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
