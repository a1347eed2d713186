"""Built-in plugin: analyzers ``token_disagreements`` and ``divergence_by_position``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import attrs
from attrs.validators import ge

from softdiv import Finding, Section, hookimpl
from softdiv.plugin.records import Curve, Table, TokenDivergence
from softdiv.plugin.registry import Register


@attrs.frozen(kw_only=True)
class TokenDisagreements:
    """Which tokens of model_2's answers model_1 would least have written."""

    top: int = attrs.field(default=20, validator=ge(1))
    """Rows shown."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """A table of tokens by their summed log-likelihood ratio over model_2's answers."""
        total: dict[str, float] = defaultdict(float)
        count: dict[str, int] = defaultdict(int)
        instead: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for finding in findings:
            for token in finding.tokens_2:
                total[token.token] += token.log_prob_2 - token.log_prob_1
                count[token.token] += 1
                instead[token.token][token.preferred_1] += 1
        ranked = sorted(total, key=lambda t: -total[t])[: self.top]
        rows = [
            (
                token,
                count[token],
                total[token],
                total[token] / count[token],
                max(instead[token], key=instead[token].__getitem__),
            )
            for token in ranked
        ]
        leading = ", ".join(repr(token) for token in ranked[:3]) or "none"
        return Section(
            title="Token-level disagreements",
            summary=f"model_2's answers differ from model_1's most in: {leading}.",
            tables=(
                Table(
                    columns=("token", "times", "summed nats", "nats each", "model_1 preferred"),
                    rows=rows,
                ),
            ),
        )


@attrs.frozen(kw_only=True)
class DivergenceByPosition:
    """Where in the answers the models part."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """A curve of mean JSD by response position, for each model's own answers."""
        series = {
            "model_1's answers": _by_position([f.tokens_1 for f in findings]),
            "model_2's answers": _by_position([f.tokens_2 for f in findings]),
        }
        length = max((len(values) for values in series.values()), default=0)
        padded = {
            name: [*values, *([values[-1] if values else 0.0] * (length - len(values)))]
            for name, values in series.items()
        }
        own = series["model_2's answers"]
        peak = max(range(len(own)), key=own.__getitem__) if own else 0
        return Section(
            title="Divergence by response position",
            summary=f"model_2's answers diverge most at response token {peak + 1}.",
            curves=(
                Curve(
                    title="Mean divergence by position",
                    x_label="response token",
                    y_label="bits",
                    x=[float(i + 1) for i in range(length)],
                    series=padded,
                ),
            ),
        )


def _by_position(answers: Sequence[Sequence[TokenDivergence]]) -> list[float]:
    longest = max((len(tokens) for tokens in answers), default=0)
    means = []
    for position in range(longest):
        bits = [t[position].bits for t in answers if len(t) > position]
        means.append(sum(bits) / len(bits))
    return means


@hookimpl
def softdiv_register_analyzers(register: Register) -> None:
    """Register the analyzers."""
    register("token_disagreements", TokenDisagreements)
    register("divergence_by_position", DivergenceByPosition)
