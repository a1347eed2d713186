"""An answer's text is read as it stands in a conversation, and back as it was said."""

from __future__ import annotations

import pytest

from softdiv.pair.layout import Layout
from softdiv.pair.text_reader import TextReader
from softdiv.plugin.records import Message, TextContext
from tests.pair import small_tokenizers as small

FAMILIES = {
    "byte-level": small.byte_level(),
    "byte-level, no template": small.byte_level(None),
    "Llama 2": small.sentencepiece("legacy", small.LLAMA_2),
    "Zephyr": small.sentencepiece("legacy", small.ZEPHYR),
    "Mistral": small.sentencepiece("first", small.LLAMA_2),
    "unigram": small.sentencepiece("unigram", small.ZEPHYR),
}
each_family = pytest.mark.parametrize("family", FAMILIES)
ASKED = TextContext(messages=(Message("user", "What is a harbour?"),))
PLAIN = TextContext(text="Once upon a time")
TURN = TextContext(user_turn=True)


def reader(family: str) -> TextReader:
    layout = Layout(FAMILIES[family])
    ends = {*layout.template.ends, layout.tokenizer.eos_token_id}
    return TextReader(layout=layout, stop_ids=frozenset(ends))


@each_family
@pytest.mark.parametrize("answer", ["Sure, with pleasure.", "No", "A place\n\nfor ships"])
def test_an_answer_is_read_as_its_template_would_tokenise_it(family: str, answer: str) -> None:
    one = reader(family)
    if family == "unigram":  # it knows no line ends
        answer = " ".join(answer.split())
    ids = one.read(ASKED, answer, closed=False)
    assert one.text(ASKED, ids) == answer
    template = one.layout.template
    if template.source is not None:  # the template's own conversation with that answer in it
        said = (*ASKED.messages, Message("assistant", answer))
        whole = template.tokens(template.render(said, answer=False))
        before = list(one.context(ASKED).before)
        assert whole[: len(before) + len(ids)] == [*before, *ids]


@each_family
def test_a_line_end_that_would_merge_with_the_templates_leaves_the_context_alone(
    family: str,
) -> None:
    one = reader(family)
    for answer in ("\nHello", "\n\nHello", " Hello"):
        ids = one.read(ASKED, answer, closed=False)
        names = one.layout.tokenizer.decode([*one.context(ASKED).before, *ids])
        assert names.endswith("Hello")
        assert names.startswith(one.layout.tokenizer.decode(one.context(ASKED).before))


@each_family
def test_an_end_is_what_the_template_puts_behind_an_answer(family: str) -> None:
    one = reader(family)
    assert one.read(ASKED, "No", closed=True) == [*one.read(ASKED, "No", closed=False), one.end]
    assert one.layout.tokenizer.decode([one.end]) in ("<|im_end|>", "</s>")
    assert one.read(ASKED, "", closed=True) == [one.end]


@each_family
def test_texts_outside_a_conversation_go_on_from_what_stands_there(family: str) -> None:
    one = reader(family)
    for context in (PLAIN, TURN):
        ids = one.read(context, " there was" if context is PLAIN else "there was", closed=False)
        assert one.text(context, ids).strip() == "there was"


def test_what_counts_is_the_first_tokens_as_they_are_read() -> None:
    one = reader("byte-level")
    ids = one.read(ASKED, "Sure, with pleasure.", closed=False)
    part = one.written(ASKED, "Sure, with pleasure.", 2, ended=True)
    assert part.counted == one.text(ASKED, ids[:2]) and not part.closed and not part.cut
    assert part.tokens == 2
    whole = one.written(ASKED, "Sure, with pleasure.", len(ids) + 1, ended=True)
    assert (whole.counted, whole.closed, whole.tokens) == (whole.text, True, len(ids) + 1)
    # the end would be one token too many: it does not count
    without = one.written(ASKED, "Sure, with pleasure.", len(ids), ended=True)
    assert (without.counted, without.closed, without.tokens) == (whole.text, False, len(ids))
    stopped = one.written(ASKED, "Sure, with pleasure.", 99, ended=False)
    assert stopped.cut and not stopped.closed


def test_half_a_character_at_the_limit_does_not_count() -> None:
    one = reader("byte-level")
    text = "ok 漢字"
    sizes = {one.written(ASKED, text, n, ended=True).counted for n in range(1, 12)}
    assert sizes == {"o", "ok", "ok ", "ok 漢", text} - {"o"} | (sizes & {"o"})
    assert one.written(ASKED, "ok \ufffd", 99, ended=False).counted == "ok "


def test_a_text_outside_a_conversation_has_no_end() -> None:
    one = reader("byte-level")
    assert not one.written(PLAIN, " there was", 99, ended=True).closed


def test_what_a_tokenizer_has_no_token_for_is_told() -> None:
    assert reader("unigram").loses("漢字") and not reader("unigram").loses("a harbour")
    assert not reader("byte-level").loses("漢字")
