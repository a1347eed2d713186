"""``softdiv pairs check``: what a pair is, and whether it can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.cli.main import softdiv
from softdiv.errors import ConfigError, PairError


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
    assert "weights            identical" in result.output
    assert "norm 0 at 0 bits" in result.output


def test_what_cannot_be_compared_exits_4(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = TinyLoader(hidden_size=48).load("cpu")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    result = call("--model-1", str(folder), "--model-2", str(tmp_path))
    assert isinstance(result.exception, PairError)
    assert "hidden sizes differ: 32 and 48" in str(result.exception)


def test_a_name_given_twice_is_refused() -> None:
    result = call("tiny", "--pair", "tiny")
    assert isinstance(result.exception, ConfigError)
