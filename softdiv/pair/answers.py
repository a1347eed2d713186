"""One model answering alone: samples to compare its answers with, at half a rollout's cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from softdiv.pair.decoder import start_decoding
from softdiv.pair.inputs import Frame, longest_answer
from softdiv.pair.layout import Context
from softdiv.pair.sampling import Sampling, draw
from softdiv.pair.wrapper import ModelWrapper


@torch.no_grad()
def sample_answers(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    *,
    uniforms: Tensor,
    sampling: Sampling,
    stops: Collection[int],
    frame: Frame | None = None,
) -> list[list[int]]:
    """One answer per context: token ids, up to and including a stop token.

    With the same ``uniforms`` it is the answer :func:`softdiv.divergence.rollouts.rollout` samples
    from this model.

    Args:
        contexts: B contexts without a slot.
        uniforms: ``[B, T]`` random numbers; T is the longest answer. One ends earlier where the
            model's positions do.
        frame: of the batch that the contexts are a part of; by default they are all of it.
    """
    frame = frame or Frame.of(contexts)
    decoder = start_decoding(wrapper, contexts, None, frame)
    uniforms = uniforms.to(wrapper.device)
    answers: list[list[int]] = [[] for _ in contexts]
    current = list(range(len(contexts)))  # the rows still decoded
    longest = longest_answer(wrapper, frame, uniforms.shape[1])
    for step in range(longest):
        tokens = draw(decoder.log_probs(), uniforms[current, step], sampling)
        drawn = tokens.tolist()
        for row, token in zip(current, drawn, strict=True):
            answers[row].append(token)
        going = [place for place, token in enumerate(drawn) if token not in stops]
        if step + 1 == longest or not going:
            break
        if len(going) < len(current):
            index = torch.tensor(going, device=wrapper.device)
            decoder.keep(index)
            tokens, current = tokens[index], [current[place] for place in going]
        decoder.advance(tokens)
    return answers
