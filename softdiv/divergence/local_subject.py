"""A model of this process as :mod:`softdiv.divergence.text_pair` asks it: in text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

from softdiv.config.schema import GenerationConfig, PairConfig
from softdiv.divergence.sampler import Sampler
from softdiv.errors import PairError
from softdiv.pair.checks import check_pair
from softdiv.pair.layout import Context, Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling
from softdiv.pair.self_check import self_check
from softdiv.pair.template import ChatTemplate, stop_ids
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import TextAnswer, TextContext

HALF = "\ufffd"
"""What the bytes of half a character are shown as."""


@attrs.define(eq=False, kw_only=True)
class LocalSubject:
    """One model behind its own template and tokenizer.

    A text's likelihood is that of the tokens its tokenizer reads in it, behind the ids that the
    template ends in before an answer. An answer of its own may have been drawn as other tokens;
    those are counted in :attr:`notes`.
    """

    pair: ModelPair
    """The model with itself: what samples and scores a pair then does so for one model."""
    layout: Layout
    batch_rows: int
    scores: Literal["texts"] = "texts"
    spent: int = 0
    """The ledger is charged by the model itself."""
    _written: int = attrs.field(init=False, default=0)
    _otherwise: int = attrs.field(init=False, default=0)

    @classmethod
    def of(
        cls,
        name: str,
        model: Any,
        tokenizer: Any,
        ledger: Ledger,
        config: PairConfig,
        generation: GenerationConfig,
        placement: Any,
    ) -> LocalSubject:
        """Check a loaded model as a pair's models are checked, against itself.

        Args:
            name: ``"model_1"`` or ``"model_2"``.
            config: what the chat template is told.

        Raises:
            PairError: it computes something else than it would by itself.
        """
        template = ChatTemplate.of(tokenizer, config)
        report = check_pair(model, tokenizer, model, tokenizer, template)
        rows, left_out = report.vocab_size, report.left_out
        wrapper = ModelWrapper(name, model, tokenizer, ledger, rows, None, left_out)
        layout = Layout(tokenizer, placement, template, report.unshared)
        check = self_check(wrapper, layout)
        pair = ModelPair(
            name=name,
            model_1=wrapper,
            model_2=wrapper,
            ledger=ledger,
            report=report,
            stop_ids=stop_ids(model, template),
            self_checks=(check, check),
            template=template,
        )
        return cls(pair=pair, layout=layout, batch_rows=generation.batch_rows)

    @property
    def notes(self) -> list[str]:
        """What a reader should know of it by now."""
        wrapper, template = self.pair.model_1, self.layout.template
        notes = list(self.pair.report.notes)
        if template.source is None:
            notes.append("no chat template: texts are continued as plain text")
        if template.writes_date:
            notes.append(f"the chat template writes the date: {template.date}")
        if check := self.pair.self_checks[0].cache:
            notes.append(f"decodes without a cache: {check}")
        if self._otherwise:
            notes.append(
                f"{self._otherwise} of its {self._written} answers were drawn as other tokens than "
                "their text is read as; likelihoods are of the text"
            )
        return [f"{wrapper.name}: {note}" for note in notes]

    @property
    def end(self) -> int | None:
        """The token that ends an answer which is given: what the template puts behind it, else
        the tokenizer's end of text. None where there is neither."""
        template, eos = self.layout.template, self.layout.tokenizer.eos_token_id
        found = template.ends[0] if template.ends else eos
        return found if isinstance(found, int) else None

    def size(self, context: TextContext) -> int:
        """Tokens that it reads."""
        return len(self._context(context))

    def shown(self, context: TextContext) -> str:
        """The conversation through its template."""
        if context.messages:
            return self.layout.template.render(context.messages)
        return context.text or ""

    def check_plain(self, text: str) -> None:
        """Raises DataError as :meth:`Layout.check_plain`."""
        self.layout.check_plain(text)

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
        """See :class:`softdiv.plugin.interfaces.TextSubject`."""
        sampler = self._sampler(seed, Sampling(temperature=temperature, top_p=top_p))
        rows = [self._context(context) for context in contexts]
        drawn = sampler.answers(self.pair.model_1, rows, keys, tokens, self.batch_rows)
        return [
            self._answer(context, row, ids, counted)
            for context, row, ids in zip(contexts, rows, drawn, strict=True)
        ]

    def log_likelihoods(
        self, contexts: Sequence[TextContext], answers: Sequence[TextAnswer]
    ) -> list[float]:
        """See :class:`softdiv.plugin.interfaces.TextSubject`."""
        rows = [self._context(context) for context in contexts]
        ids = [
            self._read(context, answer.counted, closed=answer.closed)
            for context, answer in zip(contexts, answers, strict=True)
        ]
        scored = [n for n, own in enumerate(ids) if own]  # an empty text is certain
        found = self._sampler(0).log_likelihoods(
            self.pair.model_1, [rows[n] for n in scored], [ids[n] for n in scored]
        )
        sums = {n: float(row.double().sum()) for n, row in zip(scored, found, strict=True)}
        return [sums.get(n, 0.0) for n in range(len(ids))]

    def perplexity_logs(self, before: Sequence[int], prompt: str) -> Any:
        """Nats of a prompt's tokens behind the template's ``before``."""
        ids = self.layout.encode(prompt)
        (logs,) = self._sampler(0).prompt_log_likelihoods(self.pair.model_1, before, [ids])
        return logs

    def _sampler(self, seed: int, sampling: Sampling = Sampling()) -> Sampler:
        return Sampler(pair=self.pair, sampling=sampling, seed=seed, rows=self.batch_rows)

    def _context(self, context: TextContext) -> Context:
        if context.user_turn:
            return self.layout.header()
        if context.text is not None:
            return self.layout.plain(context.text)
        return Context(before=tuple(self.layout.template.tokens(self.shown(context))))

    def _answer(
        self, context: TextContext, row: Context, ids: list[int], counted: int
    ) -> TextAnswer:
        ended = bool(ids) and ids[-1] in self.pair.stop_ids
        text, begun = self._text(context, row, ids), self._text(context, row, ids[:counted])
        whole = len(ids) <= counted
        closed = whole and ended and bool(context.messages) and self.end is not None
        if not (whole and ended):
            begun = begun.rstrip(HALF)  # the rest of a character is not there to be read
        read = self._read(context, begun, closed=closed)
        self._written += 1
        own = [i for i in ids[:counted] if i not in self.pair.stop_ids]
        self._otherwise += read[: len(read) - closed] != own
        return TextAnswer(text=text, counted=begun, closed=closed, tokens=len(read), cut=not ended)

    def _text(self, context: TextContext, row: Context, ids: Sequence[int]) -> str:
        """What ids say; behind a plain text, as they read there."""
        if context.text is None:
            return self._decoded(ids)
        before, both = self._decoded(row.before), self._decoded([*row.before, *ids])
        return both.removeprefix(before) if both.startswith(before) else self._decoded(ids)

    def _decoded(self, ids: Sequence[int]) -> str:
        own = [i for i in ids if i not in self.pair.stop_ids]
        text: str = self.layout.tokenizer.decode(
            own, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _read(self, context: TextContext, text: str, *, closed: bool) -> list[int]:
        """Token ids of a text in its place behind a context."""
        if context.user_turn:
            return attrs.evolve(self.layout, placement="user_start").encode(text) if text else []
        if context.text is not None:
            before = list(self.layout.plain(context.text).before)
            start = self.layout.template.text_start
            whole = [*start, *self.layout.template.tokens(context.text + text)]
            if whole[: len(before)] == before:
                return whole[len(before) :]
            return self.layout.template.tokens(text)
        ids = self.layout.encode_answer(text) if text else []
        if not closed:
            return ids
        if self.end is None:
            raise PairError(f"{self.pair.name} has no token that ends an answer")
        return [*ids, self.end]
