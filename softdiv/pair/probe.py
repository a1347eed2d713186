"""The short rows of a self-check, run as a run does and as the model itself does."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from softdiv.errors import PairError
from softdiv.pair.decoder import start_decoding
from softdiv.pair.inputs import assemble
from softdiv.pair.layout import Context, Layout
from softdiv.pair.teacher_forcing import response_states
from softdiv.pair.tolerance import Tolerance
from softdiv.pair.wrapper import ModelWrapper

PREFIX, SOFT, ANSWER = 4, 3, 3
BEHIND = (2, 7, 3)
"""Tokens of each row behind the shared prefix; the last row's are split around a soft prompt."""

Compared = tuple[Tensor, Tensor]
"""``[N, V]`` log-probabilities, nats: as found, and the model's own."""


@attrs.define(eq=False, kw_only=True)
class Probe:
    """Three rows of different lengths; in the last one some tokens are given as a soft prompt."""

    wrapper: ModelWrapper
    tolerance: Tolerance
    contexts: Sequence[Context]
    answers: Sequence[Sequence[int]]
    soft: Tensor
    """``[k, H]``: the embeddings of the tokens it stands for"""
    rows: Sequence[Sequence[int]]
    """each context with its answer, as ids"""
    own: Tensor
    """``[N, V]``: the model's own log-probabilities of each answer's tokens, row after row"""
    largest: float = 0.0
    """difference so far, of parts that agree"""

    @classmethod
    def of(cls, wrapper: ModelWrapper, tolerance: Tolerance, layout: Layout | None = None) -> Probe:
        """Ordinary tokens, the same for every model of one vocabulary, behind the control tokens
        of a conversation.

        Raises:
            PairError: the vocabulary is too small to have any.
        """
        wanted = PREFIX + sum(BEHIND) + SOFT + ANSWER * len(BEHIND)
        ids = _some(wrapper.ordinary_ids(), wanted)
        prefix, ids = (
            [*_control(wrapper, layout or Layout(wrapper.tokenizer)), *ids[:PREFIX]],
            ids[PREFIX:],
        )
        contexts, answers, rows = [], [], []
        for length in BEHIND:
            behind, answer, ids = (
                ids[:length],
                ids[length : length + ANSWER],
                ids[length + ANSWER :],
            )
            contexts.append(Context((*prefix, *behind)))
            answers.append(answer)
            rows.append([*prefix, *behind, *answer])
        soft, last = ids[:SOFT], contexts[-1].before
        contexts[-1] = Context(last[: len(prefix)], last[len(prefix) :], has_slot=True)
        rows[-1] = [*prefix, *soft, *rows[-1][len(prefix) :]]
        with torch.no_grad():
            embedded = wrapper.embed(torch.tensor(soft, device=wrapper.device)).float()
            own = [_plain(wrapper, row)[-ANSWER - 1 : -1] for row in rows]
        probe = cls(
            wrapper=wrapper,
            tolerance=tolerance,
            contexts=contexts,
            answers=answers,
            soft=embedded,
            rows=rows,
            own=torch.cat(own),
        )
        if tolerance.most > tolerance.nats:
            shortened, rounded = probe.shortened(), probe.rounded()
            noise = tolerance.distance(*shortened), tolerance.distance(*rounded) / 2
            probe.tolerance = tolerance.beside(max(noise))
        else:
            first = probe.own[::ANSWER]
            spread = float((first - first.roll(1, dims=0)).nan_to_num(nan=0.0).abs().max())
            probe.tolerance = tolerance.within(spread)
        return probe

    @property
    def slot(self) -> Context:
        """The context with the soft prompt."""
        return self.contexts[-1]

    @property
    def answer(self) -> Sequence[int]:
        """What follows :attr:`slot`."""
        return self.answers[-1]

    def distance(self, compared: Compared) -> float:
        """Nats; remembered where the tolerance allows it."""
        far = self.tolerance.distance(*compared)
        if far <= self.tolerance.nats:
            self.largest = max(self.largest, far)
        return far

    @torch.no_grad()
    def forced(self) -> Compared:
        """Answers given, all rows in one batch, padded behind, with the shared prefix cached."""
        states = response_states(self.wrapper, self.contexts, self.answers, self.soft)
        return self.wrapper.log_probs(states), self.own

    @torch.no_grad()
    def decoded(self) -> Compared:
        """The same answers, token by token, as rollouts are."""
        decoder = start_decoding(self.wrapper, self.contexts, self.soft)
        columns = []
        for step in range(ANSWER):
            columns.append(decoder.log_probs())
            if step + 1 < ANSWER:
                tokens = [answer[step] for answer in self.answers]
                decoder.advance(torch.tensor(tokens, device=decoder.device))
        return torch.stack(columns, dim=1).flatten(0, 1), self.own

    @torch.no_grad()
    def shortened(self) -> Compared:
        """The model alone, without the tokens that come later."""
        found = [_plain(self.wrapper, row[:-ANSWER])[-1] for row in self.rows]
        return torch.stack(found), self.own[::ANSWER]

    @torch.no_grad()
    def one_by_one(self) -> Compared:
        """Embeddings in place of ids: one row at a time, no padding, no cache."""
        return torch.cat([self._alone(self._embedded(row)) for row in self.rows]), self.own

    @torch.no_grad()
    def rounded(self) -> Compared:
        """Embeddings rounded otherwise, by half a unit of bf16 at most: how much the model makes
        of that, it makes of the rounding of another order of sums too."""
        generator, rows = torch.Generator().manual_seed(0), []
        for row in self.rows:
            embeds = self._embedded(row)
            part = torch.rand(embeds.shape, generator=generator).to(embeds.device) - 0.5
            rows.append(self._alone((embeds.float() * (1 + 2**-7 * part)).to(embeds.dtype)))
        return torch.cat(rows), self.own

    @torch.no_grad()
    def moved(self) -> Compared:
        """A soft prompt that is no token's embedding is taken too, whatever it does."""
        embeds, start = self._embedded(self.rows[-1]), len(self.slot.before)
        embeds[:, start : start + SOFT] *= 1.01
        found, own = self._alone(embeds), self.own[-ANSWER:]
        return torch.where(found.isfinite(), own, found), own

    @torch.no_grad()
    def padded_behind(self) -> Compared:
        """All rows in one batch, padded behind, no cache."""
        batch = assemble(
            self.wrapper,
            self.contexts,
            soft=self.soft,
            responses=self.answers,
            pad_left=False,
            prefix=(),
        )
        states = self.wrapper.hidden(batch.embeds, batch.mask, batch.positions)
        ends = zip(states, batch.lengths.tolist(), strict=True)
        parts = [row[end - ANSWER - 1 : end - 1] for row, end in ends]
        return self.wrapper.log_probs(torch.cat(parts)), self.own

    @torch.no_grad()
    def padded_before(self) -> Compared:
        """Contexts in one batch, padded in front, no cache."""
        batch = assemble(self.wrapper, self.contexts, soft=self.soft, pad_left=True, prefix=())
        states = self.wrapper.hidden(batch.embeds, batch.mask, batch.positions)
        return self.wrapper.log_probs(states[:, -1]), self.own[::ANSWER]

    def _embedded(self, row: Sequence[int]) -> Tensor:
        """``[1, L, H]``."""
        return self.wrapper.embed(torch.tensor([list(row)], device=self.wrapper.device))

    def _alone(self, embeds: Tensor) -> Tensor:
        """``[3, V]`` of the answer that ends a row ``[1, L, H]``."""
        index = torch.arange(embeds.shape[1], device=self.wrapper.device)[None]
        states = self.wrapper.hidden(embeds, torch.ones_like(index), index)
        return self.wrapper.log_probs(states[0, -ANSWER - 1 : -1])


