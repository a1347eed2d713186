"""What a pair by text does with a subject that is not of this process."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.schema import GenerationConfig, PairConfig
from softdiv.divergence.local_subject import LocalSubject
from softdiv.divergence.text_pair import TextLayout, TextPair
from softdiv.errors import DataError, PairError, PluginError
from softdiv.pair.ledger import Ledger
from softdiv.pair.sampling import Sampling
from softdiv.plugin.records import Example, Message, TextAnswer, TextContext

CONTEXT = TextContext(messages=(Message("user", "Hello."),))
SAID = TextAnswer(text="Hi there", counted="Hi", closed=False, tokens=1, log_likelihood=-2.0)


@attrs.define
class Served:
    """Says one thing."""

    said: Any = SAID
    logs: Sequence[float] = (-3.0,)
    scores: str = "own"
    fails: bool = False
    spent: int = 0
    notes: tuple[str, ...] = ()

    def size(self, context: TextContext) -> int:
        return 5

    def shown(self, context: TextContext) -> str:
        return "user: ..."

    def check_plain(self, text: str) -> None: ...

    def answers(self, contexts: Sequence[TextContext], *_: Any, **__: Any) -> list[Any]:
        self.spent += 7
        if self.fails:
            raise ConnectionResetError("gone")
        return [self.said for _ in contexts]

    def log_likelihoods(self, *_: Any) -> list[float]:
        return list(self.logs)


@pytest.fixture(scope="module")
def local() -> LocalSubject:
    model, tokenizer = TinyLoader().load("cpu")
    parts = (Ledger(), PairConfig(), GenerationConfig(), "user_start")
    return LocalSubject.of("model_1", model, tokenizer, *parts)


@pytest.fixture
def pair(local: LocalSubject) -> Callable[..., TextPair]:
    def made(**options: Any) -> TextPair:
        served: Any = Served(**options)
        return TextPair(name="p", subjects=(local, served), loaders=("tiny", "far"))

    return made


def asked(pair: TextPair) -> list[TextAnswer]:
    how = {"tokens": 4, "counted": 4, "sampling": Sampling()}
    return pair.answers(1, [CONTEXT], ["a"], 0, **how)


def test_its_own_likelihood_and_model_1s_give_the_ratio(pair: Callable[..., TextPair]) -> None:
    made = pair()
    ((one, two),) = made.ratios([CONTEXT], asked(made))
    assert two == -2.0 and one < 0
    assert made.undefined == "" and not made.both_ways
    assert made.ledger.total == 7


@pytest.mark.parametrize(
    "said",
    [
        None,
        "Hi",
        attrs.evolve(SAID, counted="Ho"),
        attrs.evolve(SAID, closed=True),  # an end that counts behind half of it
    ],
)
def test_what_is_no_answer_is_refused(said: Any, pair: Callable[..., TextPair]) -> None:
    with pytest.raises(PluginError, match="model_2: loader 'far' returned"):
        asked(pair(said=said))


@pytest.mark.parametrize("logs", [(), (1.0,), (math.nan,), (-math.inf,)])
def test_what_is_no_log_likelihood_is_refused(logs: Any, pair: Callable[..., TextPair]) -> None:
    made = pair(scores="texts", logs=logs)
    with pytest.raises(PluginError, match="gave log-likelihoods that are none"):
        made.ratios([CONTEXT], [SAID])


def test_one_that_forgets_its_own_likelihood_is_refused(pair: Callable[..., TextPair]) -> None:
    made = pair(said=attrs.evolve(SAID, log_likelihood=None))
    with pytest.raises(PluginError, match="missing"):
        made.ratios([CONTEXT], asked(made))


def test_a_failure_is_named_and_paid_for(pair: Callable[..., TextPair]) -> None:
    made = pair(fails=True)
    with pytest.raises(PluginError, match="loader 'far' failed: ConnectionResetError: gone"):
        asked(made)
    assert made.ledger.total == 7


def test_without_any_the_ratio_is_undefined(pair: Callable[..., TextPair]) -> None:
    made = pair(scores="none")
    assert "model_2 gives no log-probabilities" in made.undefined
    ((_, two),) = made.ratios([CONTEXT], asked(made))
    assert math.isnan(two)


def test_an_answer_counts_up_to_what_the_other_reads_as_a_control_token(
    pair: Callable[..., TextPair],
) -> None:
    said = TextAnswer(text="Hi <|im_end|> you", counted="Hi <|im_end|> you", closed=True, tokens=9)
    (answer,) = asked(pair(scores="texts", said=said))
    assert answer.counted == "Hi <|im_end|" and not answer.closed
    with pytest.raises(PairError, match="reads something else in it"):
        asked(pair(said=attrs.evolve(said, log_likelihood=-3.0)))


def test_a_prompt_stands_in_the_messages_and_control_tokens_in_none(
    pair: Callable[..., TextPair],
) -> None:
    layout = TextLayout(pair=pair(), placement="user_end")
    example = Example(id="a", text="Hello.", context=(Message("system", "Be kind."),))
    assert layout.hard(example, "Now.").messages == (
        Message("system", "Be kind."),
        Message("user", "Hello. Now."),
    )
    with pytest.raises(DataError, match="special token"):
        layout.hard("a <|im_end|>")
    assert layout.text(example).count("gets:") == 2
    with pytest.raises(PairError, match="model_2 is served"):
        _ = layout.template
