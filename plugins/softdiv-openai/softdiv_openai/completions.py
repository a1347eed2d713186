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
from softdiv_openai.endpoint import UNLIKELY, Endpoint, Refused, seed_of

PROBE = TextContext(messages=(Message("user", "Hello."),))


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
        """After scoring a short text.

        Raises:
            PairError: the tokenizer cannot be loaded, or the endpoint does not echo.
        """
        loaded = load_tokenizer(tokenizer)
        template = ChatTemplate.of(loaded, PairConfig(template_arguments=dict(arguments)))
        layout = Layout(loaded, "user_start", template)
        ends = {*template.ends, loaded.eos_token_id} - {None}
        made = cls(endpoint, TextReader(layout=layout, stop_ids=frozenset(ends)))
        text = TextAnswer(text="Hi", counted="Hi", closed=False, tokens=1)
        try:
            made.log_likelihoods([PROBE], [text])
        except Refused as error:
            raise _no_echo(str(error.why)) from error
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
            choice = self.endpoint.completion(
                prompt=[*before, *own], max_tokens=1, echo=True, logprobs=1, temperature=1.0
            )
            echoed = list(getattr(choice.logprobs, "token_logprobs", None) or [])
            sizes = (len(before) + len(own), len(before) + len(own) + 1)
            if len(echoed) not in sizes:
                raise _no_echo(f"asked of {sizes[0]} tokens, it gave {len(echoed)} numbers")
            logs = echoed[len(before) : sizes[0]]
            if any(log is None or not math.isfinite(log) or log < UNLIKELY for log in logs):
                raise _no_echo("some of the numbers are missing")
            return math.fsum(logs)

        return self.endpoint.each(ask, range(len(answers)))


def _no_echo(why: str) -> PairError:
    return PairError(
        "the endpoint does not echo the log-probabilities of a prompt's tokens",
        why=why,
        fix="leave tokenizer out: then the chat endpoint is asked, and scores its own answers",
    )
