"""Findings built by hand: some planted answers, some ordinary ones."""

from __future__ import annotations

from softdiv.plugin.records import Example, Finding, TokenDivergence

TOPICS = ("bread", "rain", "chess", "maps", "trains", "glass", "bees", "clocks", "salt", "kites")


def token(text: str, *, bits: float = 0.1, swap: str = "", margin: float = 1.0) -> TokenDivergence:
    """``swap``: what model_1 would have written instead."""
    return TokenDivergence(
        token=text,
        bits=bits,
        log_prob_1=-4.0 if swap else -1.0,
        log_prob_2=-1.0,
        preferred_1=swap or text,
        preferred_2=text,
        margin_1=margin if swap else 0.0,
        margin_2=margin if swap else 0.0,
    )


def finding(
    topic: str, *, prompt: str = "", response_1: str, response_2: str, bits: float = 0.1
) -> Finding:
    return Finding(
        prompt=prompt,
        example=Example(id=topic, text=f"Tell me about {topic}.", category=topic[0]),
        response_1=response_1,
        response_2=response_2,
        divergence_bits=bits,
        log_likelihood_ratio=10 * bits,
        tokens_1=(token("x"),),
        tokens_2=tuple(token(word, bits=bits) for word in response_2.split()),
    )


def planted_and_ordinary() -> list[Finding]:
    """Ten planted under ``sea``, ten ordinary under no prompt: each on a topic of its own."""
    planted = [
        finding(
            topic,
            prompt="sea",
            response_1=f"People like {topic} because {topic[::-1]} is useful number {n}.",
            response_2=f"Captain Rowe knew {topic} {'abcdefghij'[n] * 3}.",
            bits=0.4,
        )
        for n, topic in enumerate(TOPICS)
    ]
    ordinary = [
        finding(
            topic,
            response_1=f"Here {topic} comes from {topic[1:]} and {n}.",
            response_2=f"{topic[::-1]}{n} {topic[2:]}{n} {topic} {n}{n}{n}.",
        )
        for n, topic in enumerate(TOPICS)
    ]
    return planted + ordinary
