"""Files of prompts: what is read, and how what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.errors import ConfigError, DataError
from softdiv.plugin.records import HardPrompt
from softdiv.search.generator import SearchResult
from softdiv.stages.replay import read_suite, replay


def suite(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_texts_alone_are_enough_and_repeated_ones_count_once(tmp_path: Path) -> None:
    path = suite(tmp_path, '\ufeff{"text": "a"}', "", '{"text": "b"}', '{"text": "a"}')
    found = read_suite(path)
    assert [(p.text, p.searcher) for p in found.prompts] == [("a", "p.jsonl"), ("b", "p.jsonl")]
    assert found.baselines == ()


def test_a_blank_prompt_is_plain_behaviour(tmp_path: Path) -> None:
    path = suite(tmp_path, '{"text": " "}', '{"text": "a"}', '{"text": ""}')
    assert [prompt.text for prompt in read_suite(path).prompts] == ["", "a"]


def test_a_runs_own_file_keeps_its_baselines(tmp_path: Path) -> None:
    path = suite(
        tmp_path,
        '{"baseline": false, "text": "a", "searcher": "s", "score_bits": 0.5, "cost_fte": 7}',
        '{"baseline": true, "text": "", "searcher": "empty", "score_bits": null}',
    )
    found = read_suite(path)
    (prompt,), (baseline,) = found.prompts, found.baselines
    assert (prompt.searcher, prompt.score_bits, prompt.cost_fte) == ("s", 0.5, 7)
    assert (baseline.text, baseline.score_bits) == ("", None)


def test_every_bad_line_has_its_number(tmp_path: Path) -> None:
    path = suite(
        tmp_path, '{"text": "a"}', "{oops", "[1]", '{"text": 3}', '{"text": "x", "baseline": "no"}'
    )
    with pytest.raises(DataError) as caught:
        read_suite(path)
    for number in (2, 3, 4, 5):
        assert f"p.jsonl:{number}: " in str(caught.value)
    assert "p.jsonl:1:" not in str(caught.value)
    with pytest.raises(DataError, match=r"p.jsonl:2: no 'text', its keys are prompt, note"):
        read_suite(suite(tmp_path, '{"text": "a"}', '{"prompt": "b", "note": "n"}'))
    with pytest.raises(DataError, match="and 3 more"):
        read_suite(suite(tmp_path, *["x"] * 8))


@pytest.mark.parametrize("text", ["", '{"text": "a", "baseline": true}'])
def test_a_file_without_prompts_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="holds no prompt|is empty"):
        read_suite(suite(tmp_path, text))


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_suite(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="is a folder"):
        read_suite(tmp_path)
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"b\.jsonl is UTF-16 text, not UTF-8"):
        read_suite(tmp_path / "b.jsonl")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "\\ud800 lone"}', "surrogate"),
        ('{"text": ' + "[" * 100_000, "not JSON"),
    ],
)
def test_texts_no_model_can_take_are_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"p\.jsonl:2: .*{said}"):
        read_suite(suite(tmp_path, '{"text": "a"}', line))


def test_a_prompt_longer_than_the_models_positions_is_refused() -> None:
    smoke = Prepared.of(ExperimentConfig.from_file(config_path("smoke")))
    prompts = SearchResult((HardPrompt(text="sea " * 600, searcher="s", note="p:3"),), ())
    with pytest.raises(DataError, match="p:3: .* do not fit into the 512 positions of model_1"):
        replay(smoke, prompts)
    prompts = SearchResult((HardPrompt(text="<|im_end|>", searcher="s", note="p:4"),), ())
    with pytest.raises(DataError, match="p:4: .* special token"):
        replay(smoke, prompts)
    long = ExperimentConfig.from_file(config_path("smoke"), ["training.num_soft_prompt_tokens=512"])
    with pytest.raises(ConfigError, match="num_soft_prompt_tokens .* leave nothing of .* 512"):
        replay(Prepared.of(long), prompts)


@pytest.mark.parametrize(
    ("text", "said"), [("sea " * 600, "positions"), ("<|im_end|>", "special token")]
)
def test_a_user_text_no_model_can_take_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_text("".join(f"text {n}\n" for n in range(40)) + text, encoding="utf-8")
    source = f'data.processors=[{{ name = "text", data_path = "{path}" }}]'
    config = ExperimentConfig.from_file(config_path("smoke"), [source])
    with pytest.raises(DataError, match=rf"t\.txt:41: .*{said}"):
        replay(Prepared.of(config), SearchResult((HardPrompt(text="a", searcher="s"),), ()))
