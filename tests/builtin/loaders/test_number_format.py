"""``dtype = "auto"``: as stored where the device computes in it, float32 where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from softdiv.builtin.loaders.folder import ModelFolder
from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.number_format import gguf_format, number_format
from softdiv.storage.stranger import StoredTensor
from tests.pair.adapters import base, lora, make

FP32, BF16, FP16 = torch.float32, torch.bfloat16, torch.float16


def folder(*formats: str) -> ModelFolder:
    tensors = {f"t{n}": StoredTensor(Path("x"), f, (n + 1, 10)) for n, f in enumerate(formats)}
    return ModelFolder("m", Path("m"), {"torch_dtype": "bfloat16"}, tensors)


@pytest.mark.parametrize(
    ("stored", "bf16", "device", "expected"),
    [
        (("BF16",), True, "cpu", BF16),
        (("BF16",), False, "cpu", FP32),
        (("F16",), True, "cpu", FP32),  # bfloat16 would round it
        (("F32",), True, "cpu", FP32),
        (("F32", "BF16"), True, "cpu", BF16),  # most numbers are in the second
        (("I64", "F32"), True, "cpu", FP32),
        ((), True, "cpu", BF16),  # as the configuration says
        (("F16",), False, "cuda:0", FP16),
        (("BF16",), False, "cuda:0", BF16),
    ],
)
def test_auto(
    stored: tuple[str, ...],
    bf16: bool,
    device: str,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})
    assert number_format("auto", folder(*stored), device) == expected
    assert number_format("float16", folder(*stored), device) == FP16
    assert gguf_format("auto", "cpu") == (BF16 if bf16 else FP32)


@pytest.mark.parametrize("merge", ["auto", "never"])
def test_the_plan_counts_the_matrices_that_an_adapter_copies(tmp_path: Path, merge: str) -> None:
    base().save_pretrained(tmp_path / "m")
    tuned = make(tmp_path / "a", lora())
    one = HfLoader(path=str(tmp_path / "m"))
    two = HfLoader(path=str(tmp_path / "m"), adapter=str(tuned), merge_adapter=merge)  # type: ignore[arg-type]
    size = sum(p.nbytes for n, p in base().named_parameters() if "q_proj.weight" in n)
    assert two.weight_bytes(base().to("meta"), one) == (size if merge == "auto" else 0)
