"""model_1 is bit for bit what it was, whatever model_2's adapter writes into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.component import LoaderConfig
from softdiv.config.schema import PairConfig
from softdiv.errors import PairError
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.pair.unchanged import fingerprint
from softdiv.plugin.registry import Registry
from tests.pair.adapters import base, logits, lora, make, plain, sharing

pytestmark = pytest.mark.filterwarnings("ignore")  # peft's, about options it is given here

WRITING: dict[str, dict[str, Any]] = {
    "PiSSA": {"init_lora_weights": "pissa"},
    "embeddings": {"target_modules": ["embed_tokens"]},
    "whole modules": {"modules_to_save": ["lm_head"]},
    "trainable tokens": {"trainable_token_indices": [5, 7]},
    "bias": {"bias": "all"},
}


def pair(folder: Path, second: dict[str, Any], registry: Registry | None = None) -> ModelPair:
    made = registry or Registry()
    made.add("models", "hf", HfLoader, "'loaders'", builtin=True)
    first = LoaderConfig("hf", {"path": str(folder)})
    config = PairConfig(model_1=first, model_2=LoaderConfig(second.pop("loader", "hf"), second))
    return ModelPairManager(config, made, "cpu").load()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.parametrize("kind", WRITING)
def test_adapters_that_write_into_their_base_load_their_own(folder: Path, kind: str) -> None:
    adapter = make(folder.parent / "a", lora(**WRITING[kind]))
    loaded = pair(folder, {"path": str(folder), "adapter": str(adapter)})
    model_1, model_2 = loaded.model_1.model, loaded.model_2.model
    assert fingerprint(model_1) == fingerprint(base())
    assert torch.allclose(logits(model_2), logits(plain(adapter)), atol=1e-5)
    own = {id(parameter) for parameter in model_1.parameters()}
    assert not own & {id(parameter) for parameter in model_2.parameters()}
    assert not loaded.report.identical


@pytest.mark.parametrize("merge", ["auto", "never"])
def test_a_plain_lora_shares_its_base(folder: Path, merge: str) -> None:
    adapter = make(folder.parent / "a", lora())
    loaded = pair(folder, {"path": str(folder), "adapter": str(adapter), "merge_adapter": merge})
    assert fingerprint(loaded.model_1.model) == fingerprint(base())
    held = {id(p) for p in loaded.model_2.model.parameters()}
    alone = {name for name, p in loaded.model_1.model.named_parameters() if id(p) not in held}
    merged = {n for n, _ in base().named_parameters() if n.endswith("q_proj.weight")}
    assert alone == (merged if merge == "auto" else set())


@attrs.frozen(kw_only=True)
class Careless:
    """Builds on the other's tensors and writes into one of them."""

    by: float

    def load(self, device: str) -> tuple[Any, Any]:
        raise AssertionError("not asked for")

    def load_beside(self, other: Any, model: Any, tokenizer: Any) -> tuple[Any, Any]:
        copied = sharing(model)
        copied.model.norm.weight.data[3] += self.by
        return copied, tokenizer


@pytest.mark.parametrize("by", [1e-6, 0.0])
def test_a_loader_that_writes_into_shared_tensors_is_refused(folder: Path, by: float) -> None:
    registry = Registry()
    registry.add("models", "careless", Careless, "'x' (x 1)")
    if not by:
        assert pair(folder, {"loader": "careless", "by": by}, registry).report.identical
        return
    with pytest.raises(PairError, match=r"changed 1 of model_1's tensors, e.g. model.norm.weight"):
        pair(folder, {"loader": "careless", "by": by}, registry)


def test_what_the_loader_noted_is_in_the_report(folder: Path) -> None:
    from tests.builtin.loaders.changes import store

    store(folder, lambda held: held.update({"v_head.weight": torch.ones(1, 32)}))
    loaded = pair(folder, {"path": f"{folder}/."})  # another path: loaded by itself
    assert "model_1 and model_2: 1 tensors of the file are not used, e.g. v_head.weight" in (
        loaded.report.notes
    )
    alone = pair(folder, {"loader": "tiny"}, _with_tiny())
    assert any(line.startswith("model_1: 1 tensors") for line in alone.report.notes)


def _with_tiny() -> Registry:
    registry = Registry()
    registry.add("models", "tiny", TinyLoader, "'loaders'", builtin=True)
    return registry
