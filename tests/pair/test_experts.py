"""LoRA on the experts of a mixture: the right sum, and gradients that agree with differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from softdiv.errors import PairError
from softdiv.pair.adapter import opened
from softdiv.pair.lora import attach_adapter
from softdiv.pair.unchanged import fingerprint
from tests.pair.adapters import logits, lora, make, plain, sharing

pytestmark = pytest.mark.filterwarnings("ignore")  # peft's, about options it is given here

R, ALPHA = 2, 4
KINDS = {
    "mixtral": ("block_sparse_moe.experts", {"w1": (48, 32), "w3": (48, 32), "w2": (32, 48)}),
    "qwen3_moe": (
        "mlp.experts",
        {"gate_proj": (48, 32), "up_proj": (48, 32), "down_proj": (32, 48)},
    ),
}


def mixture(kind: str) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=512,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        moe_intermediate_size=48,
        initializer_range=0.2,
        num_local_experts=3,
        num_experts=3,
        num_experts_per_tok=2,
    )
    return AutoModelForCausalLM.from_config(config).eval()


def adapter(folder: Path, kind: str) -> Path:
    """As peft wrote it for transformers 4, one pair of factors for each expert."""
    inside, shapes = KINDS[kind]
    torch.manual_seed(1)
    held = {}
    for layer in range(2):
        for expert in range(3):
            for name, (out, into) in shapes.items():
                key = f"base_model.model.model.layers.{layer}.{inside}.{expert}.{name}"
                held[f"{key}.lora_A.weight"] = torch.randn(R, into) * 0.3
                held[f"{key}.lora_B.weight"] = torch.randn(out, R) * 0.3
    folder.mkdir(exist_ok=True)
    save_file(held, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": R, "lora_alpha": ALPHA}
    config["target_modules"] = list(shapes)  # type: ignore[assignment]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def merged_by_hand(folder: Path, kind: str) -> Any:
    model = mixture(kind)
    held = load_file(folder / "adapter_model.safetensors")
    inside, shapes = KINDS[kind]
    first, second, down = shapes
    for layer in range(2):
        block = model.model.layers[layer].mlp.experts
        for expert in range(3):
            key = f"base_model.model.model.layers.{layer}.{inside}.{expert}"
            deltas = {
                name: ALPHA
                / R
                * held[f"{key}.{name}.lora_B.weight"]
                @ held[f"{key}.{name}.lora_A.weight"]
                for name in shapes
            }
            block.gate_up_proj.data[expert] += torch.cat([deltas[first], deltas[second]])
            block.down_proj.data[expert] += deltas[down]
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_the_experts_get_their_sums_and_their_gradients(tmp_path: Path, kind: str) -> None:
    folder = adapter(tmp_path, kind)
    assert not opened(str(folder)).keeps_base
    model_1 = mixture(kind)
    bits = fingerprint(model_1)
    mine = attach_adapter(sharing(model_1), str(folder)).requires_grad_(False)
    assert torch.allclose(logits(mine), logits(merged_by_hand(folder, kind)), atol=1e-4)
    assert not torch.allclose(logits(mine), logits(model_1), atol=1e-2)
    assert fingerprint(model_1) == bits

    direction = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(2))
    start = model_1.model.embed_tokens(torch.tensor([[3, 4, 5, 6, 7]])).detach()

    def difference(embeds: torch.Tensor) -> torch.Tensor:
        """Two passes before one backward pass, as in training."""
        one, two = (m(inputs_embeds=embeds).logits.log_softmax(-1) for m in (model_1, mine))
        return (one - two)[0, -1, 9] + mine(inputs_embeds=embeds).logits[0, 2, 3]

    embeds = start.clone().requires_grad_()
    difference(embeds).backward()
    assert embeds.grad is not None
    along = float((embeds.grad * direction).sum())
    with torch.no_grad():
        step = 1e-3
        ahead, behind = difference(start + step * direction), difference(start - step * direction)
    assert along == pytest.approx(float(ahead - behind) / (2 * step), rel=2e-2, abs=2e-2)


def test_parameters_that_the_adapter_names_itself(tmp_path: Path) -> None:
    named = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    config = lora(target_modules=["q_proj"], target_parameters=named)
    folder = make(tmp_path, config, mixture("qwen3_moe"))
    mine = attach_adapter(mixture("qwen3_moe"), str(folder))
    assert torch.allclose(logits(mine), logits(plain(folder, mixture("qwen3_moe"))), atol=1e-5)
    assert not any("ParamWrapper" in type(module).__name__ for module in mine.modules())


def test_an_expert_that_is_missing(tmp_path: Path) -> None:
    folder = adapter(tmp_path, "mixtral")
    file = folder / "adapter_model.safetensors"
    held = {n: t for n, t in load_file(file).items() if "layers.1" not in n or ".2.w" not in n}
    save_file(held, file, {"format": "pt"})
    with pytest.raises(PairError) as caught:
        attach_adapter(mixture("mixtral"), str(folder))
    assert "\n" not in str(caught.value)
