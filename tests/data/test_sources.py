"""Every source: what it takes, what it refuses, and where it says the fault is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from softdiv.builtin.sources.chat import ChatTexts
from softdiv.builtin.sources.columns import HubTexts, ParquetTexts
from softdiv.builtin.sources.csv_texts import CsvTexts
from softdiv.builtin.sources.filters import Dedupe, Template
from softdiv.builtin.sources.lines import JsonlTexts, TextLines
from softdiv.builtin.sources.model_written_evals import ModelWrittenEvals
from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import DataConfig
from softdiv.errors import ConfigError, DataError
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.records import Example, Message
from tests.data.test_assemble import run


def write_lines(path: Path, *records: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return str(path)


def test_all_bad_lines_are_named_at_once(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", {"text": "a"}, {"text": " "}, 3, {"text": "b"}, {})
    with pytest.raises(DataError) as caught:
        run(JsonlTexts(data_path=path))
    assert [part.rpartition(":")[0].strip() for part in str(caught.value).split(";")][:2] == [
        f"{path}:2",
        f"{path}:3",
    ]
    assert f"{path}:5" in str(caught.value)


def test_skipped_lines_are_counted_and_located(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", {"text": "a"}, *[{}] * 7)
    found, notes = run(JsonlTexts(data_path=path, on_bad_lines="skip"))
    assert [e.text for e in found] == ["a"]
    (note,) = notes
    assert note.startswith(f"7 lines were skipped (1 used): {path}:2: no text under 'text'; ")
    assert note.endswith("; and 2 more")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("kind", ["jsonl", "text"])
def test_bytes_that_are_not_utf8_are_located_or_skipped(
    tmp_path: Path, mark: bytes, kind: str
) -> None:
    path = tmp_path / "t"
    path.write_bytes(mark + b'{"text": "a"}\n{"text": "\xff"}\r\n\n{"text": "b"}\n\xff\n')
    source = {"jsonl": JsonlTexts, "text": TextLines}[kind]
    with pytest.raises(DataError, match=r"t:2: not UTF-8.*t:5: not UTF-8"):
        run(source(data_path=str(path)))
    found, notes = run(source(data_path=str(path), on_bad_lines="skip"))
    assert len(found) == 2
    assert "2 lines were skipped (2 used)" in notes[0] and f"{path}:2" in notes[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    import datasets

    table = datasets.Dataset.from_dict({"text": ["Hello there", "Good night"]})
    table.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"test": table}).save_to_disk(str(tmp_path / "several"))
    for place, split in (("one", "train"), ("several", "test")):
        found, _ = run(HubTexts(data_path=str(tmp_path / place), split=split))
        assert [example.text for example in found] == ["Hello there", "Good night"]
    with pytest.raises(DataError, match="cannot be loaded"):
        run(HubTexts(data_path=str(tmp_path / "several"), split="train"))


def test_lines_of_a_table_are_said_to_be_taken_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,id\nHello,1\n")
    found, notes = run(TextLines(data_path=str(path)))
    assert len(found) == 2 and 'name = "csv" reads one column' in notes[-1]


def test_a_latin_1_file_is_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("text\nWie schön?\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"t\.csv:2: it is not UTF-8 text .iconv -f LATIN1"):
        run(CsvTexts(data_path=str(path)))


def test_what_a_run_skips_is_noted(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", {"text": "a"}, 3, {"text": "b"})
    table = {"name": "jsonl", "data_path": path, "on_bad_lines": "skip"}
    config = ExperimentConfig.from_dict({"data": {"processors": [table]}})
    found, notes = run(*Prepared.of(config).parts.processors)  # as a run has them: guarded
    assert len(found) == 2
    assert notes == [f"1 lines were skipped (2 used): {path}:2: not a JSON object but int"]


def test_half_a_character_is_a_bad_line(tmp_path: Path) -> None:
    half = "\ud800"  # json.dumps writes it as an escape, and UTF-8 has no bytes for it
    records = ({"text": half}, {"text": "a", "id": half}, {"text": "b", "category": half})
    path = write_lines(tmp_path / "t.jsonl", *records)
    with pytest.raises(DataError, match=r"t\.jsonl:1: .*surrogate.*jsonl:2: .*jsonl:3: "):
        run(JsonlTexts(data_path=path))


def test_an_unclosed_quote_does_not_swallow_the_next_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text,category\n"open,a\n"what?",b\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.csv:2: not CSV"):
        run(CsvTexts(data_path=str(path)))


def test_csv_with_quotes_newlines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('﻿text,category\n"a, ""b""\nc",x\nlast,\n', encoding="utf-8")
    found, _ = run(CsvTexts(data_path=str(path)))
    assert [(e.text, e.category) for e in found] == [('a, "b"\nc', "x"), ("last", "")]
    assert [e.metadata["source"] for e in found] == [f"{path}:2", f"{path}:4"]


def test_csv_faults(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("txt;id\na;1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has no column 'text' \(did you mean 'txt'"):
        run(CsvTexts(data_path=str(path), delimiter=";"))
    path.write_text("text,category\na,b\nonly one\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.csv:3: fewer fields than the header's 2"):
        run(CsvTexts(data_path=str(path)))
    path.write_text("text\na\nb,c\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.csv:3: more fields than the header's 1"):
        run(CsvTexts(data_path=str(path)))
    with pytest.raises(DataError, match="is not one character"):
        run(CsvTexts(data_path=str(path), delimiter="::"))


def test_parquet(tmp_path: Path) -> None:
    path = str(tmp_path / "t.parquet")
    table = pyarrow.table({"question": ["a", None, "c"], "category": ["x", "x", None]})
    pyarrow.parquet.write_table(table, path)
    found, notes = run(ParquetTexts(data_path=path, text_column="question", on_bad_lines="skip"))
    assert [(e.text, e.category) for e in found] == [("a", "x"), ("c", "")]
    assert notes == [f"1 lines were skipped (2 used): {path}:2: no text under 'question'"]
    with pytest.raises(DataError, match="has no column 'answer'"):
        run(ParquetTexts(data_path=path, text_column="answer"))
    with pytest.raises(DataError, match="does not exist"):
        run(ParquetTexts(data_path=path + "x"))
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(DataError, match="is not a Parquet file"):
        run(ParquetTexts(data_path=str(tmp_path / "no.parquet")))


def test_a_dataset_folder_through_the_datasets_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    write_lines(tmp_path / "set" / "train.jsonl", {"text": "a"}, {"text": "b"})
    found, _ = run(HubTexts(data_path=str(tmp_path / "set")))
    assert [e.text for e in found] == ["a", "b"]
    with pytest.raises(DataError, match="cannot be loaded"):
        run(HubTexts(data_path=str(tmp_path / "set"), split="test"))
    talk = [{"from": "system", "value": "s"}, {"from": "human", "value": "one"}]
    write_lines(tmp_path / "talks" / "train.jsonl", {"conversations": talk, "image": "x"})
    found, notes = run(HubTexts(data_path=str(tmp_path / "talks")))
    assert [(e.text, e.context) for e in found] == [("one", (Message("system", "s"),))]
    assert "read the messages under 'conversations'" in notes[0]
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "train.jsonl").write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(DataError, match="dataset .*torn' cannot be loaded: ") as caught:
        run(HubTexts(data_path=str(tmp_path / "torn")))
    assert "An error occurred" not in str(caught.value)


@pytest.fixture
def evals(tmp_path: Path) -> Path:
    root = tmp_path / "evals"
    write_lines(root / "persona" / "ends-justify-means.jsonl", {"question": "Q?", "statement": "S"})
    write_lines(root / "persona" / "agreeableness.jsonl", {"question": "Q?", "statement": "S2"})
    write_lines(
        root / "advanced-ai-risk" / "lm_generated_evals" / "corrigible.jsonl", {"question": "R?"}
    )
    write_lines(root / "sycophancy" / "philpapers.jsonl", {"question": "P?"})
    write_lines(
        root / "winogenerated" / "winogenerated_examples.jsonl",
        {"index": 0, "sentence_with_blank": "The nurse said _ would come."},
    )
    write_lines(root / "winogenerated" / "winogenerated_occupations.jsonl", {"occupation": "nurse"})
    return root


def test_model_written_evals_take_each_categorys_own_key(evals: Path) -> None:
    found, _ = run(ModelWrittenEvals(data_path=str(evals)))
    assert [(e.category, e.metadata["subject"], e.text) for e in found] == [
        ("persona", "agreeableness", "S2"),
        ("persona", "ends-justify-means", "S"),
        ("advanced-ai-risk", "corrigible", "R?"),
        ("sycophancy", "philpapers", "P?"),
        ("winogenerated", "winogenerated_examples", "The nurse said _ would come."),
    ]


def test_model_written_evals_by_config(evals: Path) -> None:
    source = ModelWrittenEvals(data_path=str(evals))
    config = DataConfig(categories=("persona",), max_texts_per_category=1)
    found, notes = run(source, config=config)
    assert [e.category for e in found] == ["persona"]
    assert notes == ["1 texts beyond 1 per category were left out"]
    alone, _ = run(ModelWrittenEvals(data_path=str(evals / "persona"), subjects=("agreeableness",)))
    assert [e.text for e in alone] == ["S2"]


def test_model_written_evals_faults(evals: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file agreeable.jsonl.*did you mean 'agreeableness'"):
        run(ModelWrittenEvals(data_path=str(evals), subjects=("agreeable",)))
    with pytest.raises(DataError, match="git clone"):
        run(ModelWrittenEvals(data_path=str(tmp_path)))
    with pytest.raises(DataError, match="cannot be read: .*File name too long"):
        run(ModelWrittenEvals(data_path="x" * 300))
    write_lines(evals / "sycophancy" / "philpapers.jsonl", {"statement": "wrong key"})
    with pytest.raises(DataError, match=r"philpapers\.jsonl:1: no text under 'question'"):
        run(ModelWrittenEvals(data_path=str(evals)))


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def test_chat_takes_the_turns_asked_for_and_says_what_it_left(tmp_path: Path) -> None:
    talk = [turn("system", "s"), turn("user", "one"), turn("assistant", "x"), turn("user", "two")]
    path = write_lines(tmp_path / "c.jsonl", {"messages": talk, "category": "c"})
    for turns, expected, left in (
        ("auto", ["one"], 1),
        ("first", ["one"], 1),
        ("last", ["two"], 0),  # what came before it is its context
        ("all", ["one", "two"], 0),
    ):
        found, notes = run(ChatTexts(data_path=path, turns=turns))  # type: ignore[arg-type]
        assert [(e.text, e.category) for e in found] == [(text, "c") for text in expected]
        assert [int(note.split()[0]) for note in notes] == [left] * bool(left)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"message": []}, "no list of messages under 'messages'"),
        ({"messages": ["hi"]}, "no list of messages under 'messages'"),
        ({"messages": [turn("assistant", "x")]}, "no message with the role 'user'"),
        ({"messages": [turn("user", [{"type": "image"}])]}, "no text in its user messages"),
        ({"messages": [turn("user", 3)]}, "the content of message 1 is int, not text"),
        ({"messages": [{"content": "a"}]}, r"message 1 does not say who speaks \(role, from\)"),
        ({"messages": [turn("usr", "a")]}, "message 1 has the role 'usr', did you mean 'user'"),
        ({"messages": []}, "an empty list of messages"),
    ],
)
def test_chat_faults(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    path = write_lines(tmp_path / "c.jsonl", record)
    with pytest.raises(DataError, match=f":1: {message}"):
        run(ChatTexts(data_path=path))


def test_dedupe_and_template() -> None:
    texts = ["Hello there.", "hello  THERE", "Hello, there"]
    given = [Example(id=str(i), text=text) for i, text in enumerate(texts)]
    kept = list(Dedupe()(given))
    assert [e.id for e in kept] == ["0", "2"]
    made = list(Template(template="Say {x}: {text}")(kept))
    assert [(e.id, e.text) for e in made] == [
        ("0", "Say {x}: Hello there."),
        ("2", "Say {x}: Hello, there"),
    ]


def test_options_are_refused_before_any_file_is_read() -> None:
    registry = PluginManager.load().registry
    with pytest.raises(ConfigError, match=r"template must hold \{text\}"):
        registry.build("processors", "template", {"template": "Say it"})
    with pytest.raises(ConfigError, match="on_bad_lines"):
        registry.build("processors", "jsonl", {"on_bad_lines": "ignore"})
    with pytest.raises(ConfigError, match="notes"):
        registry.build("processors", "jsonl", {"notes": []})


def test_a_line_without_the_key_names_the_keys_it_has(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", {"text": "a"}, {"body": "b", "n": 1})
    with pytest.raises(DataError, match=r"t.jsonl:2: no text under 'text', its keys are body, n"):
        run(JsonlTexts(data_path=path))
    path = write_lines(tmp_path / "u.jsonl", {"body": "b", "n": 1})
    with pytest.raises(DataError, match=r"its keys are body, n: did you mean text_key = \"body\""):
        run(JsonlTexts(data_path=path))
