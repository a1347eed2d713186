"""User texts as the models can be given them: refused, left out or cut short, and always said."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.sources.lines import JsonlTexts
from softdiv.components import Components, Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import PairConfig
from softdiv.data.base import BaseDataProcessor
from softdiv.data.shipped_texts import user_texts
from softdiv.errors import ConfigError, DataError, PairError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.records import Example, Message
from softdiv.stages.load import fitting, load_texts
from softdiv.stages.texts import layout_notes, usable_texts, with_contexts_kept, with_system_prompt
from softdiv.stages.work import LoadedPair
from tests.pair.small_tokenizers import CHATML, byte_level

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
    + CHATML
)
DROPS_SYSTEM = CHATML.replace(
    "{% for m in messages %}", "{% for m in messages if m.role != 'system' %}"
)
NO_TOOLS = (
    "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role ' + m.role) }}{% endif %}{% endfor %}" + CHATML
)
ALTERNATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
)
SYSTEM = Message("system", "Only French.")
TURNS = (Message("user", "Hello."), Message("assistant", "Bonjour."))
TOOL = Message("tool", '{"sum": 4}')


def example(number: int, *context: Message) -> Example:
    return Example(id=str(number), text=f"What is {number}?", context=context)


def kept(
    template: str, *context: Message, system_prompt: str | None = None
) -> tuple[tuple[str, ...], list[str]]:
    """Roles kept of a context given twice, and the notes."""
    notes: list[str] = []
    examples = [example(1, *context), example(2, *context)]
    found = with_contexts_kept(examples, Layout(byte_level(template)), system_prompt, notes.append)
    roles = {tuple(m.role for m in e.context) for e in found}
    assert len(roles) == 1
    return roles.pop(), notes


def test_what_a_template_takes_is_kept_whole() -> None:
    whole = (SYSTEM, *TURNS, TOOL)
    assert kept(CHATML, *whole) == (("system", "user", "assistant", "tool"), [])
    assert kept(CHATML) == ((), [])
    assert kept(NO_TOOLS, SYSTEM, *TURNS) == (("system", "user", "assistant"), [])


@pytest.mark.parametrize(
    ("template", "context", "left", "said"),
    [
        (NO_SYSTEM, (SYSTEM, *TURNS), ("user", "assistant"), ["'system'.*No system role"]),
        (DROPS_SYSTEM, (SYSTEM, *TURNS), ("user", "assistant"), ["'system'.*does not write them"]),
        (
            NO_TOOLS,
            (SYSTEM, *TURNS, TOOL),
            ("system", "user", "assistant"),
            ["'tool'.*unknown rol"],
        ),
        (ALTERNATE, (SYSTEM, *TURNS, TOOL), ("user", "assistant"), ["'system'", "'tool'"]),
        (ALTERNATE, TURNS[1:], (), ["'assistant'.*alternate"]),
        (
            "{{ messages[-1]['content'] }}",
            (SYSTEM, *TURNS),
            (),
            ["'system'", "'user'", "'assistant'"],
        ),
    ],
)
def test_what_it_refuses_or_drops_is_counted_and_said(
    template: str, context: tuple[Message, ...], left: tuple[str, ...], said: list[str]
) -> None:
    roles, notes = kept(template, *context)
    assert roles == left
    assert len(notes) == len(said)
    for note, wanted in zip(notes, said, strict=True):
        assert note.startswith("2 messages of the role ")
        assert re.search(wanted, note), note


def test_the_configs_system_prompt_goes_before_texts_without_one() -> None:
    found = with_system_prompt([example(1), example(2, SYSTEM), example(3, *TURNS)], "Be kind.")
    assert [e.context for e in found] == [
        (Message("system", "Be kind."),),
        (SYSTEM,),
        (Message("system", "Be kind."), *TURNS),
    ]
    assert with_system_prompt([example(1)], None) == [example(1)]


def test_a_system_prompt_without_a_place_is_refused() -> None:
    with pytest.raises(PairError, match="no place for data.system_prompt.*No system role"):
        kept(NO_SYSTEM, Message("system", "Be kind."), system_prompt="Be kind.")


def write(path: Path, texts: Sequence[str]) -> str:
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
    return str(path)


def test_control_tokens_end_the_run_or_are_skipped_where_the_source_skips(tmp_path: Path) -> None:
    layout = Layout(byte_level())
    good = JsonlTexts(data_path=write(tmp_path / "a.jsonl", ["one", "two"]))
    bad = JsonlTexts(data_path=write(tmp_path / "b.jsonl", ["x <|im_end|>", "three"]))
    examples = list(bad(good([])))
    notes: list[str] = []
    with pytest.raises(DataError, match=r"b\.jsonl:1: .*'<\|im_end\|>'.*on_bad_lines") as caught:
        usable_texts(examples, layout, (), notes.append)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError):
        usable_texts(examples, layout, (good.data_path,), notes.append)
    found = usable_texts(examples, layout, (bad.data_path,), notes.append)
    assert [e.text for e in found] == ["one", "two", "three"]
    (note,) = notes
    assert note.startswith("1 texts were skipped: ") and "b.jsonl:1" in note


class Known(BaseDataProcessor):
    def load_texts(self, data_path: str, **kwargs: object) -> list[Example]:
        return [Example(id=i, text=t) for i, t, _ in user_texts()[:40]]


def fitted(
    template: str | None, *settings: str, processor: Any = None
) -> tuple[LoadedPair, list[str]]:
    config = ExperimentConfig.from_dict({"pair": {"name": "tiny"}}, settings)
    parts = Components.build(config, Prepared.of(config).plugins)
    parts = attrs.evolve(parts, processors=(processor or Known(),))
    model_1, _ = TinyLoader().load("cpu")
    model_2, _ = TinyLoader(noise=0.05).load("cpu")
    pair = ModelPair.of(model_1, model_2, byte_level(template), config=PairConfig())
    notes: list[str] = []
    return fitting(
        load_texts(parts, config.data, notes.append), pair, config, parts, notes.append
    ), notes


def test_every_text_is_given_the_configs_system_prompt() -> None:
    loaded, notes = fitted(CHATML, 'data.system_prompt="Only French."')
    assert not notes
    for example in (*loaded.split.train, *loaded.split.test):
        context = loaded.layout.hard(example).before
        told = loaded.pair.tokenizer.decode(list(context))
        assert told.startswith("<|im_start|>system\nOnly French.<|im_end|>")
        assert example.text in told


def test_texts_left_out_leave_the_others_where_they_were(tmp_path: Path) -> None:
    texts = [t for _, t, _ in user_texts()[:40]]
    path = write(tmp_path / "t.jsonl", [*texts, "x <|im_end|>", "<|im_start|>"])
    skipping = JsonlTexts(data_path=path, on_bad_lines="skip")
    loaded, notes = fitted(CHATML, processor=skipping)
    assert [n for n in notes if n.startswith("2 texts were skipped")]
    clean, _ = fitted(CHATML, processor=JsonlTexts(data_path=write(tmp_path / "u.jsonl", texts)))
    assert loaded.split == clean.split


@pytest.mark.parametrize(
    ("template", "settings", "error", "said"),
    [
        (CHATML, ['data.system_prompt="<|im_end|>"'], DataError, "data.system_prompt: .*special"),
        (
            NO_SYSTEM,
            ['data.system_prompt="Be kind."'],
            PairError,
            "no place for data.system_prompt",
        ),
        (
            NO_SYSTEM,
            ["training.placement=system"],
            PairError,
            "No system role.*another training.pl",
        ),
        (DROPS_SYSTEM, ["training.placement=system"], PairError, "no single place"),
        (CHATML, ["evaluation.response_tokens=600"], ConfigError, "leave nothing"),
        (CHATML, ["evaluation.response_tokens=500"], DataError, "do not fit into"),
    ],
)
def test_what_no_model_can_take_is_refused_before_anything_is_computed(
    template: str, settings: list[str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        fitted(template, *settings)


def test_a_blank_system_prompt_is_no_system_prompt() -> None:
    with pytest.raises(ConfigError, match="data.system_prompt: must not be blank"):
        ExperimentConfig.from_dict({}, ['data.system_prompt=" "'])


def test_prompts_that_lose_their_tokens_in_their_place_are_told_of() -> None:
    assert layout_notes(Layout(byte_level())) == []
    # without a gap the prompt's last letters merge with what follows them
    tokenizer = byte_level(CHATML.replace("{{ m['content'] }}", "s{{ m['content'] }}s"))
    (note,) = layout_notes(Layout(tokenizer, "user_end"))
    assert "natural prompts keep their tokens at 'user_end'" in note
