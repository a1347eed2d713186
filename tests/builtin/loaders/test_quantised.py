"""Folders that were quantised before: loaded as they are, or one line says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.manager import ModelPair
from tests.builtin.loaders.changes import write
from tests.pair.adapters import lora, make

bitsandbytes = pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.filterwarnings("ignore")  # bitsandbytes', about this machine


@pytest.fixture
def nf4(tmp_path: Path) -> Path:
    """As unsloth's folders named bnb-4bit are."""
    from transformers import BitsAndBytesConfig

    model, tokenizer = TinyLoader(hidden_size=64).load("cpu")
    model.save_pretrained(tmp_path / "plain")
    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    quantised = AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=settings, device_map="cpu"
    )
    quantised.save_pretrained(tmp_path / "nf4")
    tokenizer.save_pretrained(tmp_path / "nf4")
    return tmp_path / "nf4"


def layers(model: Any) -> list[Any]:
    kind = bitsandbytes.nn.Linear4bit
    return [module for module in model.modules() if isinstance(module, kind)]


def test_its_layers_never_repack_their_weights(nf4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On CPUs with AVX512-bf16 they would, and every gradient would be zero from then on."""
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: True)
    loader = HfLoader(path=str(nf4))
    model, tokenizer = loader.load("cpu")
    assert len(layers(model)) == 14 and loader.notes == []
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers(model))
    copied, _ = loader.load_beside(loader, model, tokenizer) or (None, None)
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers(copied))


def test_the_gradient_through_it_agrees_with_differences(nf4: Path) -> None:
    model, tokenizer = HfLoader(path=str(nf4)).load("cpu")
    ModelPair.of(model, model, tokenizer)  # passes in eval mode without gradients come first
    start = model.get_input_embeddings()(torch.tensor([[3, 4, 5, 6]])).detach()
    direction = torch.randn(start.shape, generator=torch.Generator().manual_seed(0))

    def value(embeds: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=embeds).logits.log_softmax(-1)[0, -1, 9]

    embeds = start.clone().requires_grad_()
    value(embeds).backward()
    assert embeds.grad is not None
    along = float((embeds.grad * direction).sum())
    with torch.no_grad():
        ahead, behind = value(start + 1e-2 * direction), value(start - 1e-2 * direction)
    assert along == pytest.approx(float(ahead - behind) / 2e-2, rel=0.05, abs=0.02)


def test_an_adapter_on_it_shares_it(nf4: Path) -> None:
    adapter = make(nf4.parent / "a", lora(), TinyLoader(hidden_size=64).load("cpu")[0])
    first = HfLoader(path=str(nf4))
    model, tokenizer = first.load("cpu")
    second = HfLoader(path=str(nf4), adapter=str(adapter))
    tuned, _ = second.load_beside(first, model, tokenizer) or (None, None)
    ids = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        assert not torch.allclose(tuned(ids).logits, model(ids).logits, atol=1e-3)
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers(tuned))


def test_it_is_not_rounded_once_more(nf4: Path) -> None:
    for kind in ("int8", "bnb-nf4"):
        with pytest.raises(PairError, match=r"is quantised already \(bitsandbytes\) .*leave quant"):
            HfLoader(path=str(nf4), quantize=kind).load("cpu")  # type: ignore[arg-type]


METHODS = {
    "gptq": {"bits": 4, "group_size": 128},
    "awq": {"bits": 4, "group_size": 128},
    "aqlm": {},
    "hqq": {},
    "compressed-tensors": {},
    "quanto": {"weights": "int8"},
    "vptq": {},
    "eetq": {},
    "no_such_method": {},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_whose_package_is_missing(folder: Path, method: str) -> None:
    settings = {"quant_method": method, **METHODS[method]}
    write(folder / "config.json", lambda table: table.update(quantization_config=settings))
    with pytest.raises(PairError) as caught:
        HfLoader(path=str(folder)).load("cpu")
    said = str(caught.value)
    assert "\n" not in said and said.startswith(str(folder)) and len(said) < 500


@pytest.mark.parametrize("settings", [3, "x", [], {}, {"load_in_4bit": "x"}, {"quant_method": 3}])
def test_settings_that_are_none(folder: Path, settings: Any) -> None:
    write(folder / "config.json", lambda table: table.update(quantization_config=settings))
    try:
        HfLoader(path=str(folder)).load("cpu")
    except PairError as error:
        assert "\n" not in str(error)
