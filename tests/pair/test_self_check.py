"""The self-check: models that a run would measure wrongly are refused by the part that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, MambaConfig, MptConfig, RobertaConfig

from softdiv.builtin.loaders.tiny import TinyLoader, tiny_tokenizer
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, rollout
from softdiv.errors import PairError
from softdiv.pair import self_check as checked
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.self_check import self_check
from softdiv.pair.wrapper import ModelWrapper
from tests.pair.test_unlike_pairs import random_model

TEXTS = ("Name a colour.", "What can you tell me about the sea?", "Hello.")


def tiny() -> Any:
    return TinyLoader().load("cpu")[0]


def wrapped(model: Any) -> ModelWrapper:
    return ModelWrapper("model_2", model, tiny_tokenizer(512, True))


def with_body(change: Callable[..., Any]) -> Any:
    """A tiny model whose body's forward is ``change(forward, **arguments)``."""
    model = tiny()
    body = model.base_model
    forward = body.forward
    body.forward = lambda input_ids=None, **arguments: change(
        forward, input_ids=input_ids, **arguments
    )
    return model


def needs_ids(forward: Any, input_ids: Tensor | None, **arguments: Any) -> Any:
    """A bias per token id, as per-layer inputs are, where ids are given."""
    out = forward(input_ids=input_ids, **arguments)
    if input_ids is not None:
        out.last_hidden_state = out.last_hidden_state * (1 + (input_ids % 7)[..., None] / 7)
    return out


def sees_padding(forward: Any, **arguments: Any) -> Any:
    """A state that runs over all positions, whatever the mask says."""
    out = forward(**arguments)
    states = out.last_hidden_state
    count = torch.arange(1, states.shape[1] + 1)[None, :, None]
    out.last_hidden_state = states + states.cumsum(dim=1) / count
    return out


def is_not_causal(forward: Any, **arguments: Any) -> Any:
    out = forward(**arguments)
    out.last_hidden_state = out.last_hidden_state + out.last_hidden_state.mean(dim=1, keepdim=True)
    return out


def detached(forward: Any, **arguments: Any) -> Any:
    if arguments.get("inputs_embeds") is not None:
        arguments["inputs_embeds"] = arguments["inputs_embeds"].detach().requires_grad_()
    return forward(**arguments)


def doubled_gradient(forward: Any, **arguments: Any) -> Any:
    embeds = arguments.get("inputs_embeds")
    if embeds is not None:
        arguments["inputs_embeds"] = 2 * embeds - embeds.detach()
    return forward(**arguments)


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "needs ids": (needs_ids, checked.IDS),
    "not causal": (is_not_causal, checked.CAUSAL),
    "detached": (detached, checked.ZERO),
    "doubled gradient": (doubled_gradient, checked.GRADIENT),
}


def test_a_model_that_agrees_says_how_closely() -> None:
    wrapper = wrapped(tiny())
    check = self_check(wrapper)
    assert 0 < check.difference < 1e-4
    assert check.gradient_error < 1e-2
    assert wrapper.keeps_cache
    assert wrapper.ledger.total == 0  # nobody pays for it
    assert not wrapper.cached_prefix


@pytest.mark.parametrize("fault", REFUSED)
def test_a_model_that_would_be_measured_wrongly_is_refused(fault: str) -> None:
    change, words = REFUSED[fault]
    with pytest.raises(PairError) as caught:
        self_check(wrapped(with_body(change)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_decoder_that_is_an_encoder_is_refused() -> None:
    model = random_model(RobertaConfig, 1, pad_token_id=1, is_decoder=False)
    with pytest.raises(PairError, match="not causal"):
        self_check(wrapped(model))


def test_padding_that_leaks_into_a_state_costs_the_cache() -> None:
    wrapper = wrapped(with_body(sees_padding))
    check = self_check(wrapper)
    assert check.cache.startswith(checked.BEFORE)
    assert not wrapper.keeps_cache


UNCACHED: dict[str, tuple[type, dict[str, Any]]] = {
    "mpt": (MptConfig, {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 512}),
    "mamba": (MambaConfig, {"state_size": 8, "num_hidden_layers": 2}),
}


@pytest.mark.parametrize("name", UNCACHED)
@torch.no_grad()
def test_models_without_a_cache_decode_as_they_are(name: str) -> None:
    kind, options = UNCACHED[name]
    models = [random_model(kind, seed, **options) for seed in (0, 1)]
    pair = ModelPair.of(*models, tiny_tokenizer(512, True))
    assert not pair.model_1.keeps_cache
    assert any("model_2 decodes without a cache" in note for note in pair.report.notes)
    layout = Layout(pair.tokenizer)
    contexts = [layout.hard(text, "Be brief.") for text in TEXTS]
    result = rollout(
        pair,
        contexts,
        weights=[FROM_MODEL_1, FROM_MODEL_2, FROM_MODEL_2],
        uniforms=uniform_rows(list(TEXTS), 0, 6),
        sampling=Sampling(),
    )
    for row, context in enumerate(contexts):
        ids = result.answer(row)
        whole = torch.tensor([[*context.before, *ids]])
        logs = [m(input_ids=whole).logits[0].log_softmax(-1) for m in models]
        for step, token in enumerate(ids):
            one, two = (log[len(context) - 1 + step, token] for log in logs)
            assert float(result.log_prob_1[row, step]) == pytest.approx(float(one), abs=1e-4)
            assert float(result.ratio[row, step]) == pytest.approx(float(two - one), abs=1e-4)


def test_a_backward_pass_that_fails_is_one_line() -> None:
    def spoilt(forward: Any, **arguments: Any) -> Any:
        out = forward(**arguments)
        if out.last_hidden_state.requires_grad:
            squared = out.last_hidden_state**2
            out.last_hidden_state.add_(1)  # squared's gradient needs what stood here
            out.last_hidden_state = squared
        return out

    with pytest.raises(PairError, match=checked.NONE):
        self_check(wrapped(with_body(spoilt)))


def test_sixteen_bits_have_a_bound_of_their_own() -> None:
    check = self_check(wrapped(tiny().to(torch.bfloat16)))
    assert check.tolerance.numbers == "16 bits"
    assert 1e-4 < check.difference < 0.1
    assert "limit 0.1" in check.line


def test_a_model_that_makes_more_of_rounding_is_given_more_room() -> None:
    loud = tiny().to(torch.bfloat16)
    loud.lm_head.weight.data *= 3.0  # its logits round three times as coarsely
    ordinary = self_check(wrapped(tiny().to(torch.bfloat16))).tolerance.nats
    assert ordinary < self_check(wrapped(loud)).tolerance.nats <= 0.3


def test_every_pair_is_checked() -> None:
    with pytest.raises(PairError, match="model_2 .* gradient is zero"):
        ModelPair.of(tiny(), with_body(detached), tiny_tokenizer(512, True))


def test_llama_of_other_shapes_agrees() -> None:
    model = random_model(LlamaConfig, 3, num_key_value_heads=1, rms_norm_eps=1e-3)
    assert self_check(wrapped(model)).difference < 1e-3
