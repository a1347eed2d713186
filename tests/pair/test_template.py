"""The chat template: whose it is, what it is told, what it writes, where it ends an answer."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import PairConfig
from softdiv.errors import ConfigError, PairError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.template import ChatTemplate, stop_ids, template_file
from softdiv.plugin.records import Message
from tests.pair.small_tokenizers import (
    CHATML,
    LLAMA_2,
    LLAMA_3,
    ZEPHYR,
    byte_level,
    sentencepiece,
)

HELLO = (Message("user", "Hello."),)
ADDED = ("<|head|>", "<|/head|>", "<|eot|>")
DATED = "{% set d = strftime_now('%d %b %Y') %}Today is {{ d }}.\n" + CHATML
THINKING = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and enable_thinking is false %}<think></think>"
    "{% endif %}{% endif %}",
)


def pair(tokenizer: Any, tokenizer_2: Any = None, **config: Any) -> ModelPair:
    model_1, _ = TinyLoader().load("cpu")
    model_2, _ = TinyLoader(noise=0.05).load("cpu")
    return ModelPair.of(model_1, model_2, tokenizer, tokenizer_2, config=PairConfig(**config))


def shown(found: ModelPair) -> str:
    ids = found.layout().hard("Hello.").before
    text: str = found.tokenizer.decode(list(ids))
    return text


@pytest.mark.parametrize(
    ("tokenizer", "token"),
    [
        (byte_level(), "<|im_end|>"),
        (byte_level(LLAMA_3, added=ADDED), "<|eot|>"),
        (byte_level(LLAMA_3, added=ADDED, special=False), "<|eot|>"),
        (
            byte_level(CHATML.replace("<|im_end|>\n", "{{ '<|' + 'eot|>' }}"), added=ADDED),
            "<|eot|>",
        ),
        (sentencepiece("legacy", LLAMA_2), "</s>"),  # behind a space of its own
        (sentencepiece("first", ZEPHYR), "</s>"),
        # nothing but the start of the next turn
        (
            byte_level("{% for m in messages %}<|im_start|>{{ m['content'] }}{% endfor %}"),
            "<|im_start|>",
        ),
    ],
)
def test_an_answer_ends_where_the_template_ends_a_turn(tokenizer: Any, token: str) -> None:
    wanted = tokenizer.convert_tokens_to_ids(token)
    assert ChatTemplate.of(tokenizer).ends == (wanted,)
    model, _ = TinyLoader().load("cpu")
    model.generation_config.eos_token_id = [7, 8]
    stops = stop_ids(model, ChatTemplate.of(tokenizer))
    assert stops == {wanted, tokenizer.eos_token_id, 7, 8}


@pytest.mark.parametrize(
    "template",
    [
        None,
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}",
        "{{ messages[0]['content'] }}",  # no place for an answer
        "{% if messages | length > 1 %}{{ raise_exception('one message') }}{% endif %}x",
    ],
)
def test_a_template_that_ends_no_turn_leaves_it_to_the_settings(template: str | None) -> None:
    tokenizer = byte_level(template)
    assert ChatTemplate.of(tokenizer).ends == ()
    model, _ = TinyLoader().load("cpu")
    assert stop_ids(model, ChatTemplate.of(tokenizer)) == {tokenizer.eos_token_id}


def test_what_ends_answers_is_in_the_pairs_report() -> None:
    tokenizer = byte_level(LLAMA_3, size=500, added=ADDED)  # a head of 512 has a row for them
    found = pair(tokenizer)
    assert found.report.ends == (("<|im_end|>", 1), ("<|eot|>", 502))
    assert found.stop_ids == {1, 502}
    without_eos = byte_level(LLAMA_3, size=500, added=ADDED)
    without_eos.eos_token = without_eos.pad_token = without_eos.bos_token = None
    assert pair(without_eos).stop_ids == {1, 502}  # 1: the model's generation settings


def test_both_models_own_ends_count() -> None:
    other = byte_level(CHATML.replace("<|im_end|>", "<|eot|>"), size=500, added=ADDED)
    found = pair(byte_level(size=500, added=ADDED), other)
    assert found.stop_ids == {1, 502}


def test_the_date_is_the_configs_whatever_the_day() -> None:
    tokenizer = byte_level(DATED)
    told = ChatTemplate.of(tokenizer).render(HELLO)
    assert told.startswith("Today is 26 Jul 2024.")
    other = ChatTemplate.of(tokenizer, PairConfig(template_date="2026-01-31"))
    assert other.render(HELLO).startswith("Today is 31 Jan 2026.")
    assert datetime.date.today().strftime("%d %b %Y") not in (told, other.render(HELLO))
    notes = pair(tokenizer, template_date="2026-01-31").report.notes
    assert [n for n in notes if "writes the date: in every run it is 2026-01-31" in n]
    assert not [n for n in pair(byte_level()).report.notes if "date" in n]


def test_arguments_reach_the_template() -> None:
    tokenizer = byte_level(THINKING)
    assert "<think>" not in shown(pair(tokenizer))
    assert shown(pair(tokenizer, template_arguments={"enable_thinking": False})).endswith(
        "</think>"
    )


def test_an_argument_the_template_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"not use 'enable_thinkin'.*mean 'enable_thinking'"):
        pair(byte_level(THINKING), template_arguments={"enable_thinkin": False})


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('template_arguments={messages="x"}', "'messages' is not for you to give"),
        ("template_arguments={day=2026-01-31}", "holds what a template cannot be told"),
        ("template_arguments=3", "template_arguments"),
        ('template_date="31 Jan 2026"', 'must be a day like "2026-01-31"'),
        ("template_of=model_3", "did you mean"),
    ],
)
def test_wrong_settings_are_one_line(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ExperimentConfig.from_dict({}, [f"pair.{setting}"])


def test_settings_survive_a_pair_by_name_and_the_config_file(tmp_path: Path) -> None:
    from softdiv.components import Prepared

    config = ExperimentConfig.from_dict(
        {"pair": {"name": "tiny", "template_arguments": {"role": "x"}, "template_of": "model_2"}}
    )
    file = tmp_path / "c.toml"
    file.write_text(config.to_toml(), encoding="utf-8")
    found = Prepared.of(ExperimentConfig.from_file(file)).config.pair
    assert found.model_1 is not None
    assert (found.template_arguments, found.template_of) == ({"role": "x"}, "model_2")


def test_a_file_takes_the_templates_place(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("<<{{ messages[0]['content'] }}>>", encoding="utf-8")
    found = pair(byte_level(), chat_template=str(file))
    assert shown(found) == "<<Hello.>>"
    assert f"both models are given the chat template of {file}" in found.report.notes
    assert shown(pair(byte_level(None), chat_template=str(file))) == "<<Hello.>>"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 1_000_001])
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "t.jinja"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"pair\.chat_template: .*t\.jinja"):
        pair(byte_level(), chat_template=str(file))


def test_whose_template_is_used_is_said_and_can_be_chosen() -> None:
    base, tuned = byte_level(None), byte_level()
    plain = pair(base, tuned)
    assert shown(plain) == "Hello.\n"
    (note,) = [n for n in plain.report.notes if "differ" in n]
    assert "model_1's is used for both" in note and 'pair.template_of = "model_2"' in note
    assert "no chat template: texts are continued as plain text" in plain.report.notes
    chat = pair(base, tuned, template_of="model_2")
    assert shown(chat).startswith("<|im_start|>user\nHello.") and chat.tokenizer is tuned
    (note,) = [n for n in chat.report.notes if "differ" in n]
    assert "model_2's is used for both, model_1 has none" in note


def test_named_templates_use_the_default_or_are_refused() -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = {"default": CHATML, "rag": "x"}
    assert shown(pair(tokenizer)).startswith("<|im_start|>user")
    tokenizer.chat_template = {"tool_use": CHATML, "rag": "x"}
    with pytest.raises(PairError, match=r"templates rag, tool_use: none of them is the default"):
        pair(tokenizer)
    assert pair(byte_level(), tokenizer)  # not the one used
    tokenizer.chat_template = 7
    with pytest.raises(PairError, match="is no template"):
        pair(tokenizer)


def test_a_template_in_a_file_of_its_own_is_found(tmp_path: Path) -> None:
    from softdiv.builtin.loaders.hf import HfLoader

    model, _ = TinyLoader().load("cpu")
    model.save_pretrained(tmp_path)
    byte_level(CHATML).save_pretrained(tmp_path)
    assert (tmp_path / "chat_template.jinja").is_file()
    _, tokenizer = HfLoader(path=str(tmp_path)).load("cpu")
    assert shown(pair(tokenizer)).startswith("<|im_start|>user")


def test_templates_that_read_content_parts_are_given_parts() -> None:
    parts = (
        "{% for m in messages %}<|im_start|>{% for p in m['content'] %}"
        "{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    )
    where = Layout(byte_level(parts))
    found = where.tokenizer.decode(list(where.hard("Hello.", "Be kind.").before))
    assert found == "<|im_start|>Be kind. Hello.<|im_end|>"
    failing = parts.replace("p['type'] == 'text'", "p.type | length == 4")
    assert "Hello." in ChatTemplate.of(byte_level(failing)).render(HELLO)


def test_a_template_that_needs_what_the_models_do_not_share_is_refused() -> None:
    theirs = byte_level(size=500, added=("<|eot|>",))
    mine = byte_level(CHATML.replace("<|im_end|>", "<|end|>"), size=500, added=("<|end|>",))
    with pytest.raises(PairError, match=r"template or the end of a turn needs '<\|end\|>'"):
        pair(mine, theirs)
    assert pair(mine, theirs, template_of="model_2")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{{ m['content'] }", "not valid Jinja"),
        ("{{ raise_exception('never') }}", 'says "never"'),
        ("{{ missing.thing }}", "lacks something"),
        ("{{ 'a' * 10 ** 10 }}", "memory"),
    ],
)
def test_a_pair_whose_template_cannot_be_used_is_refused(template: str, said: str) -> None:
    with pytest.raises(PairError, match=said):
        pair(byte_level(template))
    assert pair(byte_level(), byte_level(template))  # not the one used


def test_a_template_without_an_end_is_no_template() -> None:
    with pytest.raises(ConfigError, match="/dev/zero is larger than any template"):
        template_file(PairConfig(chat_template="/dev/zero"))
