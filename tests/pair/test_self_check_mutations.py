"""Each part of the self-check finds a fault of its own: switched off, that fault is not found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import tiny_tokenizer
from softdiv.errors import PairError
from softdiv.pair import gradient_check, probe, self_check as checked
from softdiv.pair.probe import Probe
from softdiv.pair.self_check import self_check
from softdiv.pair.tolerance import Tolerance
from softdiv.pair.wrapper import ModelWrapper
from tests.pair.test_self_check import (
    detached,
    doubled_gradient,
    is_not_causal,
    needs_ids,
    sees_padding,
    with_body,
)
from tests.pair.tiny_architectures import tiny_model

EOS = 1


def lengths(past: Any) -> int:
    return 0 if past is None else int(past.get_seq_length())


def mixes_rows(forward: Any, **arguments: Any) -> Any:
    """One row's state changes another's."""
    out = forward(**arguments)
    states = out.last_hidden_state
    out.last_hidden_state = states + states.mean(dim=0, keepdim=True) - states[:, :1]
    return out


def mistakes_the_prefix(forward: Any, **arguments: Any) -> Any:
    """Whole rows behind a cached prefix, padded at their end, are out of place."""
    mask, past = arguments.get("attention_mask"), arguments.get("past_key_values")
    if lengths(past) and mask is not None and not mask[:, -1].all():
        arguments["position_ids"] = arguments["position_ids"] + 1
    return forward(**arguments)


def counts_the_cache(forward: Any, **arguments: Any) -> Any:
    """A token's position is the number of tokens in the cache, padding too."""
    embeds, past = arguments.get("inputs_embeds"), arguments.get("past_key_values")
    if embeds is not None and embeds.shape[1] == 1:
        arguments["position_ids"] = torch.full(embeds.shape[:2], lengths(past))
    return forward(**arguments)


def knows_its_table(forward: Any, **arguments: Any) -> Any:
    """What is no token's embedding, nor padding, is an error."""
    embeds = arguments.get("inputs_embeds")
    if embeds is not None:
        table = with_table(forward)
        far = torch.cdist(embeds.flatten(0, 1), torch.cat([table, torch.zeros_like(table[:1])]))
        if float(far.amin(dim=1).max()) > 1e-2:
            raise ValueError("no token has this embedding")
    return forward(**arguments)


def with_table(forward: Any) -> Tensor:
    table: Tensor = forward.__self__.embed_tokens.weight
    return table


def needs_ids_of_control_tokens(forward: Any, input_ids: Tensor | None, **arguments: Any) -> Any:
    out = forward(input_ids=input_ids, **arguments)
    if input_ids is not None:
        after = (input_ids == EOS).cumsum(dim=1)[..., None]
        out.last_hidden_state = out.last_hidden_state * (1 + 0.1 * after)
    return out


def half_detached(forward: Any, **arguments: Any) -> Any:
    """Half of each embedding's dimensions have no gradient."""
    embeds = arguments.get("inputs_embeds")
    if embeds is not None:
        live, dead = embeds.chunk(2, dim=-1)
        arguments["inputs_embeds"] = torch.cat([live, dead.detach()], dim=-1)
    return forward(**arguments)


def endless_gradient(forward: Any, **arguments: Any) -> Any:
    embeds = arguments.get("inputs_embeds")
    if embeds is not None:
        arguments["inputs_embeds"] = embeds + (embeds - embeds.detach()).abs().sqrt()
    return forward(**arguments)


def found(model: Any) -> str:
    """What the self-check says of a model; empty where it is taken as it is."""
    try:
        return self_check(
            ModelWrapper("model_1", model, tiny_tokenizer(512, True), vocab_size=512)
        ).cache
    except PairError as error:
        return error.why


def without(part: Callable[[Probe], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Leaves one part of the probe out, wherever it stands."""

    def switch(patch: pytest.MonkeyPatch) -> None:
        for name in ("RUN", "WITHOUT_CACHE", "PARTS"):
            kept = tuple(each for each in getattr(checked, name) if each[1] is not part)
            patch.setattr(checked, name, kept)

    return switch


def without_gradient(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checked, "gradient_error", lambda *_: 0.0)


def without_random_direction(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gradient_check.torch, "randn", lambda *_, **__: torch.zeros(3, 32).fill_(1e-9))


def without_control_tokens(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(probe, "_control", lambda wrapper: [])


PARTS: dict[str, tuple[Callable[..., Any], str, Callable[[pytest.MonkeyPatch], None]]] = {
    "causal": (is_not_causal, checked.CAUSAL, without(Probe.shortened)),
    "embeddings for ids": (needs_ids, checked.IDS, without(Probe.one_by_one)),
    "any embedding": (knows_its_table, checked.IDS, without(Probe.moved)),
    "control tokens": (needs_ids_of_control_tokens, checked.IDS, without_control_tokens),
    "padding behind": (mixes_rows, checked.BEHIND, without(Probe.padded_behind)),
    "padding before": (sees_padding, checked.BEFORE, without(Probe.padded_before)),
    "shared prefix": (mistakes_the_prefix, checked.PREFIX, without(Probe.forced)),
    "decoding": (counts_the_cache, checked.POSITIONS, without(Probe.decoded)),
    "no gradient": (detached, checked.ZERO, without_gradient),
    "wrong gradient": (doubled_gradient, checked.GRADIENT, without_gradient),
    "half a gradient": (half_detached, checked.GRADIENT, without_random_direction),
    "endless gradient": (endless_gradient, checked.GRADIENT, without_gradient),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_finds_its_own_fault(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault, words, switch = PARTS[part]
    assert found(with_body(fault)).startswith(words)
    switch(monkeypatch)
    assert not found(with_body(fault)).startswith(words)


def test_a_flat_model_has_a_smaller_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its answers are near to each other, those of a wrong path too."""

    def flat() -> Any:
        model = with_body(needs_ids)
        model.lm_head.weight.data.mul_(1e-4)
        return model

    assert found(flat()).startswith(checked.IDS)
    monkeypatch.setattr(Tolerance, "within", lambda self, spread: self)
    assert found(flat()) == ""


def test_a_forward_pass_that_fails_is_one_line() -> None:
    def short_rows_only(forward: Any, **arguments: Any) -> Any:
        out = forward(**arguments)
        if out.last_hidden_state.shape[1] > 5:
            raise RuntimeError("a chunk is\nof another dtype")
        return out

    assert (
        found(with_body(short_rows_only))
        == f"{checked.FAILS} (RuntimeError: a chunk is of another dtype)"
    )


def test_layers_that_keep_a_state_decode_without_a_cache() -> None:
    model = tiny_model("mamba")
    assert found(model) == checked.STATE


def test_what_a_head_takes_may_differ_from_the_body() -> None:
    """Electra's has a layer between the two, of another width."""
    assert found(tiny_model("electra")) == ""


def test_a_model_that_says_minus_one_has_no_limit_of_positions() -> None:
    """XLNet's configuration does; that it is not causal is found behind it."""
    assert found(tiny_model("xlnet")).startswith(checked.CAUSAL)
