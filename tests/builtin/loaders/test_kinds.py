"""Causal language models, and the language model of those that see; all others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.kinds import auto_class
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.manager import ModelPair

TEXT = {
    "vocab_size": 512,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [1, 1, 2],
    },
}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("t5", {}, r"m \(t5\) is an encoder-decoder"),
        ("bart", {"architectures": ["BartForConditionalGeneration"]}, "is an encoder-decoder"),
        ("whisper", {}, "is an encoder-decoder"),
        ("t5gemma2", {}, "is an encoder-decoder"),
        ("bert", {"architectures": ["BertForMaskedLM"]}, "is an encoder: each token sees"),
        ("roberta", {}, "is an encoder: each token sees"),
        ("modernbert", {}, "is no causal language model"),
        ("clip", {}, "is no causal language model"),
        ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "is a LlamaForSequenceC"),
        ("llama", {"architectures": ["LlamaModel"]}, "is a LlamaModel, no causal"),
    ],
)
def test_what_writes_no_text_token_by_token(
    kind: str, options: dict[str, Any], message: str
) -> None:
    config = transformers.AutoConfig.for_model(kind, **options)
    with pytest.raises(PairError, match=rf"{message}.*\(compare decoder-only models"):
        auto_class(config, "m", [])


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("llama", {}, "AutoModelForCausalLM"),
        ("llama", {"architectures": ["SomebodysLM"]}, "AutoModelForCausalLM"),
        ("bert", {"is_decoder": True}, "AutoModelForCausalLM"),
        ("bart", {"architectures": ["BartForCausalLM"]}, "AutoModelForCausalLM"),
        ("gemma3_text", {}, "AutoModelForCausalLM"),
        ("qwen2_vl", {}, "AutoModelForImageTextToText"),
        ("llava", {}, "AutoModelForImageTextToText"),
        (
            "qwen3_5",
            {"architectures": ["Qwen3_5ForConditionalGeneration"]},
            "AutoModelForImageTextToText",
        ),
        ("qwen3_5", {"architectures": ["Qwen3_5ForCausalLM"]}, "AutoModelForCausalLM"),
    ],
)
def test_the_class_that_the_folder_names(kind: str, options: dict[str, Any], expected: str) -> None:
    notes: list[str] = []
    config = transformers.AutoConfig.for_model(kind, **options)
    assert auto_class(config, "m", notes).__name__ == expected
    assert bool(notes) == expected.endswith("Text")


def test_the_language_model_of_one_that_sees(tmp_path: Path) -> None:
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2}
    torch.manual_seed(0)
    config = transformers.Qwen2VLConfig(text_config=TEXT, vision_config=vision)
    whole = transformers.Qwen2VLForConditionalGeneration(config).eval()
    whole.save_pretrained(tmp_path)
    TinyLoader().load("cpu")[1].save_pretrained(tmp_path)
    loader = HfLoader(path=str(tmp_path))
    model, tokenizer = loader.load("cpu")
    assert loader.notes == ["it reads images too: its language model is compared, on text alone"]
    wrapper = ModelPair.of(model, model, tokenizer).model_1
    ids = torch.tensor([[3, 4, 5, 6]])
    with torch.no_grad():
        states = wrapper.hidden(wrapper.embed(ids), torch.ones_like(ids), torch.arange(4)[None])
        theirs = whole(input_ids=ids).logits.log_softmax(-1)
    assert torch.allclose(wrapper.log_probs(states), theirs, atol=1e-5)
