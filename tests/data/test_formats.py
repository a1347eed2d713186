"""Records as data sets come: recognised without options, said in a note, or told what to type."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from softdiv.builtin.sources.chat import ChatTexts
from softdiv.builtin.sources.columns import ParquetTexts
from softdiv.builtin.sources.csv_texts import CsvTexts
from softdiv.builtin.sources.lines import JsonlTexts
from softdiv.data.base import text_id
from softdiv.errors import DataError
from softdiv.plugin.interfaces import Processor
from softdiv.plugin.records import Example, Message
from tests.data.test_assemble import run


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


TALK = [said("system", "s"), said("user", "one"), said("assistant", "x"), said("user", "two")]
SHARED = [{"from": "human", "value": "one"}, {"from": "gpt", "value": "x"}]
SYSTEM, ONE, X = Message("system", "s"), Message("user", "one"), Message("assistant", "x")

KNOWN: list[tuple[dict[str, Any], str, tuple[Message, ...], str]] = [
    ({"messages": TALK}, "one", (SYSTEM,), "the messages under 'messages'"),
    ({"conversations": SHARED}, "one", (), "the messages under 'conversations'"),
    ({"conversations": SHARED, "system": "s"}, "one", (SYSTEM,), "the messages under"),
    ({"conversation": TALK, "model": "m"}, "one", (SYSTEM,), "not used: model"),
    ({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, "a", (), "under 'contents'"),
    ({"prompt": TALK, "completion": []}, "two", (SYSTEM, ONE, X), "the messages under 'prompt'"),
    ({"prompt": "q", "completion": "a"}, "q", (), "the text under 'prompt'; not used: completion"),
    ({"prompt": "q", "chosen": "a", "rejected": "b"}, "q", (), "the text under 'prompt'"),
    ({"chosen": [*TALK, said("assistant", "y")]}, "two", (SYSTEM, ONE, X), "under 'chosen'"),
    ({"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": ""}, "q", (), "under 'chosen'"),
    ({"input": {"messages": TALK}}, "two", (SYSTEM, ONE, X), "under 'input.messages'"),
    ({"custom_id": "1", "body": {"messages": TALK}}, "two", (SYSTEM, ONE, X), "'body.messages'"),
    ({"instruction": "i", "input": "", "output": "o"}, "i", (), "read Alpaca; not used: output"),
    ({"instruction": "i", "input": "about"}, "i\nabout", (), "Alpaca"),
    ({"instruction": "i", "context": "c", "response": "r"}, "i\nc", (), "Alpaca"),
    ({"instruction": "i", "history": [["one", "x"]]}, "i", (ONE, X), "Alpaca"),
    ({"system_prompt": "s", "question": "q", "response": "r"}, "q", (SYSTEM,), "'question'"),
]


@pytest.mark.parametrize(("record", "text", "context", "note"), KNOWN)
@pytest.mark.parametrize("source", [JsonlTexts, ChatTexts])
def test_known_formats(
    source: type[Any],
    record: dict[str, Any],
    text: str,
    context: tuple[Message, ...],
    note: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(record))
    found, notes = run(source(data_path=str(path)))
    assert [(e.text, e.context) for e in found] == [(text, context)]
    assert found[0].id == text_id(text, context)
    if not (source is ChatTexts and "messages" in record):  # the key it expects
        assert any(note in line and line.startswith(f"{path} has no '") for line in notes)


def table(kind: str, columns: dict[str, list[Any]], folder: Path, **options: Any) -> Processor:
    path = folder / f"t.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return ParquetTexts(data_path=str(path), **options)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([v if isinstance(v, str) else json.dumps(v) for v in row])
    path.write_text(text.getvalue())
    return CsvTexts(data_path=str(path), **options)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("named", [True, False])
def test_columns_of_messages(kind: str, named: bool, tmp_path: Path) -> None:
    columns = {"conversations": [SHARED, SHARED[:1]], "image": ["a", "b"]}
    options = {"text_column": "conversations"} if named else {}
    found, notes = run(table(kind, columns, tmp_path, **options, turns="all"))
    assert [e.text for e in found] == ["one"], "the same turn of two conversations is one text"
    assert "1 texts given twice were used once" in notes
    assert any("read the messages under 'conversations'" in note for note in notes) is not named


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_are_known(kind: str, tmp_path: Path) -> None:
    columns = {"instruction": ["i", "j"], "input": ["a", ""], "output": ["o", "o"]}
    found, _ = run(table(kind, columns, tmp_path))
    assert [e.text for e in found] == ["i\na", "j"]
    found, notes = run(table(kind, {"prompt": ["", "a"]}, tmp_path, on_bad_lines="skip"))
    assert [e.text for e in found] == ["a"]
    assert "1: the text under 'prompt' is blank" in notes[0] or kind == "csv"
    with pytest.raises(DataError, match=r"has no column 'text' \(known: aim, goal; text_column na"):
        run(table(kind, {"goal": ["a"], "aim": ["1"]}, tmp_path))
    with pytest.raises(DataError, match=r'did you mean text_column = "input"\?'):
        run(table(kind, {"input": ["a"]}, tmp_path))


def refused(source: Processor) -> str:
    with pytest.raises(DataError) as caught:
        run(source)
    return str(caught.value)


def jsonl(path: Path, *records: Any, **options: Any) -> JsonlTexts:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return JsonlTexts(data_path=str(path), **options)


def test_an_unknown_key_is_told_with_the_option_to_set(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    said = refused(jsonl(path, {"goal": "a", "n": 1}, {"goal": "b", "n": 2}))
    assert said.endswith("""(its keys are goal, n: did you mean text_key = "goal"?)""")
    said = refused(jsonl(path, {"goal": "a", "target": "b"}))
    assert said.endswith("(its keys are goal, target: text_key names the one to read)")
    said = refused(jsonl(path, {"question": "a", "answer": "b"}, text_key="questoin"))
    assert 'did you mean text_key = "question"?' in said
    said = refused(ChatTexts(data_path=str(path), messages_key="message"))
    assert "no list of messages under 'message'" in said
    said = refused(jsonl(path, {"x" * 1000: "a", **{f"k{n}": n for n in range(99)}}))
    assert "and 88 more" in said and len(said) < 600
    assert refused(jsonl(path, {}, {"text": "a"})).endswith("(it has no keys)")


def test_a_known_format_does_not_replace_a_key_that_was_asked_for(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "t", {"prompt": "a", "x": "b"}, text_key="goal")
    assert "no text under 'goal'" in refused(source)
    found, notes = run(jsonl(tmp_path / "t", {"prompt": "a", "text": "b"}))
    assert [e.text for e in found] == ["b"] and notes == []


def test_the_first_record_says_how_the_others_are_read(tmp_path: Path) -> None:
    records = [{"prompt": "a"}, {"messages": TALK}, {"prompt": " "}, {"prompt": "b"}]
    found, notes = run(jsonl(tmp_path / "t", *records, on_bad_lines="skip"))
    assert [e.text for e in found] == ["a", "b"]
    assert "t:2: no text under 'prompt'" in notes[0] and "t:3: the text under" in notes[0]


def test_a_file_without_one_good_line_is_refused_even_where_bad_ones_are_skipped(
    tmp_path: Path,
) -> None:
    source = jsonl(tmp_path / "t", {"goal": "a"}, {"goal": "b"}, on_bad_lines="skip")
    assert 'did you mean text_key = "goal"?' in refused(source)


def test_an_instruction_by_its_key_says_what_its_input_would_be(tmp_path: Path) -> None:
    record = {"instruction": "i", "input": "about"}
    found, notes = run(jsonl(tmp_path / "t", record, text_key="instruction"))
    assert [e.text for e in found] == ["i"]
    assert notes[0].startswith("1 inputs beside an instruction of ")


def test_texts_that_hold_their_answers_are_noted(tmp_path: Path) -> None:
    texts = ["### Human: a\n### Assistant: b", "[INST] a [/INST] b", "What is [INST]?"]
    _, notes = run(jsonl(tmp_path / "t", *({"text": text} for text in texts)))
    assert notes[0].startswith("2 texts of ") and "whole exchanges" in notes[0]


def test_ids_of_a_file(tmp_path: Path) -> None:
    found, _ = run(jsonl(tmp_path / "t", {"id": "p-1", "prompt": "a"}))
    assert found[0].id == "p-1"
    found, _ = run(jsonl(tmp_path / "t", {"id": "c-1", "messages": TALK}, turns="all"))
    assert "c-1" not in {e.id for e in found}, "each turn needs its own"
    for identifier in ([1], {"a": 1}, 1.5):
        source = jsonl(tmp_path / "t", {"id": identifier, "text": "a"})
        assert "the id under 'id' is neither text nor an integer" in refused(source)


def test_lists_of_messages_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps([said("user", text)]) + "\n" for text in "ab"))
    found, _ = run(ChatTexts(data_path=str(path)))
    assert [e.text for e in found] == ["a", "b"]


def test_plain_texts_are_what_they_were(tmp_path: Path) -> None:
    found, notes = run(jsonl(tmp_path / "t", {"text": '[{"a": 1}]', "messages": TALK}))
    assert found == [Example(id=text_id('[{"a": 1}]'), text='[{"a": 1}]')] and notes == []
