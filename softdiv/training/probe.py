"""One backward pass of a pair: does the divergence's gradient reach the soft prompt?"""

from __future__ import annotations

import attrs
import torch

from softdiv.config.schema import Placement
from softdiv.divergence.chunked import row_values
from softdiv.divergence.kernels import jsd
from softdiv.pair.input_space import vectors
from softdiv.pair.manager import ModelPair
from softdiv.pair.teacher_forcing import both_states, targets_of

TEXT = "Hello. What can you tell me about yourself?"


@attrs.frozen
class GradientProbe:
    """What one backward pass showed."""

    bits: float
    """JSD of the probe's positions"""
    norm: float
    """of the gradient; 0 exactly for two equal models"""
    finite: bool
    leaks: tuple[str, ...]
    """model parameters that received a gradient; none may"""


def probe_gradient(pair: ModelPair, placement: Placement = "user_start") -> GradientProbe:
    """Forward and backward of both models on one short text with a soft prompt of 4 tokens."""
    layout = pair.layout(placement)
    answer = layout.encode(" I am a language model.")
    soft = vectors(pair.model_1, torch.arange(4)).requires_grad_()
    states = both_states(pair, [layout.soft(TEXT)], [answer], soft)
    targets, owners = targets_of([answer], soft.device)
    bits = row_values(
        lambda rows: jsd(rows.log_probs_1, rows.log_probs_2),
        pair.model_1,
        pair.model_2,
        *states,
        targets,
        owners,
    ).mean()
    bits.backward()
    gradient = soft.grad if soft.grad is not None else torch.zeros_like(soft)
    return GradientProbe(
        bits=float(bits.detach()),
        norm=float(gradient.norm()),
        finite=bool(gradient.isfinite().all()),
        leaks=tuple(
            f"{wrapper.name}.{name}"
            for wrapper in (pair.model_1, pair.model_2)
            for name, parameter in wrapper.model.named_parameters()
            if parameter.grad is not None
        ),
    )
