"""The header of a GGUF file, read within the file's own bounds.

The readers of gguf and transformers believe every count they find; a damaged or hostile one costs
them hours or all memory. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import PairError
from softdiv.storage.stranger import StoredTensor, refuse_pointer

SCALARS = "BbHhIif?"  # of types 0 to 7; 10 to 12 follow
FORMATS = {**dict(enumerate(SCALARS)), 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
LONGEST_NAME = 1 << 16
"""Bytes of a key or a tensor's name."""


@attrs.frozen
class GgufHeader:
    """Metadata and tensors of a GGUF file."""

    file: Path
    values: dict[str, Any]
    """scalars and short texts by key; an array is its length"""
    tensors: dict[str, StoredTensor]
    sha256: str
    """of the header alone, which says all but the weights"""


def read_header(file: Path) -> GgufHeader:
    """What the file says it holds, checked against its size.

    Raises:
        PairError: no GGUF file, cut short, one part of several, or damaged. gguf is missing.
    """
    try:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError as error:
        raise PairError(
            "reading GGUF files needs gguf", fix="pip install 'softdiv[gguf]'"
        ) from error
    refuse_pointer(file)
    sizes = {kind.value: (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    with file.open("rb") as opened:
        if file.stat().st_size < 24 or opened.read(4) != b"GGUF":
            raise PairError(f"{file} is damaged", why="it is no GGUF file")
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                header, begin, ends = _parse(file, data, sizes)
            except (struct.error, ValueError, OverflowError) as error:
                raise _damaged(file, str(error)) from error
            if ends and begin + max(ends) > len(data):
                lacking = begin + max(ends) - len(data)
                raise _damaged(file, f"it is cut short by {lacking:,} bytes")
    count = header.values.get("split.count", 0)
    if isinstance(count, int) and count > 1:
        raise PairError(
            f"{file} is one of {count} parts of a model",
            fix="join them first: llama-gguf-split --merge FIRST_PART OUTPUT",
        )
    return header


def _damaged(file: Path, why: str) -> PairError:
    return PairError(f"{file} is damaged", why=why, fix="download it again")


def _parse(
    file: Path, data: mmap.mmap, sizes: dict[int, tuple[str, int, int]]
) -> tuple[GgufHeader, int, list[int]]:
    """The header, where the tensors' data begins, and where each of them ends from there."""
    reader = _Reader(data, 4)
    version = reader.number("I")
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version} is not known")
    tensor_count, value_count = reader.number("Q"), reader.number("Q")
    values: dict[str, Any] = {}
    for _ in range(reader.plausible(value_count, 13)):
        key = reader.text(LONGEST_NAME)
        values[key] = reader.value(reader.number("I"))
    tensors, ends = {}, []
    for _ in range(reader.plausible(tensor_count, 25)):
        name = reader.text(LONGEST_NAME)
        dimensions = reader.number("I")
        if dimensions > 8:
            raise ValueError(f"{name} has {dimensions} dimensions")
        shape = tuple(reader.number("Q") for _ in range(dimensions))
        kind, offset = reader.number("I"), reader.number("Q")
        if kind not in sizes:
            raise ValueError(f"{name} has the unknown type {kind}")
        label, block, width = sizes[kind]
        tensors[name] = StoredTensor(file, label, shape[::-1])
        ends.append(offset + tensors[name].numel // block * width)
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"general.alignment = {alignment}")
    begin = (reader.at + alignment - 1) // alignment * alignment
    digest = hashlib.sha256(data[: reader.at]).hexdigest()
    return GgufHeader(file, values, tensors, digest), begin, ends


@attrs.define
class _Reader:
    """Little-endian values one after the other, never beyond the end."""

    data: mmap.mmap
    at: int

    def number(self, kind: str) -> Any:
        (value,) = struct.unpack_from(f"<{kind}", self.data, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return value

    def plausible(self, count: int, width: int) -> int:
        """``count`` entries of at least ``width`` bytes, if so many can follow."""
        if count * width > len(self.data) - self.at:
            raise ValueError(f"{count:,} entries do not fit into it")
        return count

    def text(self, most: int) -> str:
        length = self.plausible(self.number("Q"), 1)
        if length > most:
            raise ValueError(f"a name of {length:,} bytes")
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8")

    def value(self, kind: int, inside: bool = False) -> Any:
        """One value; an array, or a long text, is its length."""
        if kind in FORMATS:
            return self.number(FORMATS[kind])
        if kind == STRING:
            length = self.plausible(self.number("Q"), 1)
            self.at += length
            short = length <= 256 and not inside
            return self.data[self.at - length : self.at].decode("utf-8") if short else length
        if kind != ARRAY or inside:
            raise ValueError(f"values of type {kind}{' in an array' if inside else ''}")
        kind, count = self.number("I"), self.number("Q")
        if kind in FORMATS:
            width = struct.calcsize(f"<{FORMATS[kind]}")
            self.at += self.plausible(count, width) * width
            return count
        for _ in range(self.plausible(count, 8)):
            self.value(kind, inside=True)
        return count
