"""What a model does after its body, by its own code: logits scaled, capped or otherwise changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from softdiv.pair.layers import body_of


class _Returned:
    """A body's output: its final states, and nothing else that a head might ask for."""

    def __init__(self, states: Tensor) -> None:
        self.last_hidden_state = states

    def __getattr__(self, name: str) -> None:
        return None

    def __getitem__(self, place: Any) -> Any:
        return (self.last_hidden_state,)[place]


def logits_of(model: Any, states: Tensor) -> Tensor:
    """``[..., H]`` final hidden states to ``[..., V]`` logits, differentiable.

    The model's ``forward`` runs with a body that returns these states, so that Granite's and
    Cohere's factors, and those of models yet to come, are applied as their authors wrote them.
    """
    rows = states.reshape(1, -1, states.shape[-1])
    with _body_returns(body_of(model), rows):
        ids = torch.zeros(rows.shape[:2], dtype=torch.long, device=rows.device)
        logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return logits.reshape(*states.shape[:-1], logits.shape[-1])


@contextmanager
def _body_returns(body: Any, states: Tensor) -> Iterator[None]:
    """While inside, ``body(...)`` is ``states [1, N, H]``, whatever it is given."""
    before = body.__dict__.get("forward")
    body.forward = lambda *args, **kwargs: _Returned(states)
    try:
        yield
    finally:
        if before is None:
            del body.forward
        else:
            body.forward = before
