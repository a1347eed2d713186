"""Sources and filters in order; nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

from softdiv.builtin.sources.filters import Length
from softdiv.builtin.sources.lines import JsonlTexts, ShippedTexts, TextLines
from softdiv.config.schema import DataConfig
from softdiv.data.assemble import assemble_examples, said_before
from softdiv.data.base import BaseDataProcessor, text_id
from softdiv.errors import DataError
from softdiv.plugin.interfaces import Processor
from softdiv.plugin.records import Example, Message


@attrs.frozen(kw_only=True)
class Given(BaseDataProcessor):
    items: tuple[Example | str, ...] = ()

    def load_texts(self, data_path: str, **kwargs: object) -> Iterable[Example | str]:
        return self.items


def run(
    *processors: Processor, config: DataConfig | None = None
) -> tuple[list[Example], list[str]]:
    notes: list[str] = []
    return assemble_examples(processors, config or DataConfig(), notes.append), notes


def example(identifier: str, category: str = "", text: str = "") -> Example:
    return Example(id=identifier, text=text or identifier, category=category)


def test_sources_add_up_and_filters_see_what_came_before(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one two three\n\n  four  \n", encoding="utf-8")
    found, notes = run(
        TextLines(data_path=str(tmp_path / "t.txt"), category="c"),
        Length(min_words=2),
        Given(items=("five",)),
    )
    assert [(e.text, e.category) for e in found] == [("one two three", "c"), ("five", "")]
    assert notes == ["the filter 'Length' left out 1 of 2 texts"]


def test_categories_keep_only_those_named() -> None:
    found, _ = run(
        Given(items=(example("1", "law"), example("2", "food"))),
        config=DataConfig(categories=("law",)),
    )
    assert [e.id for e in found] == ["1"]


def test_an_unknown_category_gets_a_hint() -> None:
    with pytest.raises(DataError, match="no text has category 'coking'.*did you mean 'cooking'"):
        run(ShippedTexts(), config=DataConfig(categories=("coking",)))


def test_the_cap_per_category_is_noted() -> None:
    items = tuple(example(str(i), "ab"[i % 2]) for i in range(10))
    found, notes = run(Given(items=items), config=DataConfig(max_texts_per_category=2))
    assert sorted(e.category for e in found) == ["a", "a", "b", "b"]
    assert [e.id for e in found] == sorted(e.id for e in found), "the order is kept"
    longer = (*items, *(example(str(i), "ab"[i % 2]) for i in range(10, 12)))
    again, _ = run(Given(items=longer), config=DataConfig(max_texts_per_category=2))
    assert len({e.id for e in again} & {e.id for e in found}) >= 2, "a sample that hardly moves"
    assert notes == ["6 texts beyond 2 per category were left out"]


def test_repeated_texts_are_used_once_and_noted() -> None:
    found, notes = run(Given(items=("same", "same", "other")))
    assert [e.text for e in found] == ["same", "other"]
    assert notes == ["1 texts given twice were used once"]


def test_one_id_for_two_texts_is_refused() -> None:
    with pytest.raises(DataError, match="two different texts have the id 'x'"):
        run(Given(items=(example("x", text="a"), example("x", text="b"))))


def test_one_text_after_two_conversations_is_two_texts() -> None:
    def after(said: str, identifier: str = "") -> Example:
        context = (Message("system", said),)
        return Example(id=identifier or text_id("a", context), text="a", context=context)

    found, notes = run(Given(items=("a", after("one"), after("two"), after("one"))))
    assert [len(e.context) for e in found] == [0, 1, 1]
    assert notes == ["1 texts given twice were used once"]
    assert found[0].id == "ca978112ca1b", "the id of a text alone is what it always was"
    with pytest.raises(DataError, match="two different texts have the id 'x'"):
        run(Given(items=(after("one", "x"), after("two", "x"))))


def test_a_clash_of_ids_says_both_places_and_what_to_do(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "t.jsonl", '{"text": "a", "id": 1}\n{"text": "b", "id": 1}\n')
    with pytest.raises(DataError, match=r"t\.jsonl:1 and .*t\.jsonl:2 \(mend the ids, or give"):
        run(source)
    found, _ = run(attrs.evolve(source, id_key="none"))
    assert len(found) == 2


def test_the_texts_with_something_before_them_are_counted() -> None:
    system, answer = Message("system", "s"), Message("assistant", "a")
    texts = [
        Example(id="1", text="x", context=(system,)),
        Example(id="2", text="x", context=(system, answer)),
        Example(id="3", text="x"),
    ]
    assert said_before(texts) == "2 with a system message, 1 after earlier turns"
    assert said_before(texts[2:]) == ""


def test_nothing_left_is_refused() -> None:
    with pytest.raises(DataError, match="no user text is left"):
        run(Given(items=("one two",)), Length(min_words=3))


def jsonl(path: Path, content: str) -> JsonlTexts:
    path.write_text(content, encoding="utf-8")
    return JsonlTexts(data_path=str(path))


def test_jsonl_ids_categories_and_places(tmp_path: Path) -> None:
    found, _ = run(
        jsonl(tmp_path / "t.jsonl", '{"text": "a", "id": 7, "category": "c"}\n\n{"text": "b"}\n')
    )
    assert (found[0].id, found[0].category) == ("7", "c")
    assert len(found[1].id) == 12
    assert found[1].metadata["source"] == f"{tmp_path / 't.jsonl'}:3"


def test_unusual_line_separators_inside_a_text_do_not_break_the_line(tmp_path: Path) -> None:
    found, _ = run(jsonl(tmp_path / "t.jsonl", '{"text": "a\u2028b"}\r\n{"text": "c"}\r\n'))
    assert [e.text for e in found] == ["a\u2028b", "c"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{nope", "not JSON"),
        ('["text"]', "not a JSON object but list"),
        ('{"txt": "a"}', "no text under 'text'"),
        ('{"text": 3}', "no text under 'text'"),
    ],
)
def test_jsonl_errors_say_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    with pytest.raises(DataError) as caught:
        run(jsonl(path, '{"text": "fine"}\n' + line + "\n"))
    assert str(caught.value).startswith(f"{path}:2: {message}")
    assert caught.value.exit_code == 4


def test_a_source_must_say_where_its_texts_come_from() -> None:
    with pytest.raises(NotImplementedError, match="must implement load_texts"):
        run(BaseDataProcessor())


def test_the_shipped_texts_are_enough_for_every_split() -> None:
    found, notes = run(ShippedTexts(), Length())
    assert len(found) >= 400
    assert notes == []
