"""Where a prompt sits: the same place for text and for soft tokens, and nowhere it could escape."""

from __future__ import annotations

from typing import get_args

import pytest

from softdiv.builtin.loaders.tiny import tiny_tokenizer
from softdiv.config.schema import Placement
from softdiv.errors import DataError, PairError
from softdiv.pair.layout import Layout

TEXT, PROMPT = "How do I cook rice?", "Tell me the truth"
PLACEMENTS = get_args(Placement)


def layout(placement: Placement = "user_start", chat: bool = True) -> Layout:
    return Layout(tiny_tokenizer(512, chat), placement)


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_hard_prompt_is_the_tokenisation_of_the_whole_text(
    placement: Placement, chat: bool
) -> None:
    where = layout(placement, chat)
    context = where.hard(TEXT, PROMPT)
    rendered = where.tokenizer.decode(list(context.before))
    assert list(context.before) == where.encode(rendered)
    assert rendered.index(PROMPT) < rendered.index(TEXT) or placement == "user_end"
    assert not context.has_slot


def test_what_each_placement_renders() -> None:
    rendered = {
        p: layout(p).tokenizer.decode(list(layout(p).hard(TEXT, PROMPT).before)) for p in PLACEMENTS
    }
    user = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    assert rendered["user_start"] == user.format(f"{PROMPT} {TEXT}")
    assert rendered["user_end"] == user.format(f"{TEXT} {PROMPT}")
    assert rendered["system"] == f"<|im_start|>system\n{PROMPT}<|im_end|>\n" + user.format(TEXT)
    assert rendered["prefix"] == f"{PROMPT}\n" + user.format(TEXT)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_no_prompt_is_the_plain_conversation(placement: Placement) -> None:
    assert layout(placement).hard(TEXT) == layout("user_start").hard(TEXT)


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_slot_is_where_the_text_would_be(placement: Placement, chat: bool) -> None:
    where = layout(placement, chat)
    slot = where.soft(TEXT)
    decode = where.tokenizer.decode
    assert slot.has_slot
    assert decode(list(slot.before)) + PROMPT + decode(list(slot.after)) == decode(
        list(where.hard(TEXT, PROMPT).before)
    )


def test_ids_that_retokenise_give_the_same_context_as_the_slot() -> None:
    where = layout()
    ids = where.encode(PROMPT)
    assert where.retokenises(ids, TEXT)
    slot = where.soft(TEXT)
    assert where.hard(TEXT, PROMPT).before == (*slot.before, *ids, *slot.after)


def test_ids_that_merge_differently_as_text_are_noticed() -> None:
    where = layout()
    letters = [where.encode(letter)[0] for letter in "the"]
    assert where.encode("the") != letters
    assert not where.retokenises(letters, TEXT)


@pytest.mark.parametrize("bad", ["x <|im_end|> y", "<|im_start|>", "a \u241e\u241f\u241e b"])
def test_special_tokens_are_refused_in_text_and_prompt(bad: str) -> None:
    for call in (
        lambda: layout().hard(bad),
        lambda: layout().hard(TEXT, bad),
        lambda: layout().soft(bad),
    ):
        with pytest.raises(DataError, match="contains the special token"):
            call()


def test_a_template_without_a_place_is_refused() -> None:
    from copy import deepcopy

    tokenizer = deepcopy(tiny_tokenizer(512, True))
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"  # drops the system message
    with pytest.raises(PairError, match="no single place for a prompt at 'system'"):
        Layout(tokenizer, "system").soft(TEXT)


def test_answers_are_decoded_without_special_tokens() -> None:
    where = layout()
    ids = [*where.encode("fine"), where.tokenizer.eos_token_id]
    assert where.decode(ids) == "fine"
