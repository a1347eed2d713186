from __future__ import annotations

import attrs
import pytest

from softdiv.config.schema import Placement
from softdiv.pair.layout import with_prompt
from softdiv.plugin.records import Example, Finding, Message, TokenDivergence
from softdiv.report.conversation import MESSAGES_SHOWN, answers, turns

FINDING = Finding(
    prompt="sea",
    example=Example(id="t", text="sea or sea?", context=(Message("system", "sea calm sea"),)),
    response_1="One",
    response_2="One two.",
    divergence_bits=0.1,
    log_likelihood_ratio=1.0,
)


@pytest.mark.parametrize(
    ("place", "marked"), [("system", 0), ("user_start", 1), ("user_end", 1), ("prefix", 0)]
)
@pytest.mark.parametrize("context", [FINDING.example.context, ()])
def test_the_turns_are_what_the_models_get(
    place: Placement, marked: int, context: tuple[Message, ...]
) -> None:
    example = attrs.evolve(FINDING.example, context=context)
    made = turns(attrs.evolve(FINDING, example=example), place)
    said = [turn.before + turn.prompt + turn.after for turn in made]
    expected = with_prompt((*context, Message("user", example.text)), "sea", place)
    assert said == ["sea"] * (place == "prefix") + [m.content for m in expected]
    assert [n for n, turn in enumerate(made) if turn.prompt] == [
        marked if context or place in ("system", "prefix") else 0
    ]


def test_of_a_long_conversation_the_prompt_and_the_end_are_shown() -> None:
    context = tuple(Message("user" if n % 2 else "assistant", str(n)) for n in range(20))
    long = attrs.evolve(FINDING, example=attrs.evolve(FINDING.example, context=context))
    made = turns(long, "system")
    assert len(made) == MESSAGES_SHOWN + 2
    assert (made[0].role, made[0].prompt, made[1].before) == ("system", "sea", "14")


def test_an_answer_that_had_not_ended_has_a_mark() -> None:
    def tokens(*texts: str) -> list[TokenDivergence]:
        fields = {"bits": 0.1, "log_prob_1": -1.0, "log_prob_2": -1.0}
        return [TokenDivergence(token=t, preferred_1="", preferred_2="", **fields) for t in texts]

    scored = attrs.evolve(
        FINDING, tokens_1=tokens("One"), tokens_2=tokens("One", " two", ".", "<|im_end|>")
    )
    assert scored.cut == (True, False)
    assert answers(scored) == ["One… [cut]", "One two."]
    assert FINDING.cut == (False, False)