def _plain(wrapper: ModelWrapper, row: Sequence[int]) -> Tensor:
    """``[L, V]`` by the model alone."""
    ids = torch.tensor([list(row)], device=wrapper.device)
    if wrapper.turn is not None:
        wrapper.turn.before_forward()
    logits = wrapper.model(input_ids=ids, use_cache=False).logits[0]
    return wrapper.normalised(wrapper.shown(logits))


def _control(wrapper: ModelWrapper, layout: Layout) -> list[int]:
    """What a chat template writes around texts: RoBERTa counts no position where its padding
    token stands, which often ends a turn."""
    ordinary = set(wrapper.ordinary_ids())
    slot = layout.soft("Hello.")
    written = dict.fromkeys((*slot.before, *slot.after))
    return [i for i in written if i not in ordinary and i < wrapper.embedding_table.shape[0]]


def _some(ordinary: Sequence[int], count: int) -> list[int]:
    """``count`` ids, spread over the vocabulary by a fixed seed."""
    if len(ordinary) < count:
        raise PairError(
            f"the tokenizer has {len(ordinary)} ordinary tokens", why=f"the check needs {count}"
        )
    generator = torch.Generator().manual_seed(0)
    picked = torch.randperm(len(ordinary), generator=generator)[:count]
    return [ordinary[i] for i in picked.tolist()]
