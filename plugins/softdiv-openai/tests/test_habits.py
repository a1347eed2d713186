"""What servers do by themselves: told not to, where they listen, and refused where they do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from softdiv_openai import OpenAILoader, chat
from softdiv_openai.sampling import CHANCE, Drawn, chance, check_numbers, check_sampled

from softdiv import Message, TextContext
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError

sys.path.insert(0, str(Path(__file__).parent))
from server import Habits, serving, whole_characters

TWO = {"vocab_size": 700, "hidden_size": 48, "architecture": "qwen2", "seed": 3, "scale": 0.3}
QUESTION = "Who are you?"


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    return whole_characters(*TinyLoader(**TWO).load("cpu"))


@pytest.fixture
def habits() -> Habits:
    return Habits()


@pytest.fixture
def url(model: tuple[Any, Any], habits: Habits) -> Iterator[str]:
    with serving(*model, habits) as address:
        yield address


@pytest.fixture(scope="module")
def folder(model: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("tokenizer")
    model[1].save_pretrained(made)
    return str(made)


def subject(url: str, **options: Any) -> Any:
    return OpenAILoader(model="tiny", base_url=url, max_retries=0, **options).subject()


def ask(subject: Any, tokens: int = 8) -> Any:
    context = TextContext(messages=(Message("user", QUESTION),))
    (answer,) = subject.answers(
        [context], ["a"], tokens=tokens, counted=tokens, temperature=0, top_p=1.0, seed=0
    )
    return answer


def test_a_server_that_listens_draws_from_all_tokens(url: str, habits: Habits) -> None:
    honest = ask(subject(url))
    habits.cut_off, habits.penalty = 0.2, 1.3
    assert ask(subject(url)) == honest
    assert habits.asked[-1]["min_p"] == 0 and habits.asked[-1]["repeat_penalty"] == 1


def test_what_the_user_says_of_it_goes_first(url: str, habits: Habits) -> None:
    ask(subject(url, extra_body={"top_k": 700}))
    assert habits.asked[-1]["top_k"] == 700 and habits.asked[-1]["min_p"] == 0


def test_a_server_without_such_words_is_asked_without_them(url: str, habits: Habits) -> None:
    habits.plain_words = False
    assert ask(subject(url)).log_likelihood < 0
    assert "top_k" not in habits.asked[-1]


@pytest.mark.parametrize("with_tokenizer", [False, True])
@pytest.mark.parametrize(
    ("way", "value", "words"), [("cut_off", 0.3, "were unlikely"), ("penalty", 2.0, "passed over")]
)
def test_a_server_that_draws_otherwise_is_refused(
    way: str, value: float, words: str, with_tokenizer: bool, url: str, habits: Habits, folder: str
) -> None:
    setattr(habits, way, value)
    habits.deaf = True
    with pytest.raises(PairError, match="does not draw its answers") as caught:
        subject(url, **({"tokenizer": folder} if with_tokenizer else {}))
    told = {"were unlikely": "tokens .* were", "passed over": "asked for its likeliest"}[words]
    assert caught.match(told)


def test_other_logarithms_are_refused(url: str, habits: Habits) -> None:
    habits.base = 10.0
    with pytest.raises(PairError, match="or not natural ones"):
        subject(url)


def test_log_probabilities_come_although_they_must_be_asked_for_twice(
    url: str, habits: Habits
) -> None:
    honest = ask(subject(url))
    habits.needs_top = True
    assert ask(subject(url)) == honest and honest.tokens == 8


def test_an_answer_without_its_numbers_is_refused(url: str, habits: Habits) -> None:
    """It would count as an empty one, whose likelihood is 1."""
    made = subject(url)
    habits.logprobs = False
    with pytest.raises(PairError, match="not those of the answer's text"):
        ask(made)


def test_a_server_that_breaks_at_the_question_gives_none(url: str, habits: Habits) -> None:
    habits.fails_at_logprobs = True
    made = subject(url)
    assert made.scores == "none" and ask(made).text
    assert "no logits_all" in made.notes[0]


@pytest.mark.parametrize("way", ["dropped", "replaced"])
def test_half_characters_are_found_again(way: Any, habits: Habits) -> None:
    network, tokenizer = TinyLoader(**TWO).load("cpu")
    told = [{"role": "user", "content": QUESTION}]
    head = tokenizer.apply_chat_template(told, add_generation_prompt=True, return_dict=False)
    script = [*tokenizer("so é😊")["input_ids"], tokenizer.eos_token_id]
    plain = network.forward

    def scripted(**inputs: Any) -> Any:
        cache = inputs.get("past_key_values")
        read = (cache.get_seq_length() if cache else 0) + inputs["input_ids"].shape[1]
        out = plain(**inputs)
        if len(head) <= read < len(head) + len(script):
            out.logits[..., -1, script[read - len(head)]] += 60.0
        return out

    network.forward = scripted
    with serving(network, tokenizer, habits) as url:
        honest = ask(subject(url), len(script))
        habits.shows_halves = way
        assert ask(subject(url), len(script)) == honest
        cut = ask(subject(url), len(script) - 2)
        assert cut.counted != "so é😊" and "so é😊".startswith(cut.counted)
    assert (honest.text, honest.counted, honest.closed) == ("so é😊", "so é😊", True)


def test_an_echo_of_other_numbers_is_refused(url: str, habits: Habits, folder: str) -> None:
    habits.echo_shift = 1
    with pytest.raises(PairError, match="echoes other log-probabilities"):
        subject(url, tokenizer=folder)


def test_a_server_that_takes_text_alone_is_named(url: str, habits: Habits, folder: str) -> None:
    habits.takes_ids = False
    with pytest.raises(PairError, match="no prompt in token ids.*leave tokenizer out"):
        subject(url, tokenizer=folder)


def test_honest_counts_are_taken_and_cut_ones_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    logs = (2 * torch.randn(300, 50, generator=generator)).log_softmax(-1)
    whole = drawn_from(logs, logs, generator)
    check_numbers(whole)
    check_sampled(whole)
    for cut in (logs.masked_fill(logs < logs.topk(20).values[:, -1:], -torch.inf), 2 * logs):
        with pytest.raises(PairError, match="does not draw"):
            check_sampled(drawn_from(logs, cut, generator))


def test_tokens_that_are_as_likely_are_taken_as_such() -> None:
    """As many are in 16 bits: the likeliest that are shown are some of them."""
    generator = torch.Generator().manual_seed(0)
    for logs in (torch.zeros(200, 50), torch.randn(200, 50, generator=generator).round()):
        check_sampled(drawn_from(logs.log_softmax(-1), logs, generator))


def drawn_from(logs: Any, really: Any, generator: Any) -> list[Drawn]:
    ids = torch.multinomial(really.softmax(-1), 1, generator=generator)
    top = logs.topk(20).values.tolist()
    return [
        Drawn(own, row) for own, row in zip(logs.gather(1, ids)[:, 0].tolist(), top, strict=True)
    ]


def test_the_bound_is_one() -> None:
    assert chance(0, 9.2, 240) < 2.1 * CHANCE < chance(1, 9.2, 240)
    assert chance(50, 50, 100) == 2


@pytest.mark.parametrize("length", [chat.LENGTH])
def test_loading_costs_what_is_written_down(length: int, url: str, habits: Habits) -> None:
    made = subject(url)
    assert made.endpoint.written <= 6 * length + 3 and made.endpoint.requests == len(habits.asked)
