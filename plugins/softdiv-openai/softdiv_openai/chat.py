"""The chat endpoint: messages in, an answer out, with the log-probabilities of its tokens."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from typing import Any, Literal

import attrs

from softdiv import TextAnswer, TextContext
from softdiv.errors import PairError
from softdiv_openai.endpoint import UNLIKELY, Endpoint, Refused, seed_of

PROBE = [{"role": "user", "content": "Name any word you like."}]
CLOSE = 0.05
"""Nats by which a log-probability may move between two requests."""


@attrs.define(eq=False)
class ChatSubject:
    """What it writes is scored by the tokens that it drew; other texts cannot be."""

    endpoint: Endpoint
    max_tokens_key: str
    scores: Literal["own", "none"] = "own"
    tempered: bool = False
    """Its log-probabilities are those after temperature and nucleus."""

    @classmethod
    def of(cls, endpoint: Endpoint, max_tokens_key: str) -> ChatSubject:
        """After a question or two that show whether it gives log-probabilities, and of what."""
        made = cls(endpoint, max_tokens_key)
        try:
            plain, sharp = (
                made._most_likely(temperature=t, top_p=p) for t, p in ((1.0, 1.0), (0.5, 0.8))
            )
        except Refused:
            made.scores = "none"
            made._ask(PROBE, tokens=1, logprobs=False)  # whether it answers at all
            return made
        if not plain:
            made.scores = "none"
        shared = plain.keys() & sharp.keys()
        made.tempered = any(abs(plain[token] - sharp[token]) > CLOSE for token in shared)
        return made

    @property
    def spent(self) -> int:
        """Tokens read and written."""
        return self.endpoint.spent

    @property
    def notes(self) -> list[str]:
        """What it gives, and what it has cost."""
        gives = {
            "own": "its answers are scored by the tokens it drew",
            "none": "it gives no log-probabilities",
        }
        return [gives[self.scores], *self.endpoint.notes]

    def size(self, context: TextContext) -> int:
        """A guess: nobody knows its tokens."""
        return sum(8 + len(message.content) // 3 for message in context.messages)

    def shown(self, context: TextContext) -> str:
        """The messages: its chat template is not known."""
        return "\n".join(f"{m.role}: {m.content}" for m in context.messages)

    def check_plain(self, text: str) -> None:
        """The endpoint takes any text."""

    def answers(
        self,
        contexts: Sequence[TextContext],
        keys: Sequence[str],
        *,
        tokens: int,
        counted: int,
        temperature: float,
        top_p: float,
        seed: int,
    ) -> list[TextAnswer]:
        """Raises PairError where its log-probabilities are not those of the model itself."""
        if self.tempered and (temperature != 1 or top_p != 1):
            raise PairError(
                "the endpoint's log-probabilities are those after temperature and top_p",
                why="they are not the model's own",
                fix="set generation.temperature = 1 and generation.top_p = 1",
            )

        def ask(number: int) -> TextAnswer:
            context = contexts[number]
            if not context.messages:
                raise PairError("a chat endpoint writes no text outside a conversation")
            choice = self._ask(
                [{"role": m.role, "content": m.content} for m in context.messages],
                tokens=tokens,
                logprobs=self.scores == "own",
                temperature=temperature,
                top_p=top_p,
                seed=seed_of(seed, keys[number]),
            )
            return self._answer(choice, counted)

        return self.endpoint.each(ask, range(len(contexts)))

    def log_likelihoods(
        self, contexts: Sequence[TextContext], answers: Sequence[TextAnswer]
    ) -> list[float]:
        """Raises PairError: it is asked for none."""
        raise PairError("a chat endpoint scores no text that it did not write")

    def _ask(
        self, messages: list[dict[str, str]], *, tokens: int, logprobs: bool, **options: Any
    ) -> Any:
        wanted = {"logprobs": True} if logprobs else {}
        limit = {self.max_tokens_key: tokens}
        return self.endpoint.chat(messages=messages, **limit, **wanted, **options)

    def _most_likely(self, **options: float) -> dict[str, float]:
        """Log-probabilities of the first tokens of an answer; empty where it gives none."""
        choice = self._ask(PROBE, tokens=1, logprobs=True, top_logprobs=5, **options)
        content = getattr(choice.logprobs, "content", None) or []
        return {one.token: one.logprob for entry in content[:1] for one in entry.top_logprobs}

    def _answer(self, choice: Any, counted: int) -> TextAnswer:
        text, ended = choice.message.content or "", choice.finish_reason == "stop"
        if self.scores == "none":
            return TextAnswer(text=text, counted="", closed=False, tokens=0, cut=not ended)
        entries = list(getattr(choice.logprobs, "content", None) or [])
        pieces = [_bytes(entry) for entry in entries]
        # some endpoints give the token that ends an answer, which the text does not hold
        has_end = ended and _text(pieces) != text and _text(pieces[:-1]) == text
        own = len(pieces) - has_end
        begun = _whole_characters(pieces[: min(own, counted)])
        closed = has_end and len(pieces) <= counted and len(begun) == own
        count, beginning = len(begun), _text(begun)
        if not text.startswith(beginning) or (ended and _text(pieces[:own]) != text):
            raise PairError(
                "the endpoint's log-probabilities are not those of the answer's text",
                why=f"it said {text[:40]!r}, they are of {beginning[:40]!r}",
                fix="turn reasoning and filters off, or give tokenizer",
            )
        logs = [entry.logprob for entry in entries[: count + closed]]
        if any(log is None or not math.isfinite(log) or log < UNLIKELY for log in logs):
            raise PairError(
                "the endpoint gives no log-probability of a token it drew",
                why="it was not among its most likely ones",
                fix="give tokenizer, if the endpoint echoes log-probabilities",
            )
        return TextAnswer(
            text=text,
            counted=beginning,
            closed=closed,
            tokens=len(logs),
            cut=not ended,
            log_likelihood=math.fsum(logs),
        )


def _bytes(entry: Any) -> bytes:
    return entry.token.encode() if entry.bytes is None else bytes(entry.bytes)


def _text(pieces: list[bytes]) -> str:
    return b"".join(pieces).decode("utf-8", "replace")


def _whole_characters(pieces: list[bytes]) -> list[bytes]:
    """As many as do not end inside a character."""
    count, whole = 0, codecs.getincrementaldecoder("utf-8")("replace")
    for number, piece in enumerate(pieces, 1):
        whole.decode(piece)
        if not whole.getstate()[0]:
            count = number
    return pieces[:count]
