"""Runs against a server of our own: what it says is what a model of this process would say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from softdiv_openai import OpenAILoader, chat, completions

from softdiv import ConfigError, DivergencePipeline, ExperimentConfig, Message, TextContext
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError, PluginError

sys.path.insert(0, str(Path(__file__).parent))
from server import Habits, log_probs, serving, whole_characters

ONE = {"loader": "tiny", "vocab_size": 512}
TWO = {"vocab_size": 700, "hidden_size": 48, "architecture": "qwen2", "seed": 3, "scale": 0.3}
KEY = "sk-not-to-be-seen-anywhere-0123456789"


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    return whole_characters(*TinyLoader(**TWO).load("cpu"))


@pytest.fixture(autouse=True)
def few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """At load, of what is drawn: ``test_habits.py`` is on those."""
    for module in (chat, completions):
        monkeypatch.setattr(module, "LENGTH", 4)


@pytest.fixture
def habits() -> Habits:
    return Habits()


@pytest.fixture
def url(model: tuple[Any, Any], habits: Habits) -> Iterator[str]:
    with serving(*model, habits) as address:
        yield address


@pytest.fixture(scope="module")
def tokenizer_folder(model: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    model[1].save_pretrained(folder)
    return str(folder)


def run(folder: Path, model_2: dict[str, Any], **more: Any) -> DivergencePipeline:
    table = {
        "num_threads": 1,
        "plugins": ["openai"],
        "pair": {"by": "text", "model_1": ONE, "model_2": model_2},
        "generation": {
            "max_length": 10,
            "temperature": 0,
            "budget_fte": 4000,
            "searchers": [{"name": "forms"}],
            "baselines": [{"name": "empty"}, {"name": "natural_pool", "most": 3}],
            **more.pop("generation", {}),
        },
        "evaluation": {
            "test_texts": 3,
            "response_tokens": 6,
            "bootstrap_resamples": 100,
            "metrics": [{"name": "chrf"}],
        },
        "analysis": {"analyzers": []},
        **more,
    }
    return DivergencePipeline(config=ExperimentConfig.from_dict(table), run_dir=folder)


def served(url: str, **options: Any) -> dict[str, Any]:
    return {"loader": "openai", "model": "tiny", "base_url": url, **options}


def test_with_a_tokenizer_it_is_what_the_same_model_is_here(
    habits: Habits, tokenizer_folder: str, tmp_path: Path
) -> None:
    here = run(tmp_path / "here", {"loader": "tiny", **TWO}).run().report
    with serving(*TinyLoader(**TWO).load("cpu"), habits) as url:
        there = run(tmp_path / "there", served(url, tokenizer=tokenizer_folder)).run().report
    pairs = zip(
        (*here.evaluation.prompts, *here.evaluation.baselines),
        (*there.evaluation.prompts, *there.evaluation.baselines),
        strict=True,
    )
    for one, other in pairs:
        assert (one.text, one.searcher) == (other.text, other.searcher)
        assert other.llr.value == pytest.approx(one.llr.value, abs=1e-4)
        assert [f.written for f in other.findings] == [f.written for f in one.findings]
    assert any("tokens read and" in note for note in there.warnings)
    assert there.ledger["search"] > 0


def test_without_one_its_own_tokens_and_model_1_give_the_ratio(
    url: str, model: tuple[Any, Any], tmp_path: Path
) -> None:
    report = run(tmp_path / "run", served(url)).run().report
    empty = next(b for b in report.evaluation.baselines if not b.text)
    original, tokenizer = TinyLoader(vocab_size=512).load("cpu")
    for finding in empty.findings:
        answer = finding.written[1]
        asked = [{"role": "user", "content": finding.example.text}]
        mine = scored(original, tokenizer, asked, read(tokenizer, answer.counted, answer.closed))
        drawn = greedy(*model, asked, 10)
        logs = scored_each(*model, asked, drawn)
        own = [
            log
            for log, i in zip(logs, drawn, strict=True)
            if i != model[1].bos_token_id and (i != model[1].eos_token_id or answer.closed)
        ]
        its = sum(own[: answer.tokens])
        assert answer.log_likelihood == pytest.approx(its, abs=1e-4)
        assert finding.log_likelihood_ratio == pytest.approx(its - mine, abs=1e-4)
    assert "llr_of_model_1_answers" not in empty.metrics


def read(tokenizer: Any, text: str, closed: bool) -> list[int]:
    return [*tokenizer(text)["input_ids"], *([tokenizer.eos_token_id] if closed else [])]


def greedy(model: Any, tokenizer: Any, asked: list[Any], count: int) -> list[int]:
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    start = len(ids)
    while len(ids) < start + count and ids[-1] != tokenizer.eos_token_id:
        ids = [*ids, int(log_probs(model, ids)[-1].argmax())]
    return ids[start:]


def scored(model: Any, tokenizer: Any, asked: list[Any], own: list[int]) -> float:
    return sum(scored_each(model, tokenizer, asked, own))


def scored_each(model: Any, tokenizer: Any, asked: list[Any], own: list[int]) -> list[float]:
    head = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    table = log_probs(model, [*head, *own])
    return [float(table[len(head) - 1 + n, token]) for n, token in enumerate(own)]


@pytest.mark.parametrize("way", ["logprobs", "refuses_logprobs"])
def test_without_log_probabilities_only_the_answers_are_compared(
    way: str, url: str, habits: Habits, tmp_path: Path
) -> None:
    setattr(habits, way, way == "refuses_logprobs")
    report = run(tmp_path / "run", served(url)).run().report
    verdict, (empty,) = report.evaluation.verdict, report.evaluation.baselines
    assert verdict.outcome == "inconclusive"
    assert "model_2 gives no log-probabilities" in verdict.headline
    assert "Not measured" in verdict.differ_at_all and "Not measured" in verdict.concentrated
    written = json.loads((tmp_path / "run" / "report.json").read_text())
    assert written["baselines"][0]["llr"]["value"] is None
    assert 0 <= empty.metrics["chrf"] <= 1 and "llr_per_byte" not in empty.metrics
    assert any("not run, for nothing could choose" in note for note in report.warnings)


def test_a_model_1_that_scores_only_itself_leaves_no_ratio(url: str, tmp_path: Path) -> None:
    pair = {"by": "text", "model_1": served(url), "model_2": {"loader": "tiny", **TWO}}
    report = run(tmp_path / "run", {}, pair=pair).run().report
    assert "model_1 gives no log-probabilities of a text" in report.evaluation.verdict.headline


def test_the_key_is_sent_and_stored_nowhere(
    url: str, habits: Habits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    run(tmp_path / "run", served(url, api_key_env="MY_KEY")).run()
    sent = {name.lower(): value for name, value in habits.headers[-1].items()}
    assert sent["authorization"] == f"Bearer {KEY}"
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


def test_without_a_key_a_hosted_endpoint_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        OpenAILoader(model="x").subject()


def test_a_refusal_for_its_rate_is_waited_for(url: str, habits: Habits) -> None:
    subject = OpenAILoader(model="tiny", base_url=url).subject()
    habits.refusals = 3
    before = subject.spent
    (answer,) = ask(subject)
    assert answer.log_likelihood is not None and habits.refusals == 0
    assert subject.spent - before == habits_tokens(habits, subject)


def habits_tokens(habits: Habits, subject: Any) -> int:
    """What the last, answered request cost: the refused ones cost nothing."""
    _, tokenizer = TinyLoader(**TWO).load("cpu")
    asked = habits.asked[-1]["messages"]
    head = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    return len(head) + habits.asked[-1]["max_tokens"]


def ask(subject: Any, temperature: float = 0.7) -> list[Any]:
    contexts = [TextContext(messages=(Message("user", "Who are you?"),))]
    return subject.answers(
        contexts, ["a"], tokens=8, counted=8, temperature=temperature, top_p=1.0, seed=0
    )


def test_a_server_that_fails_is_named_in_a_line(url: str, habits: Habits, tmp_path: Path) -> None:
    subject = OpenAILoader(model="tiny", base_url=url, max_retries=0).subject()
    habits.broken = True
    with pytest.raises(PairError, match="127.0.0.1 failed: InternalServerError"):
        ask(subject)
    with pytest.raises((PairError, PluginError), match="failed"):
        run(tmp_path / "run", served("http://127.0.0.1:9/v1", max_retries=0)).run()


def test_numbers_after_temperature_are_refused_but_at_1(url: str, habits: Habits) -> None:
    habits.tempered = True
    subject = OpenAILoader(model="tiny", base_url=url).subject()
    with pytest.raises(PairError, match="temperature = 1"):
        ask(subject)
    assert ask(subject, temperature=1.0)


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [("unlikely", 0.0, "of a token it drew"), ("reasoning", "hm", "not those of the answer")],
)
def test_numbers_that_are_not_the_answers_are_refused(
    way: str, value: Any, words: str, url: str, habits: Habits
) -> None:
    subject = OpenAILoader(model="tiny", base_url=url).subject()
    setattr(habits, way, value)
    with pytest.raises(PairError, match=words):
        ask(subject)


@pytest.mark.parametrize(("way", "value"), [("echoes", False), ("adds_bos", True)])
def test_an_endpoint_that_does_not_echo_what_it_was_asked_is_refused(
    way: str, value: bool, url: str, habits: Habits, tokenizer_folder: str
) -> None:
    setattr(habits, way, value)
    with pytest.raises(PairError, match="does not echo"):
        OpenAILoader(model="tiny", base_url=url, tokenizer=tokenizer_folder).subject()


@pytest.mark.parametrize("gives_end", [True, False])
def test_an_end_counts_where_its_probability_is_given(
    gives_end: bool, habits: Habits, model: tuple[Any, Any]
) -> None:
    """A model that ends every answer at once."""
    habits.gives_end = gives_end
    network, tokenizer = TinyLoader(**TWO).load("cpu")
    with torch.no_grad():
        network.lm_head.weight.zero_()  # every token alike, then the end by its id below
    plain = network.forward

    def ending(**inputs: Any) -> Any:
        out = plain(**inputs)
        out.logits[..., tokenizer.eos_token_id] += 3.0
        return out

    network.forward = ending
    with serving(network, tokenizer, habits) as url:
        (answer,) = ask(OpenAILoader(model="tiny", base_url=url).subject(), temperature=0)
    assert (answer.text, answer.cut, answer.closed) == ("", False, gives_end)
    assert answer.tokens == gives_end
    assert (answer.log_likelihood < 0) is gives_end


def test_by_tokens_it_is_refused(url: str, tmp_path: Path) -> None:
    pair = {"model_1": ONE, "model_2": served(url)}
    with pytest.raises(PairError, match="model_2 is served"):
        run(tmp_path / "run", {}, pair=pair).run()
