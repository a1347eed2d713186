"""The completions endpoint, in token ids: any text is scored by echoing it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from softdiv import Message, TextAnswer, TextContext
from softdiv.builtin.loaders.tokenizer import load_tokenizer
from softdiv.config.schema import PairConfig
from softdiv.errors import PairError
from softdiv.pair.layout import Layout
from softdiv.pair.template import ChatTemplate
from softdiv.pair.text_reader import TextReader
from softdiv_openai.endpoint import UNLIKELY, Endpoint, Refused, refuses, seed_of
from softdiv_openai.sampling import (
    LENGTH,
    QUESTIONS,
    Drawn,
    check_greedy,
    check_numbers,
    check_sampled,
)

TOP = 5
"""Likeliest tokens asked for at load: as many as OpenAI's completions give."""
ECHO = 0.2
"""Nats between a token's log-probability as drawn and as echoed, by other kernels; a twentieth of
it where it is unlikely."""


@attrs.define(eq=False)
class CompletionsSubject:
    """The model's own tokenizer and chat template are here, its weights are there."""

    endpoint: Endpoint
    reader: TextReader
    scores: Literal["texts"] = "texts"

    @classmethod
    def of(
        cls, endpoint: Endpoint, tokenizer: str, arguments: Mapping[str, Any]
    ) -> CompletionsSubject:
        """After questions that show whether it echoes, and whether the numbers are its own.

        Raises:
            PairError: the tokenizer cannot be loaded, the endpoint does not echo what it draws by,
                or draws otherwise.
        """
        loaded = load_tokenizer(tokenizer)
        template = ChatTemplate.of(loaded, PairConfig(template_arguments=dict(arguments)))
        layout = Layout(loaded, "user_start", template)
        ends = {*template.ends, loaded.eos_token_id} - {None}
        made = cls(endpoint, TextReader(layout=layout, stop_ids=frozenset(ends)))
        try:
            endpoint.find_plain(lambda: made._drawn(QUESTIONS[0], tokens=1))
        except PairError as error:
            if not refuses(error):
                raise
            raise _no_echo(f"it takes no prompt in token ids: {error.why}") from error
        text = TextAnswer(text="Hi", counted="Hi", closed=False, tokens=1)
        try:
            made.log_likelihoods([_asking(QUESTIONS[0])], [text])
        except Refused as error:
            raise _no_echo(str(error.why)) from error
        made._check_echo()
        made._check_sampling()
        return made

    @property
    def spent(self) -> int:
        """Tokens read and written."""
        return self.endpoint.spent

    @property
    def notes(self) -> list[str]:
        """What it has cost."""
        return self.endpoint.notes

    def size(self, context: TextContext) -> int:
        """Tokens that it reads."""
        return len(self.reader.context(context))

    def shown(self, context: TextContext) -> str:
        """The conversation through its template."""
        return self.reader.shown(context)

    def check_plain(self, text: str) -> None:
        """Raises DataError for a text with control tokens."""
        self.reader.layout.check_plain(text)

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
        """Answers as the endpoint draws them, counted in tokens as their text is read."""

        def ask(number: int) -> TextAnswer:
            context, reader = contexts[number], self.reader
            choice = self.endpoint.completion(
                prompt=list(reader.context(context).before),
                max_tokens=tokens,
                temperature=temperature,
                top_p=top_p,
                seed=seed_of(seed, keys[number]),
            )
            ended = choice.finish_reason == "stop"
            return reader.written(context, choice.text, counted, ended=ended)

        return self.endpoint.each(ask, range(len(contexts)))

    def log_likelihoods(
        self, contexts: Sequence[TextContext], answers: Sequence[TextAnswer]
    ) -> list[float]:
        """Raises PairError where the endpoint does not echo every token's log-probability."""

        def ask(number: int) -> float:
            context, answer = contexts[number], answers[number]
            before = list(self.reader.context(context).before)
            own = self.reader.read(context, answer.counted, closed=answer.closed)
            if not own:
                return 0.0
            return math.fsum(self._echoed(before, own))

        return self.endpoint.each(ask, range(len(answers)))

    def _echoed(self, before: Sequence[int], own: Sequence[int]) -> list[float]:
        choice = self.endpoint.completion(
            prompt=[*before, *own], max_tokens=1, echo=True, logprobs=1, temperature=1.0
        )
        echoed = list(getattr(choice.logprobs, "token_logprobs", None) or [])
        sizes = (len(before) + len(own), len(before) + len(own) + 1)
        if len(echoed) not in sizes:
            raise _no_echo(f"asked of {sizes[0]} tokens, it gave {len(echoed)} numbers")
        logs = echoed[len(before) : sizes[0]]
        if any(log is None or not UNLIKELY < log <= 1e-3 for log in logs):
            raise _no_echo("some of the numbers are missing")
        return logs

    def _check_echo(self) -> None:
        """Raises PairError where a token's echo is not what it was drawn with: some servers echo
        the number of the next token, or one after temperature."""

        def ask(question: str) -> tuple[float, list[float]]:
            before = self.reader.context(_asking(question)).before
            token, (one,) = self._drawn(question, tokens=1)
            known = [self._echoed(before, [i])[0] for i in self._read_as(token)]
            return one.own, known

        compared = [one for one in self.endpoint.each(ask, QUESTIONS) if one[1]]
        if not compared:
            raise _no_echo("nothing that it drew could be compared with its echo")
        for drawn, known in compared:
            if all(abs(drawn - log) > ECHO * max(1.0, -drawn / 4) for log in known):
                raise PairError(
                    "the endpoint echoes other log-probabilities than those it draws by",
                    why=f"a token that it drew with {drawn:.3g} nats is echoed as {known[0]:.3g}",
                    fix="leave tokenizer out: then the chat endpoint is asked",
                )

    def _read_as(self, token: str) -> list[int]:
        """Ids that the endpoint may show so: some leave out a space that begins a word."""
        tokenizer = self.reader.layout.tokenizer
        whole = tokenizer(token, add_special_tokens=False)["input_ids"]
        by_name = tokenizer.get_vocab().get(token)
        found = {*(whole if len(whole) == 1 else ()), by_name}
        return sorted(found - {None, tokenizer.unk_token_id})

    def _check_sampling(self) -> None:
        """Raises PairError as :mod:`softdiv_openai.sampling`."""
        check_greedy(self._drawn(QUESTIONS[0], tokens=LENGTH, temperature=0.0)[1])
        each = self.endpoint.each(lambda one: self._drawn(one, tokens=LENGTH)[1], QUESTIONS)
        check_sampled([one for drawn in each for one in drawn])

    def _drawn(
        self, question: str, *, tokens: int, temperature: float = 1.0
    ) -> tuple[str, list[Drawn]]:
        """The first token of an answer as the endpoint shows it, and the numbers of all."""
        choice = self.endpoint.completion(
            prompt=list(self.reader.context(_asking(question)).before),
            max_tokens=tokens,
            temperature=temperature,
            top_p=1.0,
            logprobs=TOP,
            seed=0,
        )
        logs = choice.logprobs
        if logs is None or not logs.top_logprobs or not logs.tokens:
            raise _no_echo("it gives none of what it draws")
        tops = [sorted(top.values(), reverse=True)[:TOP] for top in logs.top_logprobs]
        found = [Drawn(own, top) for own, top in zip(logs.token_logprobs, tops, strict=True)]
        check_numbers(found)
        return logs.tokens[0], found


def _asking(question: str) -> TextContext:
    return TextContext(messages=(Message("user", question),))


def _no_echo(why: str) -> PairError:
    return PairError(
        "the endpoint does not echo the log-probabilities of a prompt's tokens",
        why=why,
        fix="leave tokenizer out: then the chat endpoint is asked, and scores its own answers",
    )
