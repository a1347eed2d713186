"""Which part of a model is its body."""

from __future__ import annotations

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.layers import body_of, decoder_layers


def test_a_body_whose_class_names_another_prefix_is_found() -> None:
    """As Llama 4's: ``base_model`` is then the whole model."""
    model, _ = TinyLoader().load("cpu")
    body = body_of(model)
    model.__class__ = type("Misnamed", (type(model),), {"base_model_prefix": "language_model"})
    assert model.base_model is model
    assert body_of(model) is body is model.model
    assert len(decoder_layers(model)) == 2


def test_a_body_alone_has_none() -> None:
    model, _ = TinyLoader().load("cpu")
    with pytest.raises(PairError, match="separate head"):
        body_of(model.model)
