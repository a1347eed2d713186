"""Analyzer ``token_disagreements``: which tokens, where, and what each model preferred."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

import attrs
from attrs.validators import ge

from softdiv import Finding, Section
from softdiv.analysis.selection import of_best_prompt
from softdiv.plugin.records import Table, TokenDivergence

Place = tuple[int, TokenDivergence]
"""(response position from 1, the token there)"""


@attrs.frozen(kw_only=True)
class TokenDisagreements:
    """Tokens of model_2's answers at which the models part, under the best prompt."""

    top: int = attrs.field(default=20, validator=ge(1))
    """Rows shown per table."""
    margin: float = attrs.field(default=0.1, validator=ge(0.0))
    """Nats by which each model must prefer its own token, so that near-ties do not count."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """Tables by token, by pair of preferred tokens, and by user text."""
        best = of_best_prompt(findings)
        surprising, leading = self._by_token(best)
        return Section(
            title="Token-level disagreements",
            summary=self._summary(best, leading),
            tables=(surprising, self._by_preference(best), self._by_text(best)),
        )

    def _summary(self, best: Sequence[Finding], leading: Sequence[str]) -> str:
        total = sum(len(f.tokens_2) for f in best)
        differing = sum(len(self._parting(f)) for f in best)
        share = f"{differing / total:.0%}" if total else "0 %"
        words = ", ".join(repr(token) for token in leading[:3]) or "none"
        return (
            f"At {share} of model_2's {total} response tokens model_1 would have gone on "
            f"differently; the tokens it would least have written: {words}."
        )

    def _by_token(self, best: Sequence[Finding]) -> tuple[Table, list[str]]:
        places: dict[str, list[Place]] = defaultdict(list)
        for finding in best:
            for place in _places(finding):
                places[place[1].token].append(place)
        nats = {t: sum(p.log_prob_2 - p.log_prob_1 for _, p in at) for t, at in places.items()}
        ranked = sorted(nats, key=lambda t: -nats[t])[: self.top]
        rows = [
            (
                token,
                len(places[token]),
                nats[token],
                nats[token] / len(places[token]),
                _where(places[token]),
                _usual(p.preferred_1 for _, p in places[token]),
            )
            for token in ranked
        ]
        columns = ("token", "times", "summed nats", "nats each", "position", "model_1 preferred")
        title = "Tokens of model_2's answers that model_1 would least have written"
        return Table(title=title, columns=columns, rows=rows), [t for t in ranked if nats[t] > 0]

    def _by_preference(self, best: Sequence[Finding]) -> Table:
        pairs: dict[tuple[str, str], list[Place]] = defaultdict(list)
        for finding in best:
            for place in self._parting(finding):
                pairs[place[1].preferred_1, place[1].preferred_2].append(place)
        ranked = sorted(pairs, key=lambda pair: (-len(pairs[pair]), pair))[: self.top]
        return Table(
            title="What each model preferred where they part",
            columns=("model_1", "model_2", "times", "position", "margin_1 nats", "margin_2 nats"),
            rows=[
                (
                    *pair,
                    len(pairs[pair]),
                    _where(pairs[pair]),
                    sum(p.margin_1 for _, p in pairs[pair]) / len(pairs[pair]),
                    sum(p.margin_2 for _, p in pairs[pair]) / len(pairs[pair]),
                )
                for pair in ranked
            ],
        )

    def _by_text(self, best: Sequence[Finding]) -> Table:
        rows: list[tuple[str | float | int | None, ...]] = []
        for finding in sorted(best, key=lambda f: -f.divergence_bits)[: self.top]:
            parting = self._parting(finding)
            widest = max(parting, key=lambda place: place[1].bits, default=None)
            said = (
                f"{widest[1].preferred_1!r} or {widest[1].preferred_2!r}, at {widest[0]}"
                if widest
                else None
            )
            counts = (len(parting), len(finding.tokens_2), parting[0][0] if parting else None)
            rows.append((finding.example.text, *counts, said, widest[1].bits if widest else None))
        return Table(
            title="By user text",
            columns=("user text", "parting", "tokens", "first at", "widest: model_1 or 2", "bits"),
            rows=rows,
        )

    def _parting(self, finding: Finding) -> list[Place]:
        return [
            (position, token)
            for position, token in _places(finding)
            if token.preferred_1 != token.preferred_2
            and token.margin_1 > self.margin
            and token.margin_2 > self.margin
        ]


def _places(finding: Finding) -> list[Place]:
    return list(enumerate(finding.tokens_2, 1))


def _where(places: Sequence[Place]) -> str:
    """``3``, or ``2–9, median 4``."""
    positions = [position for position, _ in places]
    low, high = min(positions), max(positions)
    return str(low) if low == high else f"{low}–{high}, median {median(positions):.0f}"


def _usual(tokens: Iterable[str]) -> str:
    return Counter(tokens).most_common(1)[0][0]
