"""Pairs that are not twins: each works and is tested, or is refused before any work."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tokenizers import AddedToken
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.divergence.chunked import row_values
from softdiv.divergence.rollouts import FROM_MODEL_2, rollout
from softdiv.errors import PairError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.teacher_forcing import both_states, targets_of

ANSWER = [40, 41, 42]


def tiny(**options: Any) -> tuple[Any, Any]:
    model, tokenizer = TinyLoader(**options).load("cpu")
    return model, copy.deepcopy(tokenizer)  # the loader hands out one tokenizer to everyone


def trains_and_decodes(pair: ModelPair) -> None:
    """The gradient is finite and not zero; answers hold ids below V only."""
    layout = Layout(pair.tokenizer, "user_start")
    soft = pair.model_1.embedding_table[:4].detach().float().clone().requires_grad_()
    states = both_states(pair, [layout.soft("Hello there.")], [ANSWER], soft)
    targets, owners = targets_of([ANSWER], soft.device)
    row_values(JsdLoss(), pair.model_1, pair.model_2, *states, targets, owners).mean().backward()
    assert soft.grad is not None
    assert bool(soft.grad.isfinite().all())
    assert float(soft.grad.abs().max()) > 0
    found = rollout(
        pair,
        [layout.hard("Hello there.")],
        weights=[FROM_MODEL_2],
        uniforms=uniform_rows(["a"], 0, 8),
        sampling=Sampling(temperature=2.0, top_p=1.0),
    )
    assert int(found.ids.max()) < pair.report.vocab_size


@pytest.mark.parametrize(("rows_1", "rows_2"), [(512, 576), (640, 576), (576, 576)])
def test_padding_rows_get_no_probability(rows_1: int, rows_2: int) -> None:
    (model_1, tokenizer), (model_2, _) = tiny(), tiny(noise=0.05)
    plain = ModelPair.of(copy.deepcopy(model_1), copy.deepcopy(model_2), tokenizer)
    for model, rows in ((model_1, rows_1), (model_2, rows_2)):
        model.resize_token_embeddings(rows, mean_resizing=False)
        with torch.no_grad():  # padding rows of real models are not zero either
            model.get_output_embeddings().weight[512:] += 3.0
    padded = ModelPair.of(model_1, model_2, tokenizer)
    assert padded.report.vocab_size == len(tokenizer) == 512
    states = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    for one, two in ((plain.model_1, padded.model_1), (plain.model_2, padded.model_2)):
        assert torch.allclose(one.log_probs(states), two.log_probs(states), atol=1e-5)
    trains_and_decodes(padded)


def test_special_tokens_that_one_model_has_more() -> None:
    (model_1, tokenizer_1), (model_2, tokenizer_2) = tiny(), tiny(noise=0.05)
    tokenizer_2.add_tokens([AddedToken("<pad>", special=True)])
    model_2.resize_token_embeddings(513, mean_resizing=False)
    pair = ModelPair.of(model_1, model_2, tokenizer_1, tokenizer_2)
    assert pair.report.vocab_size == 512
    assert any("512 is nothing in model_1 and '<pad>' in model_2" in n for n in pair.report.notes)
    trains_and_decodes(pair)


def test_a_special_token_without_a_row_in_the_head_is_noted() -> None:
    """Gemma 3's text models: the tokenizer knows an image token, the head does not."""
    (model_1, tokenizer), (model_2, _) = tiny(), tiny(noise=0.05)
    tokenizer.add_tokens([AddedToken("<image>", special=True)])
    pair = ModelPair.of(model_1, model_2, tokenizer)
    assert pair.report.vocab_size == 512
    assert any("without a row in the head: <image>" in note for note in pair.report.notes)


def test_a_chat_format_that_model_2_lacks_is_refused() -> None:
    (model_1, tokenizer_1), (model_2, tokenizer_2) = tiny(), tiny(noise=0.05)
    tokenizer_1.add_tokens([AddedToken("<|turn|>", special=True)])
    tokenizer_1.chat_template = "<|turn|>" + tokenizer_1.chat_template
    model_1.resize_token_embeddings(513, mean_resizing=False)
    with pytest.raises(PairError, match=r"template or the end of a turn needs '<\|turn\|>'"):
        ModelPair.of(model_1, model_2, tokenizer_1, tokenizer_2)


def test_ordinary_tokens_must_be_shared() -> None:
    (model_1, tokenizer_1), (model_2, _) = tiny(), tiny(noise=0.05)
    _, tokenizer_2 = tiny(vocab_size=500)
    with pytest.raises(PairError, match="the tokenizers differ in 12 of 512 tokens") as caught:
        ModelPair.of(model_1, model_2, tokenizer_1, tokenizer_2)
    assert "share a tokenizer" in caught.value.fix


def test_a_head_smaller_than_the_tokenizer_is_refused() -> None:
    _, tokenizer = tiny()
    (model_1, _), (model_2, _) = tiny(vocab_size=500), tiny(vocab_size=500, noise=0.05)
    with pytest.raises(PairError, match="the smaller head has 500 rows, the tokenizer 512"):
        ModelPair.of(model_1, model_2, tokenizer)


def config(kind: type, **options: Any) -> Any:
    common = {"vocab_size": 512, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.2}
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 64,
        "max_position_embeddings": 512,
    }
    if kind is GPT2Config:
        shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
    return kind(**{**common, **shape, **options})


def random_model(kind: type, seed: int, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(
            config(kind, **options), attn_implementation="eager"
        )


def test_tied_and_untied_heads() -> None:
    _, tokenizer = tiny()
    models = [random_model(LlamaConfig, 1, tie_word_embeddings=tied) for tied in (True, False)]
    pair = ModelPair.of(*models, tokenizer)
    assert any("tied and untied" in note for note in pair.report.notes)
    trains_and_decodes(pair)


def test_two_architectures_of_one_size() -> None:
    _, tokenizer = tiny()
    pair = ModelPair.of(
        random_model(LlamaConfig, 1),
        random_model(GPT2Config, 2, tie_word_embeddings=True),
        tokenizer,
    )
    trains_and_decodes(pair)


def test_soft_capped_logits_are_the_models_own() -> None:
    _, tokenizer = tiny()
    cap = 2.0
    models = [
        random_model(
            Gemma2Config, seed, final_logit_softcapping=cap, sliding_window=512, pad_token_id=1
        )
        for seed in (1, 2)
    ]
    pair = ModelPair.of(*models, tokenizer)
    ids = torch.tensor([[5, 6, 7, 8]])
    for wrapper in (pair.model_1, pair.model_2):
        theirs = wrapper.model(input_ids=ids).logits.log_softmax(-1)
        states = wrapper.hidden(wrapper.embed(ids), torch.ones_like(ids), torch.arange(4)[None])
        assert torch.allclose(wrapper.log_probs(states), theirs, atol=1e-5)
        assert float(wrapper.head(states).abs().max()) <= cap
    trains_and_decodes(pair)


def test_hidden_sizes_that_differ_are_refused() -> None:
    (model_1, tokenizer), (model_2, _) = tiny(), tiny(hidden_size=48)
    with pytest.raises(PairError, match="hidden sizes differ: 32 and 48") as caught:
        ModelPair.of(model_1, model_2, tokenizer)
    assert caught.value.why
    assert caught.value.fix
