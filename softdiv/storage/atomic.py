"""Files that are either the old version or the new one, never half of each."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from softdiv.errors import DiskError, RunError
from softdiv.storage.folder import TEMPORARY
from softdiv.storage.plain import to_plain
from softdiv.storage.refusal import refusal

if TYPE_CHECKING:
    import torch


def write_bytes(path: Path, data: bytes) -> str:
    """Write atomically (temporary sibling, fsync, rename, fsync of the folder).

    Returns:
        The sha256 of ``data`` as hex.

    Raises:
        DiskError: the system refuses; the old file is as it was.
    """
    with refusal(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name}."
        handle, temporary = tempfile.mkstemp(TEMPORARY, prefix, path.parent)
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
            with suppress(OSError):  # the disk may refuse this too
                Path(temporary).unlink()
            raise
        sync(path.parent)
    return hashlib.sha256(data).hexdigest()


def sync(path: Path) -> None:
    """Make a file's content, or the renames inside a folder, durable. Raises DiskError."""
    with refusal(path, "written"):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> str:
    """UTF-8; returns the sha256."""
    return write_bytes(path, text.encode())


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON of plain values, attrs records and paths; NaN and infinity are refused."""
    plain = to_plain(value, strange=float)

    def dumped(ascii_only: bool) -> str:
        return json.dumps(plain, indent=indent, ensure_ascii=ascii_only, allow_nan=False)

    text = dumped(False)
    # a lone surrogate has no UTF-8; escaped, it is read back as it was
    return dumped(True) if any("\ud800" <= c <= "\udfff" for c in text) else text


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> str:
    """Returns the sha256."""
    return write_text(path, to_json(value, indent=indent) + "\n")


def read_json(path: Path) -> Any:
    """Raises RunError naming the file if it is missing, damaged or cannot be read."""
    return parsed_json(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Raises RunError if it is missing, DiskError if the system refuses."""
    try:
        with refusal(path, "read"):
            return path.read_bytes()
    except DiskError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise RunError(f"{path} does not exist") from error
        raise


def parsed_json(path: Path, data: bytes) -> Any:
    """What ``data``, the content of ``path``, says. Raises RunError if it is damaged."""
    try:
        return json.loads(data.decode(), parse_constant=_no_number)
    except RecursionError as error:
        raise RunError(f"{path} is damaged", why="it is nested too deeply") from error
    except ValueError as error:  # not JSON, not UTF-8, or an integer of thousands of digits
        raise RunError(f"{path} is damaged", why=str(error)) from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def append_json_line(path: Path, value: Any) -> None:
    """Append one JSON object as a line; a torn last line of a killed writer is cut first.

    Raises:
        DiskError: the system refuses.
    """
    line = (to_json(value, indent=None) + "\n").encode()
    with refusal(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
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
    """Every complete line; an incomplete last line (a killed writer) is ignored.

    Raises:
        RunError: a line is damaged, or the file cannot be read; a missing one has no lines.
    """
    with refusal(path, "read"):
        if not path.exists():
            return []
    complete = [line for line in read_bytes(path).split(b"\n")[:-1] if line.strip()]
    try:
        return [parsed_json(path, line) for line in complete]
    except RunError as error:
        raise RunError(error.what, why=error.why, fix="mend or remove the line, or the file") from (
            error
        )


def write_json_lines(path: Path, values: list[Any]) -> str:
    """The whole file at once, atomically; returns the sha256."""
    return write_text(path, "".join(to_json(value, indent=None) + "\n" for value in values))


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> str:
    """A safetensors file, the same bytes for the same values; returns the sha256."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_bytes(path, _in_order(save(plain, dict(metadata) if metadata else None)))


def _in_order(data: bytes) -> bytes:
    """safetensors writes its header's metadata in another order every time."""
    text = json.dumps(_header(data), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + _header_size(data) :]


def _header(data: bytes) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(data[8 : 8 + _header_size(data)])
    return header


def _header_size(data: bytes) -> int:
    return int.from_bytes(data[:8], "little")


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        RunError: the file is missing, damaged, or not safetensors (a pickle is never opened).
        DiskError: the system refuses.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = read_bytes(path)
    try:
        return load(data), dict(_header(data).get("__metadata__", {}))
    except SafetensorError as error:
        raise RunError(
            f"{path} is not a safetensors file",
            why=str(error),
            fix="softdiv never opens pickles; convert it to safetensors",
        ) from error


def sha256_file(path: Path) -> str:
    """Hex digest, read in chunks. Raises DiskError."""
    return sha256_start(path, None)


def sha256_start(path: Path, size: int | None) -> str:
    """Hex digest of the first ``size`` bytes, or of all. Raises DiskError."""
    digest, left = hashlib.sha256(), size
    with refusal(path, "read"), path.open("rb") as file:
        while block := file.read(1 << 20 if left is None else min(left, 1 << 20)):
            digest.update(block)
            left = None if left is None else left - len(block)
    return digest.hexdigest()
