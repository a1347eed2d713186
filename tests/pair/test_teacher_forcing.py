"""A text's values do not depend on its neighbours, and gradients reach only the prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from softdiv.builtin.loaders.tiny import tiny_tokenizer
from softdiv.pair.inputs import assemble, common_prefix
from softdiv.pair.layout import Context, Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.manager import ModelPair
from softdiv.pair.teacher_forcing import (
    both_states,
    log_likelihood,
    prompt_states,
    response_states,
    targets_of,
)
from softdiv.pair.wrapper import ModelWrapper

TEXTS = ("Hi", "How do I keep rice from turning into a lump when I cook it?", "Why is that so")
ANSWERS = ([11, 300, 42], [7], [99, 98, 97, 96, 95, 400])


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("soft", [False, True])
def test_padding_and_batch_composition_do_not_matter(
    make_pair: Callable[..., ModelPair], architecture: str, soft: bool
) -> None:
    pair = make_pair(architecture=architecture)
    layout = Layout(pair.tokenizer)
    contexts = [layout.soft(text) if soft else layout.hard(text, "Be brave") for text in TEXTS]
    prompt = torch.randn(3, 32, generator=torch.Generator().manual_seed(0)) if soft else None

    def values(rows: list[int]) -> dict[int, torch.Tensor]:
        chosen = [ANSWERS[row] for row in rows]
        states = response_states(pair.model_2, [contexts[row] for row in rows], chosen, prompt)
        parts = pair.model_2.log_probs(states).split([len(answer) for answer in chosen])
        return dict(zip(rows, parts, strict=True))

    with torch.no_grad():
        together, reordered, two = values([0, 1, 2]), values([2, 1, 0]), values([1, 2])
        for row in range(3):
            alone = values([row])[row]
            for batch in (together, reordered, two):
                if row in batch:
                    assert (batch[row] - alone).abs().max() < 1e-4


def test_values_are_those_of_a_plain_forward_pass(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    context = Layout(pair.tokenizer).hard(TEXTS[1], "Be brave")
    got = log_likelihood(pair.model_1, [context], [ANSWERS[2]])
    ids = torch.tensor([[*context.before, *ANSWERS[2]]])
    with torch.no_grad():
        logits = pair.model_1.model(input_ids=ids).logits.log_softmax(-1)[0]
    first = len(context.before) - 1
    expected = [float(logits[first + i, token]) for i, token in enumerate(ANSWERS[2])]
    assert got.tolist() == pytest.approx(expected, abs=1e-4)


def test_soft_tokens_that_are_embeddings_equal_the_text(
    make_pair: Callable[..., ModelPair],
) -> None:
    pair = make_pair()
    layout = Layout(pair.tokenizer)
    ids = layout.encode("Tell me the truth")
    assert layout.retokenises(ids, TEXTS[0])
    prompt = pair.model_1.embed(torch.tensor(ids))
    soft = response_states(pair.model_1, [layout.soft(TEXTS[0])], [ANSWERS[0]], prompt)
    hard = response_states(pair.model_1, [layout.hard(TEXTS[0], "Tell me the truth")], [ANSWERS[0]])
    assert (soft - hard).abs().max() < 1e-4


@pytest.mark.parametrize("before", [(5, 9, 33, 8), ()])
@pytest.mark.parametrize("keeps_cache", [True, False])
def test_a_prompt_is_predicted_as_in_a_plain_forward_pass(
    make_pair: Callable[..., ModelPair], before: tuple[int, ...], keeps_cache: bool
) -> None:
    model = make_pair().model_1
    model.keeps_cache = keeps_cache
    ids = torch.tensor([[*before, 11, 300, 42]])
    soft = model.embed(ids[0, -3:]).detach().requires_grad_(True)
    got = model.log_probs(prompt_states(model, before, soft))
    with torch.no_grad():
        expected = model.model(input_ids=ids).logits.log_softmax(-1)[0, :-1][-3:]
    assert len(got) == (3 if before else 2)
    assert (got - expected).abs().max() < 1e-4
    got.sum().backward()
    assert soft.grad is not None and bool((soft.grad[:-1].abs().sum(dim=1) > 0).all())


def test_gradients_reach_the_prompt_and_no_parameter(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    layout = Layout(pair.tokenizer)
    prompt = torch.nn.Parameter(torch.randn(3, 32))
    states = both_states(pair, [layout.soft(t) for t in TEXTS], ANSWERS, prompt)
    sum(state.square().sum() for state in states).backward()  # type: ignore[union-attr]
    assert prompt.grad is not None
    assert bool((prompt.grad.abs().sum(dim=1) > 0).all())
    for wrapper in (pair.model_1, pair.model_2):
        assert all(p.grad is None for p in wrapper.model.parameters())


def test_targets_follow_the_rows() -> None:
    tokens, owners = targets_of(ANSWERS, torch.device("cpu"))
    assert tokens.tolist() == [11, 300, 42, 7, 99, 98, 97, 96, 95, 400]
    assert owners.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 2, 2]


def test_the_common_prefix_leaves_each_row_a_position() -> None:
    assert common_prefix([Context((1, 2, 3)), Context((1, 2, 4))]) == (1, 2)
    assert common_prefix([Context((1, 2)), Context((1, 2))]) == (1,)
    assert common_prefix([Context((1, 2), (3,), True)]) == (1, 2)
    assert common_prefix([Context((1,)), Context((2,))]) == ()


@pytest.mark.parametrize("pad_left", [True, False])
def test_position_ids_skip_the_padding(make_pair: Callable[..., ModelPair], pad_left: bool) -> None:
    pair = make_pair()
    contexts = [Context((9, 1, 2)), Context((9, 3, 4, 5, 6))]
    batch = assemble(pair.model_1, contexts, pad_left=pad_left)
    assert batch.prefix_length == 1
    assert batch.lengths.tolist() == [2, 4]
    assert batch.mask.tolist()[1] == [1] * 5
    assert batch.mask.tolist()[0] == ([1, 0, 0, 1, 1] if pad_left else [1, 1, 1, 0, 0])
    real = batch.mask[0, 1:].bool()
    assert batch.positions[0][real].tolist() == [1, 2]


def test_a_slot_needs_a_prompt(make_pair: Callable[..., ModelPair]) -> None:
    pair = make_pair()
    with pytest.raises(ValueError, match="needs a soft prompt"):
        assemble(pair.model_1, [Layout(pair.tokenizer).soft("Hi")], pad_left=True)


SIXTEEN: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 16},
    "llama4_text": {
        "attention_chunk_size": 16,
        "layer_types": ["chunked_attention", "full_attention"],
        "num_local_experts": 2,
    },
}
"""Layers that see sixteen positions: the last ones, or those of a chunk."""


@pytest.mark.parametrize("kind", SIXTEEN)
@pytest.mark.parametrize("shared", [15, 16, 40])
def test_a_shared_prefix_may_be_longer_than_a_layers_window(kind: str, shared: int) -> None:
    small = dict.fromkeys(("hidden_size", "intermediate_size", "intermediate_size_mlp"), 32)
    config = AutoConfig.for_model(
        kind,
        **small,
        **(SIXTEEN[kind] | {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 512}),
        head_dim=8,
        num_key_value_heads=2,
        initializer_range=0.2,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    wrapper = ModelWrapper("model", model, tiny_tokenizer(512, True), Ledger())
    picked = torch.randint(5, 500, (shared + 80,), generator=torch.Generator().manual_seed(1))
    ids = picked.tolist()
    rows = [[*ids[:shared], *ids[shared + n : shared + 2 * n]] for n in (5, 9, 30)]
    answers = [ids[:3], ids[3:6], ids[6:9]]
    contexts = [Context(before=tuple(row)) for row in rows]
    found = wrapper.log_probs(response_states(wrapper, contexts, answers)).split(3)
    for row, answer, ours in zip(rows, answers, found, strict=True):
        whole = wrapper.model(input_ids=torch.tensor([[*row, *answer]])).logits[
            0, len(row) - 1 : -1
        ]
        assert torch.allclose(ours, whole.log_softmax(-1), atol=1e-4)
