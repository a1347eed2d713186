"""``softdiv pairs check``: what a pair is, and whether it can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.cli.main import softdiv
from softdiv.errors import ConfigError, PairError
from softdiv.training.probe import GradientProbe


def call(*arguments: str) -> Result:
    return CliRunner().invoke(softdiv, ["pairs", "check", *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_a_pair_of_the_registry() -> None:
    result = call("tiny")
    assert result.exit_code == 0, result.output
    lines = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert lines["vocabulary"].startswith("512 tokens")
    assert lines["weights"] == "differ"
    assert lines["parameters"] == "none receives a gradient"
    assert lines["verdict"] == "can be compared"
    assert float(lines["gradient"].split()[1]) > 0


def test_a_rounded_pair_says_what_it_shares(folder: Path) -> None:
    result = call("--model-1", str(folder), "--quantize", "int8")
    assert result.exit_code == 0, result.output
    assert "MB shared" in result.output
    assert "float32 on cpu" in result.output


def test_a_model_beside_itself_has_no_gradient(folder: Path) -> None:
    result = call("--model-1", str(folder), "--model-2", str(folder))
    assert "weights             identical" in result.output
    assert "norm 0 at 0 bits" in result.output


def test_what_cannot_be_compared_exits_4(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = TinyLoader(hidden_size=48).load("cpu")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    result = call("--model-1", str(folder), "--model-2", str(tmp_path))
    assert isinstance(result.exception, PairError)
    assert "hidden sizes differ: 32 and 48" in str(result.exception)


@pytest.mark.parametrize(
    "found", [{"finite": False, "leaks": ()}, {"finite": True, "leaks": ("model_1.norm",)}]
)
def test_a_pair_not_to_be_used_exits_4_too(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = GradientProbe(bits=0.1, norm=1.0, **found)
    monkeypatch.setattr("softdiv.training.probe.probe_gradient", lambda *_: probe)
    result = call("tiny")
    assert result.output.splitlines()[-1] == "verdict             do not use"
    assert result.exit_code == 4


def test_options_of_one_model_beside_its_path(folder: Path) -> None:
    pair = ("--model-1", str(folder), "--model-2", str(folder))
    eager = "pair.model_2.attn_implementation=eager"  # as an error advises
    result = call(*pair, "--set", eager, "--set", "pair.model_1.dtype=bfloat16")
    assert result.exit_code == 0, result.output
    assert "model_1 numbers     bfloat16" in result.output
    wrong = call(*pair, "--set", "pair.model_2.atn_implementation=eager")
    assert isinstance(wrong.exception, ConfigError)
    assert "pair.model_2: model loader 'hf': atn_implementation: unknown" in str(wrong.exception)


@pytest.mark.parametrize("named", [("tiny",), ("--pair", "tiny")])
def test_options_of_one_model_of_a_named_pair(named: tuple[str, ...]) -> None:
    result = call(*named, "--set", "pair.model_2.hidden_size=48")
    assert isinstance(result.exception, PairError)
    assert "hidden sizes differ: 32 and 48" in str(result.exception)


def test_a_name_given_twice_is_refused() -> None:
    result = call("tiny", "--pair", "tiny")
    assert isinstance(result.exception, ConfigError)


def save(tokenizer: object, path: Path, **options: float) -> str:
    model, _ = TinyLoader(**options).load("cpu")  # type: ignore[arg-type]
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)  # type: ignore[attr-defined]
    return str(path)


def test_whose_template_is_used_what_it_is_told_and_what_ends_answers(tmp_path: Path) -> None:
    from tests.pair.small_tokenizers import CHATML, byte_level

    dated = "{{ strftime_now('%Y') }}{{ mood }}" + CHATML
    one = save(byte_level(None), tmp_path / "one")
    two = save(byte_level(dated), tmp_path / "two", noise=0.05)
    pair = ("--model-1", one, "--model-2", two)
    plain = call(*pair).output
    assert "chat template       none: plain continuation" in plain
    assert "answers end with    '<|im_end|>' (1)" in plain
    chosen = call(
        *pair, "--set", "pair.template_of=model_2", "--set", "pair.template_arguments.mood=calm"
    ).output
    assert "chat template       model_2, mood = 'calm'" in chosen
    assert "note                the chat template writes the date" in chosen


def test_a_template_file_on_the_command_line(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / 'own "one".jinja'
    file.write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    given = ("--chat-template", str(file))
    for pair in (("tiny",), ("--model-1", str(folder), "--quantize", "int8"), ("--pair", "tiny")):
        result = call(*pair, *given)
        assert result.exit_code == 0, result.output
        assert f"chat template       {file}" in result.output
    missing = call("tiny", "--chat-template", str(tmp_path / "none"))
    assert isinstance(missing.exception, ConfigError)
    assert "pair.chat_template" in str(missing.exception)


def test_a_placement_the_template_refuses_exits_4(tmp_path: Path) -> None:
    from tests.pair.small_tokenizers import CHATML, byte_level

    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('No') }}{% endif %}" + CHATML
    one = save(byte_level(refuses), tmp_path / "one")
    result = call("--model-1", one, "--model-2", one, "--set", "training.placement=system")
    assert isinstance(result.exception, PairError)
    assert str(result.exception) == (
        'the chat template says "No" (choose another training.placement)'
    )
