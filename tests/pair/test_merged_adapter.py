"""A merged adapter computes what one beside its base does, in copies, where that is wise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from softdiv.pair.lora import attach_adapter, merge_adapter
from softdiv.pair.manager import ModelPair
from softdiv.pair.unchanged import fingerprint
from softdiv.pair.weight_change import matrix_changes
from tests.pair.adapters import base, logits, lora, make, sharing
from tests.pair.test_lora import LORAS, SHARED

pytestmark = pytest.mark.filterwarnings("ignore")  # peft's, about options it is given here


@pytest.mark.parametrize("kind", sorted(SHARED))
def test_the_sum_answers_as_peft_does_and_leaves_the_base_alone(tmp_path: Path, kind: str) -> None:
    model_1 = base()
    bits, before = fingerprint(model_1), logits(model_1)
    model_2 = attach_adapter(sharing(model_1), str(make(tmp_path, lora(**LORAS[kind]))))
    beside = logits(model_2)
    adapted = [name for name, _ in model_2.named_parameters() if "lora_" in name]
    assert merge_adapter(model_2, None, None) is None
    left = [name for name, _ in model_2.named_parameters() if "lora_" in name]
    assert bool(left) == (kind in ("DoRA", "bias of the factors"))
    assert adapted
    assert torch.allclose(logits(model_2), beside, atol=1e-5)
    assert not torch.allclose(beside, before, atol=1e-3)
    assert fingerprint(model_1) == bits
    own = {p.data_ptr() for p in model_1.parameters()}
    new = [name for name, p in model_2.named_parameters() if p.data_ptr() not in own]
    touched = {n.rpartition(".lora_")[0].rpartition(".")[2] for n in adapted}
    assert all(any(part in name for part in touched) for name in new)


def test_nothing_is_merged_without_room_for_copies(tmp_path: Path) -> None:
    model = attach_adapter(base(), str(make(tmp_path, lora())))
    size = sum(m.get_base_layer().weight.nbytes for m in model.modules() if hasattr(m, "lora_A"))
    assert "second copy" in str(merge_adapter(model, size - 1, None))
    assert any("lora_" in name for name, _ in model.named_parameters())
    assert merge_adapter(model, size, None) is None


@pytest.mark.parametrize(("scale", "kept"), [(1.0, True), (1e-3, False)])
def test_a_change_that_16_bits_round_away_stays_beside(
    tmp_path: Path, scale: float, kept: bool
) -> None:
    model = attach_adapter(base().bfloat16(), str(make(tmp_path, lora())))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.mul_(scale)
    why = merge_adapter(model, None, 0.2)
    assert (why is None) == kept, why
    assert kept or "rounding" in str(why)


def test_the_change_is_read_without_the_rounding_of_the_sum(tmp_path: Path) -> None:
    from softdiv.builtin.loaders.tiny import TinyLoader

    folder = str(make(tmp_path, lora()))
    pairs = []
    for merged in (False, True):
        model_1 = base().bfloat16()
        model_2 = attach_adapter(sharing(model_1), folder)
        if merged:
            merge_adapter(model_2, None, None)
        pairs.append(ModelPair.of(model_1, model_2, TinyLoader().load("cpu")[1]))
    beside, summed = (list(matrix_changes(pair)) for pair in pairs)
    assert [(c.layer, c.name, c.rows.shape) for c in beside] == [
        (c.layer, c.name, c.rows.shape) for c in summed
    ]
    for one, two in zip(beside, summed, strict=True):
        assert torch.equal(one.rows, two.rows)
