"""Adapters are safetensors or refused; the shared base is untouched."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.errors import PairError
from softdiv.pair.lora import attach_adapter

pytestmark = pytest.mark.filterwarnings(
    # this test makes an adapter with peft itself, which reads a renamed attribute
    "ignore:`is_gradient_checkpointing`:FutureWarning"
)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    model, _ = TinyLoader().load("cpu")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_changes_the_model_and_keeps_the_base_tensors(adapter: Path) -> None:
    model, _ = TinyLoader().load("cpu")
    ids = torch.tensor([[3, 4, 5]])
    before = model(input_ids=ids).logits
    weights = {id(p) for p in model.parameters()}
    tuned = attach_adapter(model, str(adapter))
    assert weights <= {id(p) for p in tuned.parameters()}
    assert not torch.equal(tuned(input_ids=ids).logits, before)


def test_a_pickled_adapter_is_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(PairError, match="holds no adapter_model.safetensors"):
        attach_adapter(TinyLoader().load("cpu")[0], str(adapter))


def test_a_missing_folder_gets_a_suggestion(adapter: Path) -> None:
    with pytest.raises(PairError, match="did you mean 'adapter'"):
        attach_adapter(TinyLoader().load("cpu")[0], str(adapter.with_name("adaptre")))
