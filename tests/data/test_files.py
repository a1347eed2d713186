"""What is no readable file of text is told in one line, before anything is read from it."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
from pathlib import Path

import pytest

from softdiv.builtin.sources.csv_texts import CsvTexts
from softdiv.builtin.sources.lines import JsonlTexts, TextLines
from softdiv.data import json_array, lines
from softdiv.data.json_array import array_items
from softdiv.errors import DataError
from softdiv.plugin.guarded import GuardedProcessor
from softdiv.plugin.interfaces import Processor
from tests.data.test_assemble import run

SOURCES = {"jsonl": JsonlTexts, "text": TextLines, "csv": CsvTexts}
every_source = pytest.mark.parametrize("kind", SOURCES)


def refused(kind: str, path: Path) -> str:
    """The message, as a run has it: a user's file is nobody's plugin."""
    source: Processor = SOURCES[kind](data_path=str(path))
    with pytest.raises(DataError) as caught:
        run(GuardedProcessor(source, "'sources'", kind))
    text = str(caught.value)
    assert str(path) in text and "plugin" not in text and "\n" not in text
    return text


@every_source
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    assert "is a folder, not a file" in refused(kind, tmp_path)
    with pytest.raises(DataError, match="has no data_path"):
        run(SOURCES[kind]())
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or a device" in refused(kind, tmp_path / "pipe")
    assert "is a pipe or a device" in refused(kind, Path("/dev/zero"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "symbolic links" in refused(kind, tmp_path / "loop")
    (tmp_path / "dangling").symlink_to("gone")
    assert "is a link to gone, which is missing" in refused(kind, tmp_path / "dangling")
    (tmp_path / "texts.jsonl").touch()
    assert "is empty" in refused(kind, tmp_path / "texts.jsonl")
    assert "did you mean 'texts.jsonl'" in refused(kind, tmp_path / "text.jsonl")
    assert "cannot be read: Not a directory" in refused(kind, tmp_path / "texts.jsonl" / "x")
    assert "cannot be read: File name too long" in refused(kind, tmp_path / ("x" * 300))
    assert "cannot be read: embedded null byte" in refused(kind, Path("a\0b"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text\nä\n".encode("utf-16"), "is UTF-16 text.*iconv -f UTF-16"),
        ("text\nä\n".encode("utf-32"), "is UTF-32 text"),
        ("text\na\n".encode("utf-16-le"), "UTF-16 without a mark"),
        (bytes(range(8)) * 9 + bytes(99), "is no text"),
        (b"PAR1....", 'name = "parquet" reads it'),
        (b"PK\x03\x04", "zip archive or an Excel sheet"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\x1f\x8b" + bytes(20), "cannot be read: "),
    ],
)
@every_source
def test_what_is_no_text(kind: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(content)
    assert re.search(said, refused(kind, tmp_path / "t"))


@every_source
def test_gzip_and_a_byte_order_mark_are_read_through(kind: str, tmp_path: Path) -> None:
    content = {"jsonl": '{"text": "ä"}\n', "text": "ä\n", "csv": "text\nä\n"}[kind]
    packed = gzip.compress(codecs.BOM_UTF8 + content.encode())
    (tmp_path / "t.gz").write_bytes(packed)
    found, _ = run(SOURCES[kind](data_path=str(tmp_path / "t.gz")))
    assert [e.text for e in found] == ["ä"]
    (tmp_path / "t.gz").write_bytes(packed[:-9])
    assert "cannot be read: Compressed file ended before" in refused(kind, tmp_path / "t.gz")


def test_a_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 64)
    good = json.dumps({"text": "fine"}).encode()
    (tmp_path / "t").write_bytes(b'{"text": "' + b"x" * 500 + b'"}\n' + good + b"\n" + b"x" * 64)
    found, notes = run(JsonlTexts(data_path=str(tmp_path / "t"), on_bad_lines="skip"))
    assert [e.text for e in found] == ["fine"]
    assert notes[0].startswith("2 lines were skipped (1 used)")


RECORDS = [
    *({"text": f"text {n}", "n": n, "deep": [[n, {"a": "},]["}]]} for n in range(40)),
    *(123_456_789, 1.5e300, True, None),
]


@pytest.mark.parametrize("chunk", [1, 7, 2**16])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_array_is_read_item_by_item(
    tmp_path: Path, chunk: int, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_array, "_CHUNK", chunk)
    path = tmp_path / "t.json"
    path.write_text(json.dumps(RECORDS, indent=indent))
    with path.open("rb") as stream:
        found = list(array_items(stream, str(path)))
    assert [item for _, item in found] == RECORDS
    text = path.read_text()
    places = [text[: text.index(f'"text {n}"')].count("\n") for n in range(40)]
    assert [line for line, _ in found][:40] == ([1] * 40 if indent is None else places)


def test_an_array_with_bad_items(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(b'[\n{"text": "a"},\n3,\n{"text": "\xff"},\n{"text": "b"}\n]\n')
    found, notes = run(JsonlTexts(data_path=str(path), on_bad_lines="skip"))
    assert [(e.text, e.metadata["source"]) for e in found] == [
        ("a", f"{path}:2"),
        ("b", f"{path}:5"),
    ]
    assert f"{path}:3: not a JSON object but int; {path}:4: " in notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"text": "a"},\n{"text": "b"', "t:2: not a JSON array"),
        ('[{"text": "a"}\n{"text": "b"}]', "t:2: not a JSON array: expected , or ]"),
        ('[{"text": "a"},\n]', "t:2: not a JSON array: "),
        ('[{"text": "a"},\n{"text": "b"}]\n{}', "t:3: not a JSON array: text after the end"),
        ("[" * 100_000, "nested too deeply"),
        ('{\n "data": [{"text": "a"}]\n}', "t:1: JSON over several lines"),
    ],
)
def test_an_array_that_is_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "t").write_text(content)
    assert said in refused("jsonl", tmp_path / "t")


def test_an_empty_array_and_huge_numbers(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("[ ]\n")
    with pytest.raises(DataError, match="no user text is left"):
        run(JsonlTexts(data_path=str(tmp_path / "t")))
    for content in ('[{"n": %s, "text": "a"}]', '{"n": %s, "text": "a"}'):
        (tmp_path / "t").write_text(content % ("9" * 5000))
        assert len(run(JsonlTexts(data_path=str(tmp_path / "t")))[0]) == 1


def test_a_csv_file_says_little_of_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0:" + "secret" * 50 + "\nother\n")
    assert len(refused("csv", path)) < 400 + len(str(path))
    for delimiter, shown in ((";", ";"), ("\t", r"\t")):
        path.write_text(f"a{delimiter}text\n1{delimiter}b\n")
        assert f'delimiter = "{shown}"' in refused("csv", path)
    path.write_text("text,text\n1,b\n")
    assert "two columns are called 'text'" in refused("csv", path)


def test_one_row_of_other_bytes_does_not_lose_the_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"text,note\na,x\nb\xff,y\nc,\xff\n")
    found, notes = run(CsvTexts(data_path=str(path), on_bad_lines="skip"))
    assert [e.text for e in found] == ["a", "c"]
    assert notes[0].startswith(f"1 lines were skipped (2 used): {path}:3: ")


def test_json_read_as_lines_of_text_is_noted(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    found, notes = run(TextLines(data_path=str(tmp_path / "t.jsonl")))
    assert len(found) == 2 and 'looks like JSON: name = "jsonl" reads' in notes[0]
