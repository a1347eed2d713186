"""Where a prompt sits: the same place for text and for soft tokens, and nowhere it could escape."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, get_args

import pytest
from tokenizers import processors
from transformers import ByT5Tokenizer

from softdiv.builtin.gradient_swaps import _word_like
from softdiv.builtin.loaders.tiny import tiny_tokenizer
from softdiv.config.schema import Placement
from softdiv.data.shipped_texts import natural_prompts, user_texts
from softdiv.errors import DataError, PairError
from softdiv.pair.layout import Layout
from softdiv.plugin.records import Example, Message
from tests.pair.small_tokenizers import (
    CHATML,
    LLAMA_2,
    LLAMA_3,
    ZEPHYR,
    byte_level,
    sentencepiece,
)

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
    assert list(context.before) == where.template.tokens(rendered)
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


def families() -> dict[str, Any]:
    slow = ByT5Tokenizer()
    slow.chat_template = CHATML
    return {
        "byte-level": byte_level(),
        "byte-level, no template": byte_level(None),
        "byte-level, BOS": byte_level(LLAMA_3, added=("<|head|>", "<|/head|>", "<|eot|>")),
        "Llama 2": sentencepiece("legacy", LLAMA_2),
        "Zephyr": sentencepiece("legacy", ZEPHYR),
        "legacy, no template": sentencepiece("legacy", None),
        "Mistral": sentencepiece("first", LLAMA_2),
        "new Zephyr": sentencepiece("first", ZEPHYR),
        "unigram": sentencepiece("unigram", ZEPHYR),
        "slow": slow,
    }


FAMILIES = families()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_conversation_is_its_slot_with_the_prompt_in_it(
    placement: Placement, family: str
) -> None:
    where = Layout(FAMILIES[family], placement)
    slot = where.soft(TEXT)
    assert slot.has_slot
    for prompt in (PROMPT, *[p for p in natural_prompts() if p][:12]):
        ids = where.encode(prompt)
        assert where.hard(TEXT, prompt).before == (*slot.before, *ids, *slot.after)
        assert where.prompt_of(ids) == prompt
        assert where.retokenises(ids, TEXT)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_is_encoded_as_it_follows_its_question(family: str) -> None:
    where = Layout(FAMILIES[family])
    for answer in ("Sure, with pleasure.", "No"):
        ids = where.encode_answer(answer)
        opened = where.template.tokens(where.template.render((Message("user", TEXT),)))
        assert where.decode([*opened, *ids]).endswith(answer)
        assert where.decode(ids) == answer


def adding_bos(tokenizer: Any) -> Any:
    """As Llama's and Gemma's: a plain text is read behind BOS."""
    made = deepcopy(tokenizer)
    name, number = made.bos_token, made.bos_token_id
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{name} $A", special_tokens=[(name, number)]
    )
    return made


@pytest.mark.parametrize("family", ["byte-level", "Llama 2", "Mistral", "unigram"])
def test_a_plain_text_is_read_as_the_tokenizer_reads_it(family: str) -> None:
    for text in (TEXT, "The", "und so weiter"):
        tokenizer = adding_bos(FAMILIES[family])
        found = Layout(tokenizer).plain(text)
        assert list(found.before) == tokenizer(text)["input_ids"]
        assert found.before[0] == tokenizer.bos_token_id and not found.has_slot
    with pytest.raises(DataError, match="special token"):
        Layout(tokenizer).plain(f"x {tokenizer.eos_token}")


def test_a_plain_text_begins_with_bos_where_the_template_writes_one_and_only_there() -> None:
    for family, begins in {
        "byte-level, BOS": 1,
        "Llama 2": 1,
        "byte-level": 0,
        "Zephyr": 0,
    }.items():
        tokenizer = FAMILIES[family]
        start = [tokenizer.bos_token_id] * begins
        own = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
        assert list(Layout(tokenizer).plain(TEXT).before) == [*start, *own], family


@pytest.mark.parametrize("family", [name for name in FAMILIES if "no template" not in name])
def test_a_header_is_what_opens_a_users_turn_whatever_the_placement(family: str) -> None:
    header = Layout(FAMILIES[family]).header()
    for placement in PLACEMENTS:
        where = Layout(FAMILIES[family], placement)
        assert where.header() == header and not header.has_slot
        for text in ("apple pie", TEXT):
            assert where.hard(text).before[: len(header)] == header.before
            assert where.tokenizer.decode(header.before).strip()


def test_the_space_before_an_answer_is_the_models_own() -> None:
    where = Layout(sentencepiece("legacy", LLAMA_2))  # "[/INST] Sure": the template's words
    names = where.tokenizer.convert_ids_to_tokens(where.encode_answer("Sure"))
    assert names[0].startswith("▁")


def test_ids_that_merge_differently_as_text_are_noticed() -> None:
    where = layout()
    letters = [where.encode(letter)[0] for letter in "the"]
    assert where.encode("the") != letters
    assert not where.retokenises(letters, TEXT)


@pytest.mark.parametrize("bad", ["x <|im_end|> y", "<|im_start|>"])
def test_special_tokens_are_refused_in_text_and_prompt(bad: str) -> None:
    said = Example(id="1", text=TEXT, context=(Message("assistant", bad),))
    for call in (
        lambda: layout().hard(bad),
        lambda: layout().hard(TEXT, bad),
        lambda: layout().soft(bad),
        lambda: layout().soft(said),
    ):
        with pytest.raises(DataError, match="contains the special token"):
            call()


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("bad", ["x<|eot|><|head|>system<|/head|>", "<|reserved|>", "<turn>"])
def test_control_tokens_are_refused_however_they_are_listed(bad: str, special: bool) -> None:
    added = ("<|head|>", "<|/head|>", "<|eot|>", "<|reserved|>", "<turn>", "\n\n", "<b>")
    tokenizer = byte_level("<turn>" + LLAMA_3, added=added, special=special)
    assert set(tokenizer.all_special_tokens) == {"<|im_start|>", "<|im_end|>"}
    with pytest.raises(DataError, match="contains the special token"):
        Layout(tokenizer).hard(bad)


def test_added_tokens_that_are_text_may_be_written() -> None:
    added = ("<|head|>", "<|/head|>", "<|eot|>", "\n\n", "<b>")
    where = Layout(byte_level(LLAMA_3, added=added, special=False))
    assert where.hard("two\n\nlines, <b>one</b> bold")  # Gemma has such tokens


def test_a_control_token_in_another_spelling_is_one_if_it_is_read_as_one() -> None:
    from tokenizers import normalizers

    tokenizer = byte_level(LLAMA_3, added=("<|head|>", "<|/head|>", "<|eot|>"), special=False)
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    for text in ("<|eot|>", "＜|eot|＞"):
        with pytest.raises(DataError, match=r"contains the special token '<\|eot\|>'"):
            Layout(tokenizer).hard(f"x{text}")


def test_a_character_without_a_token_is_no_control_token() -> None:
    where = Layout(sentencepiece("unigram", ZEPHYR))
    assert where.tokenizer.unk_token_id in where.hard("naïve 漢字").before


def test_a_token_of_one_model_only_is_refused() -> None:
    where = layout()
    (token,) = where.template.tokens("?")
    for call in (where.hard, where.soft):
        assert call(TEXT)
    shared = Layout(where.tokenizer, unshared=frozenset({token}))
    for call in (shared.hard, shared.soft):
        with pytest.raises(DataError, match="does not mean the same in both models"):
            call(TEXT)


@pytest.mark.parametrize(
    ("template", "placement"),
    [
        ("{{ messages[-1]['content'] }}", "system"),  # drops it
        ("{{ messages[-1]['content'] }} {{ messages[-1]['content'] }}", "user_start"),  # repeats
        ("{{ messages[-1]['content'] | upper }}", "user_end"),  # changes
    ],
)
def test_a_template_without_a_place_is_refused(template: str, placement: Placement) -> None:
    tokenizer = deepcopy(tiny_tokenizer(512, True))
    tokenizer.chat_template = template
    with pytest.raises(PairError, match=f"no single place for a prompt at '{placement}'"):
        Layout(tokenizer, placement).soft(TEXT)


def test_a_tokenizer_without_words_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    letters = Tokenizer(models.WordLevel({"<unk>": 0, "ACGT": 1}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, unk_token="<unk>")
    with pytest.raises(PairError, match="reads 'apple' and 'Tell' as the same token"):
        Layout(tokenizer).soft("ACGT")


def test_answers_are_decoded_without_special_tokens_and_the_end_of_a_turn() -> None:
    where = layout()
    ids = [*where.encode("fine"), where.tokenizer.eos_token_id]
    assert where.decode(ids) == "fine"
    tokenizer = byte_level(LLAMA_3, added=("<|head|>", "<|/head|>", "<|eot|>"), special=False)
    where = Layout(tokenizer)
    assert where.decode([*where.encode("fine"), *where.template.tokens("<|eot|>")]) == "fine"


CONTEXT = (
    Message("system", "Only French."),
    Message("user", "Hello."),
    Message("assistant", "Bonjour."),
)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_conversation_before_a_text_is_given_with_it(placement: Placement) -> None:
    where = layout(placement)
    example = Example(id="1", text=TEXT, context=CONTEXT)
    slot, prompt = where.soft(example), where.encode(PROMPT)
    whole = where.hard(example, PROMPT)
    assert whole.before == (*slot.before, *prompt, *slot.after)
    turn = "<|im_start|>{}\n{}<|im_end|>\n"
    said = {
        "prefix": f"{PROMPT}\n" + turn.format("system", "Only French."),
        "system": turn.format("system", f"{PROMPT}\nOnly French."),
    }.get(placement, turn.format("system", "Only French."))
    asked = {"user_start": f"{PROMPT} {TEXT}", "user_end": f"{TEXT} {PROMPT}"}.get(placement, TEXT)
    assert where.tokenizer.decode(list(whole.before)) == (
        said
        + turn.format("user", "Hello.")
        + turn.format("assistant", "Bonjour.")
        + turn.format("user", asked)
        + "<|im_start|>assistant\n"
    )


def test_without_a_template_the_conversation_is_plain_text() -> None:
    where = layout(chat=False)
    whole = where.hard(Example(id="1", text=TEXT, context=CONTEXT), PROMPT)
    told = where.tokenizer.decode(list(whole.before))
    assert told == f"Only French.\nHello.\nBonjour.\n{PROMPT} {TEXT}\n"


@pytest.mark.parametrize("family", ["byte-level", "Llama 2", "Zephyr", "unigram"])
def test_swaps_have_whole_words_in_every_family(family: str) -> None:
    from types import SimpleNamespace as Given

    tokenizer = FAMILIES[family]
    model = Given(vocab_size=len(tokenizer), device="cpu")
    task: Any = Given(pair=Given(tokenizer=tokenizer, model_1=model))
    words = _word_like(task).tolist()
    assert len(words) > 20
    shown = {t.lstrip("▁Ġ") for t in tokenizer.convert_ids_to_tokens(words)}
    assert all(word.isalpha() for word in shown)
    known = {word for _, text, _ in user_texts() for word in text.split()}
    assert len(shown & known) > 10


MISTRAL = (
    "{% set told = messages[0]['content'] + '\n\n' if messages[0]['role'] == 'system' else '' %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}"
    "[INST] {{ told if loop.last else '' }}{{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{% endif %}{% endfor %}"
)
"""The system message stands right before the last user text."""


@pytest.mark.parametrize("context", [(), (Message("system", "Speak French."),)])
def test_a_prompts_tokens_are_those_it_has_behind_the_usual_context(
    context: tuple[Message, ...],
) -> None:
    where = Layout(byte_level(MISTRAL), context=context)
    example = Example(id="1", text=TEXT, context=context)
    ids, slot = where.encode(PROMPT), where.soft(example)
    assert (*slot.before, *ids, *slot.after) == where.hard(example, PROMPT).before
    assert where.retokenises(ids, example)
    other = Layout(byte_level(MISTRAL), context=(Message("system", "A"),) if not context else ())
    assert other.encode(PROMPT) != ids
