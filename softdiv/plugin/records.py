"""What travels between components. Suffixes in comments name dimensions.

N response tokens, V vocabulary, k soft tokens, H hidden size, T response length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from torch import Tensor

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen
class Message:
    """One message of a conversation."""

    role: str
    """``system``, ``user``, ``assistant``, ``tool``, or another role the chat template knows"""
    content: str


@attrs.frozen(kw_only=True)
class Example:
    """One user text, and the conversation it ends."""

    id: str
    text: str
    category: str = ""
    context: tuple[Message, ...] = ()
    """The messages before it: a system message, earlier turns, what tools said."""
    metadata: Mapping[str, Any] = attrs.field(default=_EMPTY, eq=False)


@attrs.frozen(kw_only=True)
class TextContext:
    """What a model is to go on from, as text: each reads it through a template of its own."""

    messages: tuple[Message, ...] = ()
    """A conversation that it answers; empty where it is one of the other two."""
    text: str | None = None
    """A text outside any conversation, which it goes on with."""
    user_turn: bool = False
    """The opening of a user's turn, which it writes."""


@attrs.frozen(kw_only=True)
class TextAnswer:
    """What a model wrote, as text."""

    text: str
    counted: str
    """The beginning of it that likelihoods are of."""
    closed: bool
    """``counted`` is all of it, the model ended it there, and likelihoods count that end."""
    tokens: int
    """Of ``counted``, by the model that wrote it; an end that counts is one."""
    cut: bool = False
    """``text`` was stopped at its longest instead of ending by itself."""
    log_likelihood: float | None = None
    """Nats of ``counted`` by the model that wrote it, of the tokens as it drew them; for one that
    cannot be asked of texts."""


@attrs.frozen(kw_only=True, eq=False)
class Rows:
    """Both models' next-token log-probabilities at response positions, unpadded.

    Possibly one chunk of many: a token metric must give each row a value that does
    not depend on the other rows.
    """

    log_probs_1: Tensor
    """``[N, V]`` fp32, nats, model_1."""
    log_probs_2: Tensor
    """``[N, V]`` fp32, nats, model_2."""
    targets: Tensor
    """``[N]`` the token that was actually sampled at each position."""
    example_index: Tensor
    """``[N]`` which response of the batch a row belongs to."""


@attrs.frozen(kw_only=True)
class HardPrompt:
    """A text prompt and what is known of it before the held-out evaluation."""

    text: str
    searcher: str
    """Name of the searcher or baseline that returned it."""
    score_bits: float | None = None
    """D on the search's own texts: optimised, so biased upwards; never reported as a finding."""
    validation_bits: float | None = None
    """D on the texts that choose."""
    validation_llr: float | None = None
    """Log-likelihood ratio of model_2's answers to them, nats per answer: what chose it."""
    cost_fte: int = 0
    """What its searcher had spent when it was returned, in forward-token equivalents."""
    note: str = ""
    """Where it came from, e.g. the word or answer it was built from."""


@attrs.frozen(kw_only=True)
class Interval:
    """A mean over user texts with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@attrs.frozen(kw_only=True)
class TokenDivergence:
    """One response token as both models saw it."""

    token: str
    bits: float
    """JSD at this position."""
    log_prob_1: float
    log_prob_2: float
    """nats, of the sampled token"""
    preferred_1: str
    preferred_2: str
    """each model's own most likely token here"""
    margin_1: float = 0.0
    margin_2: float = 0.0
    """nats by which each model prefers its own token to the other model's; 0 where they agree"""


@attrs.frozen(kw_only=True)
class ResponsePair:
    """Both models' answers to the same user text under the same prompt."""

    example: Example
    prompt: str
    response_1: str
    response_2: str
    tokens_1: Sequence[TokenDivergence] = ()
    """model_1's answer as both models score it; empty where nothing was scored"""
    tokens_2: Sequence[TokenDivergence] = ()
    """model_2's answer as both models score it"""
    again_1: Sequence[str] = ()
    """Further samples of model_1 in the same context: as many as the configured metrics' largest
    ``resamples`` (see :class:`softdiv.plugin.interfaces.ResponseMetric`)."""
    again_2: Sequence[str] = ()
    """the same of model_2"""


@attrs.frozen(kw_only=True)
class Finding:
    """One held-out user text under one prompt: both answers, token by token."""

    prompt: str
    """The hard prompt's text ("" is the empty prompt)."""
    example: Example
    response_1: str
    response_2: str
    divergence_bits: float
    """Mean JSD over both responses' tokens; NaN where the models share no tokens."""
    log_likelihood_ratio: float
    """nats: log p2 - log p1 summed over model_2's own answer; NaN where it cannot be measured"""
    tokens_1: Sequence[TokenDivergence] = ()
    """model_1's answer as both models score it"""
    tokens_2: Sequence[TokenDivergence] = ()
    """model_2's answer as both models score it"""
    metrics: Mapping[str, float] = attrs.field(default=_EMPTY, eq=False)
    """every metric that was available: mean over both answers' tokens, or of the two answers"""
    written: tuple[TextAnswer, TextAnswer] | None = None
    """both answers with what counts of them, where the models are compared by text"""

    @property
    def cut(self) -> tuple[bool, bool]:
        """Whether each model's answer was stopped at its longest instead of ending by itself:
        then its last token is part of its text. Where nothing was scored, nothing is known."""
        if self.written is not None:
            return self.written[0].cut, self.written[1].cut
        sides = ((self.response_1, self.tokens_1), (self.response_2, self.tokens_2))
        ends = [(text, tokens[-1].token.strip() if tokens else "") for text, tokens in sides]
        one, two = (bool(end) and text.rstrip().endswith(end) for text, end in ends)
        return one, two

    def as_pair(self, again_1: Sequence[str] = (), again_2: Sequence[str] = ()) -> ResponsePair:
        """What response metrics see of it, with further samples of each model."""
        return ResponsePair(
            example=self.example,
            prompt=self.prompt,
            response_1=self.response_1,
            response_2=self.response_2,
            tokens_1=self.tokens_1,
            tokens_2=self.tokens_2,
            again_1=again_1,
            again_2=again_2,
        )


@attrs.frozen(kw_only=True)
class Table:
    """Rows of plain values; the report decides how they look."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    title: str = ""


@attrs.frozen(kw_only=True)
class Curve:
    """A figure as data: the report draws it."""

    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    series: Mapping[str, Sequence[float]]


@attrs.frozen(kw_only=True)
class Heatmap:
    """A figure as data: one value per cell."""

    title: str
    x_label: str
    y_label: str
    x: Sequence[str]
    """names of the columns"""
    y: Sequence[str]
    """names of the rows, from the top"""
    values: Sequence[Sequence[float]]
    """``[len(y)][len(x)]``"""
    unit: str = ""
    diverging: bool = False
    """the sign matters: 0 is the middle of the colour scale"""
    largest: float | None = None
    """end of the colour scale, so that two figures can be compared; by default the largest value"""


@attrs.frozen(kw_only=True)
class Scatter:
    """A figure as data: points in groups."""

    title: str
    x_label: str
    y_label: str
    groups: Mapping[str, Sequence[tuple[float, float]]]


@attrs.frozen(kw_only=True)
class Section:
    """An analyzer's answer to one question about the findings."""

    title: str
    summary: str
    """One sentence a reader can quote."""
    tables: Sequence[Table] = ()
    curves: Sequence[Curve] = ()
    heatmaps: Sequence[Heatmap] = ()
    scatters: Sequence[Scatter] = ()
