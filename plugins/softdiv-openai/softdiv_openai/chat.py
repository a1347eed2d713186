"""The chat endpoint: messages in, an answer out, with the log-probabilities of its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import attrs

from softdiv import TextAnswer, TextContext
from softdiv.errors import PairError
from softdiv_openai.endpoint import UNLIKELY, Endpoint, Refused, refuses, seed_of
from softdiv_openai.pieces import aligned, shown
from softdiv_openai.sampling import (
    CLOSE,
    LENGTH,
    QUESTIONS,
    Drawn,
    check_greedy,
    check_numbers,
    check_sampled,
)

TOP = (20, 5)
"""Likeliest tokens asked for at load; some endpoints give fewer."""
TOLD = 1
"""The same of every answer: llama.cpp gives no log-probability at all where none is asked for."""


@attrs.define(eq=False)
class ChatSubject:
    """What it writes is scored by the tokens that it drew; other texts cannot be."""

    endpoint: Endpoint
    max_tokens_key: str
    scores: Literal["own", "none"] = "own"
    tempered: bool = False
    """Its log-probabilities are those after temperature and nucleus."""
    why_none: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint, max_tokens_key: str) -> ChatSubject:
        """After questions that show whether it gives log-probabilities, and of what.

        Raises:
            PairError: it does not answer, or draws otherwise than its log-probabilities say.
        """
        made = cls(endpoint, max_tokens_key)
        endpoint.find_plain(lambda: made._ask(QUESTIONS[0], tokens=1))
        plain = made._first(temperature=1.0, top_p=1.0)
        if not plain:
            made.scores = "none"
            return made
        sharp = made._first(temperature=0.5, top_p=0.8)
        shared = plain.keys() & sharp.keys()
        made.tempered = any(abs(plain[token] - sharp[token]) > CLOSE for token in shared)
        made._check_sampling()
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
            "none": "it gives no log-probabilities" + self.why_none,
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
            choice = self._asked(
                [{"role": m.role, "content": m.content} for m in context.messages],
                tokens=tokens,
                top=TOLD if self.scores == "own" else 0,
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

    def _asked(
        self, messages: list[dict[str, str]], *, tokens: int, top: int, **options: Any
    ) -> Any:
        wanted = {"logprobs": True, "top_logprobs": top} if top else {}
        limit = {self.max_tokens_key: tokens}
        return self.endpoint.chat(messages=messages, **limit, **wanted, **options)

    def _ask(self, question: str, *, tokens: int, top: int = 0, **options: Any) -> Any:
        told = [{"role": "user", "content": question}]
        return self._asked(told, tokens=tokens, top=top, **options)

    def _first(self, **options: float) -> dict[str, float]:
        """Log-probabilities of the first tokens of an answer; empty where it gives none."""
        try:
            choice = self._ask(QUESTIONS[0], tokens=1, top=TOP[-1], **options)
        except PairError as error:
            if not refuses(error):
                raise
            self.why_none = f": {error.why}"
            return {}
        return {one.token: one.logprob for entry in _entries(choice) for one in entry.top_logprobs}

    def _check_sampling(self) -> None:
        """Raises PairError as :mod:`softdiv_openai.sampling`."""
        greedy = self._drawn(QUESTIONS[0], 0, temperature=0.0, top_p=1.0)
        check_greedy(greedy)

        def ask(number: int) -> list[Drawn]:
            return self._drawn(QUESTIONS[number], number, temperature=1.0, top_p=1.0)

        each = self.endpoint.each(ask, range(len(QUESTIONS)))
        check_sampled([one for drawn in each for one in drawn])

    def _drawn(self, question: str, seed: int, **options: float) -> list[Drawn]:
        for top in TOP:
            try:
                choice = self._ask(question, tokens=LENGTH, top=top, seed=seed, **options)
                break
            except Refused:
                if top == TOP[-1]:
                    raise
        found = []
        for entry in _entries(choice):
            told = [one.logprob for one in entry.top_logprobs if one.logprob is not None]
            # llama.cpp adds the token that it drew
            found.append(Drawn(entry.logprob, sorted(told, reverse=True)[:top]))
        check_numbers(found)
        return found

    def _answer(self, choice: Any, counted: int) -> TextAnswer:
        text, ended = choice.message.content or "", choice.finish_reason == "stop"
        if self.scores == "none":
            return TextAnswer(text=text, counted="", closed=False, tokens=0, cut=not ended)
        entries = _entries(choice)
        pieces = [shown(entry) for entry in entries]
        found = aligned(pieces, text, ended=ended)
        if found is None:
            other = "".join(piece.text for piece in pieces)
            raise PairError(
                "the endpoint's log-probabilities are not those of the answer's text",
                why=f"it said {text[:40]!r}, they are of {other[:40]!r}",
                fix="turn reasoning and filters off, or give tokenizer",
            )
        own, ends = found
        closed = ended and own < len(entries) <= counted and ends[-1] == len(text)
        count = max(n for n, end in enumerate(ends[: counted + 1]) if end is not None)
        beginning = text[: ends[count]]
        logs = [entry.logprob for entry in entries[: count + closed]]
        if any(log is None or not UNLIKELY < log <= 1e-3 for log in logs):
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


def _entries(choice: Any) -> list[Any]:
    return list(getattr(choice.logprobs, "content", None) or [])
