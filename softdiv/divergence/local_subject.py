"""A model of this process as :mod:`softdiv.divergence.text_pair` asks it: in text."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import attrs

from softdiv.config.schema import GenerationConfig, PairConfig
from softdiv.divergence.sampler import Sampler
from softdiv.pair.checks import check_pair
from softdiv.pair.layout import Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling
from softdiv.pair.self_check import self_check
from softdiv.pair.template import ChatTemplate, stop_ids
from softdiv.pair.text_reader import TextReader
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import TextAnswer, TextContext


@attrs.define(eq=False, kw_only=True, slots=False)
class LocalSubject:
    """One model behind its own template and tokenizer.

    Likelihoods are of texts, see :mod:`softdiv.pair.text_reader`: how many of its own answers were
    drawn as other tokens is counted in :attr:`notes`.
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
        template = self.layout.template
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
        return notes

    @functools.cached_property
    def reader(self) -> TextReader:
        """How it reads texts."""
        return TextReader(layout=self.layout, stop_ids=self.pair.stop_ids)

    def size(self, context: TextContext) -> int:
        """Tokens that it reads."""
        return len(self.reader.context(context))

    def shown(self, context: TextContext) -> str:
        """The conversation through its template."""
        return self.reader.shown(context)

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
        rows = [self.reader.context(context) for context in contexts]
        drawn = sampler.answers(self.pair.model_1, rows, keys, tokens, self.batch_rows)
        found = []
        for context, ids in zip(contexts, drawn, strict=True):
            ended = bool(ids) and ids[-1] in self.pair.stop_ids
            text = self.reader.text(context, ids)
            found.append(self.reader.written(context, text, counted, ended=ended))
            read = self.reader.read(context, text, closed=False)
            self._written += 1
            self._otherwise += read[:counted] != self.reader.own(ids)[:counted]
        return found

    def log_likelihoods(
        self, contexts: Sequence[TextContext], answers: Sequence[TextAnswer]
    ) -> list[float]:
        """See :class:`softdiv.plugin.interfaces.TextSubject`."""
        rows = [self.reader.context(context) for context in contexts]
        ids = [
            self.reader.read(context, answer.counted, closed=answer.closed)
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
