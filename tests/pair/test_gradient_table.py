"""Which pairs carry the gradient to the soft prompt, and how exactly: the table is printed.

The reference is written independently: float64 copies of both models with dequantised weights,
whole logits, JSD by its definition. Nothing of softdiv's forward passes is used in it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.config.component import LoaderConfig
from softdiv.config.schema import EngineConfig, PairConfig, TrainingConfig
from softdiv.divergence.chunked import row_values
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.pair.teacher_forcing import both_states, targets_of
from softdiv.plugin.registry import Registry
from softdiv.training.engine import make_engine
from softdiv.training.soft_prompt import DivergenceSoftPrompt
from tests.pair.adapters import lora, make

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

EXACT = 2e-4
"""fp32 rounding of a dozen layers against float64, relative."""
BF16 = 6e-2
"""bf16 keeps 8 bits: 4e-3 per operation, a few dozen in a row."""
INT8 = 0.12
"""LLM.int8 quantises activations too; the reference does not. Twice the error seen (5.3e-2)."""

ROUNDING = 1e-3
"""The prompt's numbers are a thousand times its gradient's; fp32 keeps 7 digits of the former."""

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "fp32": ({}, {"path": "other"}, EXACT),
    "bf16": ({"dtype": "bfloat16"}, {"dtype": "bfloat16", "path": "other"}, BF16),
    "fp32 and bf16": ({}, {"dtype": "bfloat16", "path": "other"}, BF16),
    "LoRA, shared base": ({}, {"adapter": "lora"}, EXACT),
    "LoRA, two copies": ({}, {"adapter": "lora", "device": "cpu"}, EXACT),
    "int8 rounding, shared base": ({}, {"quantize": "int8"}, EXACT),
    "int4 rounding, shared base": ({}, {"quantize": "int4"}, EXACT),
    # another model, not the same one in int8: the difference must outweigh rounded activations
    "bitsandbytes int8": ({}, {"path": "other", "quantize": "bnb-int8"}, INT8),
    "bitsandbytes nf4": ({}, {"quantize": "bnb-nf4"}, EXACT),
    "bitsandbytes fp4": ({}, {"quantize": "bnb-fp4"}, EXACT),
    "offloaded": ({}, {"path": "other", "offload": True}, EXACT),
}
ENGINES = (("torch", 0), ("deepspeed", 0), ("deepspeed", 2), ("deepspeed", 3))
TEXTS = ("How do I bake bread?", "Tell me about the sea, please.")
ANSWERS = ([40, 41, 42, 43, 44], [50, 51, 52])


@attrs.frozen
class Row:
    case: str
    engine: str
    shared: int
    error: float
    engine_error: float


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name, noise in (("base", 0.0), ("other", 0.05)):
        model, tokenizer = TinyLoader(hidden_size=64, noise=noise).load("cpu")
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    model, _ = HfLoader(path=str(root / "base")).load("cpu")
    make(root / "lora", lora(lora_alpha=8, target_modules=["q_proj", "v_proj"]), model)
    return root


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Any:
    """Collects the rows; prints them when the module is done."""
    rows: list[Row] = []
    yield rows
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n\ngradient of the soft prompt against a float64, dequantised reference")
        print(f"{'pair':<28}{'engine':<15}{'shared':>7}{'max error':>11}{'engine error':>14}")
        for row in rows:
            print(
                f"{row.case:<28}{row.engine:<15}{row.shared:>7}{row.error:>11.1e}"
                f"{row.engine_error:>14.1e}"
            )


@pytest.mark.parametrize("case", CASES)
def test_gradient_reaches_the_prompt_and_no_parameter(
    case: str, models: Path, table: list[Row]
) -> None:
    pair, tolerance = _pair(case, models), CASES[case][2]
    layout = Layout(pair.tokenizer, "user_start")
    config = TrainingConfig(num_soft_prompt_tokens=4)
    start = DivergenceSoftPrompt.create(pair.model_1, layout, config, seed=0)
    expected = _reference(case, models, layout, start.embeddings.detach().double())
    assert float(expected.norm()) > 1e-4, "a table of zeros would show nothing"
    for name, stage in ENGINES:
        prompt = start.copy_of(start.embeddings)
        settings = attrs.evolve(
            config,
            engine=EngineConfig(name=name, zero_stage=stage),  # type: ignore[arg-type]
            optimizer="sgd",
            learning_rate=1.0,
            warmup_steps=0,
            gradient_clip=0.0,
        )
        engine = make_engine(settings, prompt, 1)
        soft = engine.values().requires_grad_()
        (gradient,) = torch.autograd.grad(_loss(pair, layout, soft), soft)
        engine.step(gradient)
        moved = soft.detach() - engine.values()  # plain descent at rate 1 moves by the gradient
        error = float((gradient.double() - expected).abs().max() / expected.abs().max())
        engine_error = float((moved - gradient).abs().max() / gradient.abs().max())
        label = name if name == "torch" else f"{name} zero{stage}"
        table.append(Row(case, label, _shared(pair), error, engine_error))
        assert error < tolerance
        assert engine_error < ROUNDING
        for wrapper in (pair.model_1, pair.model_2):
            for name_, parameter in wrapper.model.named_parameters():
                assert parameter.grad is None, name_
                assert not parameter.requires_grad, name_
    assert (_shared(pair) > 0) == ("shared" in case)


def _pair(case: str, models: Path) -> ModelPair:
    registry = Registry()
    registry.add("models", "hf", HfLoader, "'loaders'")
    first, second = (LoaderConfig("hf", _located(options, models)) for options in CASES[case][:2])
    return ModelPairManager(PairConfig(model_1=first, model_2=second), registry, "cpu").load()


def _located(options: dict[str, Any], models: Path) -> dict[str, Any]:
    located = {"path": "base", **options}
    return {k: str(models / v) if k in ("path", "adapter") else v for k, v in located.items()}


def _shared(pair: ModelPair) -> int:
    """Tensors that both models hold as the same object."""
    first = {id(p) for p in pair.model_1.model.parameters()}
    return sum(id(p) in first for p in pair.model_2.model.parameters())


def _loss(pair: ModelPair, layout: Layout, soft: Tensor) -> Tensor:
    contexts = [layout.soft(text) for text in TEXTS]
    states = both_states(pair, contexts, ANSWERS, soft)
    targets, owners = targets_of(ANSWERS, soft.device)
    return row_values(
        JsdLoss(), pair.model_1, pair.model_2, *states, targets, owners, chunk=3
    ).mean()


def _reference(case: str, models: Path, layout: Layout, soft: Tensor) -> Tensor:
    """``[k, H]`` gradient of the mean JSD (bits), float64, from whole logits."""
    soft = soft.clone().requires_grad_()
    dense = [_dense(options, models) for options in CASES[case][:2]]
    logs = [_log_probs(model, layout, soft) for model in dense]
    middle = torch.logaddexp(logs[0], logs[1]) - torch.log(torch.tensor(2.0).double())
    bits = sum((log.exp() * (log - middle)).sum(-1) / 2 for log in logs) / torch.log(
        torch.tensor(2.0).double()
    )
    (gradient,) = torch.autograd.grad(bits.mean(), soft)  # type: ignore[union-attr]
    return gradient


def _log_probs(model: Any, layout: Layout, soft: Tensor) -> Tensor:
    rows = []
    embed = model.get_input_embeddings()
    for text, answer in zip(TEXTS, ANSWERS, strict=True):
        context = layout.soft(text)
        before, after = (
            embed(torch.tensor(ids)) for ids in (context.before, [*context.after, *answer])
        )
        logits = model(inputs_embeds=torch.cat([before, soft, after])[None]).logits[0]
        rows.append(logits[-len(answer) - 1 : -1].log_softmax(-1))
    return torch.cat(rows)


def _dense(options: dict[str, Any], models: Path) -> Any:
    located = _located({**options, "offload": False}, models)
    model, _ = HfLoader(**located).load("cpu")
    if str(options.get("quantize")).startswith("bnb"):
        model = model.dequantize(dtype=torch.float32)
    return copy.deepcopy(model).double().requires_grad_(False)
