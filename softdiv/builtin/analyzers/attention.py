"""Analyzer ``attention``: how much both models look at the prompt while they answer."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from attrs.validators import ge

from softdiv import Finding, Section
from softdiv.analysis.attention import AttentionPattern, attention_pattern, mean_pattern
from softdiv.analysis.selection import of_best_prompt, shown
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.template import common_end, common_start
from softdiv.pair.words import token_texts
from softdiv.plugin.records import Table

TITLE = "Attention to the prompt"


@attrs.frozen(kw_only=True)
class Attention:
    """Both models re-read model_2's answers to the best prompt with the eager kernel."""

    texts: int = attrs.field(default=4, validator=ge(1))
    """User texts averaged over: one more forward pass of both models each."""
    response_tokens: int = attrs.field(default=24, validator=ge(1))
    """Tokens of each answer that look back."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """Without the models there is nothing to measure."""
        return Section(title=TITLE, summary="not available: the models are not loaded")

    def with_models(self, findings: Sequence[Finding], pair: ModelPair, layout: Layout) -> Section:
        """Shares by layer and prompt token. Raises PairError without attention weights."""
        best = of_best_prompt(findings)[: self.texts]
        if not best or not best[0].prompt:
            return Section(title=TITLE, summary="There is no prompt to look at.")
        measured = [self._measure(finding, pair, layout) for finding in best]
        # the tokens at the seam may merge with a user text's own: average what is the same
        patterns = [p for p in measured if p.tokens == measured[0].tokens]
        return _section(mean_pattern(patterns), best[0].prompt, len(patterns))

    def _measure(self, finding: Finding, pair: ModelPair, layout: Layout) -> AttentionPattern:
        context = list(layout.hard(finding.example, finding.prompt).before)
        answer = layout.encode_answer(finding.response_2)[: self.response_tokens]
        ids = [*context, *answer[:-1]]
        span = prompt_span(context, finding, layout)
        return attention_pattern(
            pair.model_1.attentions(ids),
            pair.model_2.attentions(ids),
            queries=slice(len(context) - 1, len(ids)),
            keys=span,
            tokens=token_texts(pair.tokenizer, context[span]),
        )


def prompt_span(context: Sequence[int], finding: Finding, layout: Layout) -> slice:
    """Positions of the prompt: what is neither in the template before it nor after it."""
    slot = layout.soft(finding.example)
    start = len(common_start([context, slot.before]))
    end = len(context) - len(common_end([context, slot.after]))
    return slice(start, max(end, start + 1))


def _section(pattern: AttentionPattern, prompt: str, texts: int) -> Section:
    share_1, share_2 = pattern.model_1.mean(axis=0), pattern.model_2.mean(axis=0)
    gap = pattern.difference
    layer, token = np.unravel_index(np.abs(gap).argmax(), gap.shape)
    return Section(
        title=TITLE,
        summary=(
            f"While answering under “{shown(prompt)}”, model_1 gives the prompt "
            f"{share_1.sum():.1%} of its attention and model_2 {share_2.sum():.1%} (mean over "
            f"layers, heads, response tokens and {texts} user texts). They differ most at "
            f"{pattern.tokens[token]!r} in layer {layer + 1}: {gap[layer, token]:+.1%}. Attention "
            "shows where a model reads, not why it answers as it does."
        ),
        tables=(
            Table(
                title="Share of attention by prompt token, %",
                columns=("token", "model_1", "model_2", "difference", "largest gap in layer"),
                rows=[
                    (
                        name,
                        100 * float(share_1[i]),
                        100 * float(share_2[i]),
                        100 * float(share_2[i] - share_1[i]),
                        int(np.abs(gap[:, i]).argmax()) + 1,
                    )
                    for i, name in enumerate(pattern.tokens)
                ],
            ),
        ),
        heatmaps=pattern.heatmaps(),
    )
