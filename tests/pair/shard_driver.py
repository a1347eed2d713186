"""One rank of two that hold a pair in shards: everything it computes, against the whole pair.

Run by test_sharding.py under torchrun; writes ``rank0.json`` and ``rank1.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.component import LoaderConfig
from softdiv.config.schema import PairConfig
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, rollout
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.plugin.registry import Registry
from softdiv.ranks.group import join, leave
from softdiv.training.probe import probe_gradient

TEXTS = ["Hello there.", "What do you think of the sea?", "Name three birds, please.", "Why?"]


def registry() -> Registry:
    made = Registry()
    made.add("models", "tiny", TinyLoader, "'loaders'")
    made.add("models", "hf", HfLoader, "'loaders'")
    return made


def answers(pair: ModelPair, texts: list[str], length: int) -> dict[str, list]:
    layout = Layout(pair.tokenizer, "user_start")
    found = rollout(
        pair,
        [layout.hard(text) for text in texts],
        weights=[(FROM_MODEL_1, FROM_MODEL_2)[n % 2] for n in range(len(texts))],
        uniforms=uniform_rows(texts, 0, length),
        sampling=Sampling(temperature=1.0, top_p=1.0),
    )
    return {"ids": found.ids.tolist(), "bits": found.bits.tolist()}


def local(pair: ModelPair) -> int:
    """Weights of the decoder layers that this rank holds, both models, shared ones once."""
    parts = {}
    for wrapper in (pair.model_1, pair.model_2):
        for name, parameter in wrapper.model.named_parameters():
            if ".layers." in name or ".h." in name:
                part = getattr(parameter, "ds_tensor", parameter)
                parts[part.data_ptr()] = part.numel()
    return sum(parts.values())


def compare(config: PairConfig, rank: int) -> dict[str, object]:
    whole = ModelPairManager(config, registry(), "cpu").load()
    shards = ModelPairManager(config, registry(), "cpu", shard=True).load()
    lockstep = shards.lockstep
    assert lockstep is not None
    # ranks have different amounts of different work: as in training, and then on rank 0 alone
    mine, length = (TEXTS[:1], 3) if rank else (TEXTS, 9)
    found: dict[str, object] = {}
    for name, pair in (("whole", whole), ("shards", shards)):
        found[name] = {**answers(pair, mine, length), **gradients(pair, passes=1 + rank)}
    lockstep.settle()
    if not rank:
        found["alone"] = [answers(pair, TEXTS, 5) for pair in (whole, shards)]
    lockstep.settle()
    return {
        **found,
        "held": [local(whole), local(shards)],
        "identical": [whole.report.identical, shards.report.identical],
    }


def gradients(pair: ModelPair, passes: int) -> dict[str, object]:
    probes = [probe_gradient(pair) for _ in range(passes)]
    return {"norms": [probe.norm for probe in probes], "leaks": [list(p.leaks) for p in probes]}


def cut_short(config: PairConfig, rank: int) -> dict[str, object]:
    """A forward pass that fails in its second layer on rank 0, and the next one."""
    pair = ModelPairManager(config, registry(), "cpu", shard=True).load()
    assert pair.lockstep is not None
    if rank:
        pair.lockstep.settle()
        return {}
    layer = pair.model_1.model.base_model.layers[1]
    plain = layer.mlp.forward

    def fails(*args: object, **kwargs: object) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    layer.mlp.forward = fails
    try:
        answers(pair, TEXTS, 3)
        caught = ""
    except RuntimeError as error:
        caught = str(error)
    layer.mlp.forward = plain
    after = answers(pair, TEXTS, 3)
    pair.lockstep.settle()
    whole = ModelPairManager(config, registry(), "cpu").load()
    return {"caught": caught, "after": after, "whole": answers(whole, TEXTS, 3)}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    ranks = join("cpu")
    base = {"path": str(folder / "base")}
    pairs = {
        "tiny": (LoaderConfig("tiny"), LoaderConfig("tiny", {"noise": 0.05})),
        "gpt2": tuple(
            LoaderConfig("tiny", {"architecture": "gpt2", "noise": noise}) for noise in (0.0, 0.05)
        ),
        "folders": (LoaderConfig("hf", base), LoaderConfig("hf", {"path": str(folder / "tuned")})),
        "bfloat16": tuple(
            LoaderConfig("hf", {"path": str(folder / name), "dtype": "bfloat16"})
            for name in ("base", "tuned")
        ),
        "adapter": (
            LoaderConfig("hf", base),
            LoaderConfig("hf", {**base, "adapter": str(folder / "adapter")}),
        ),
        "rounded": (LoaderConfig("hf", base), LoaderConfig("hf", {**base, "quantize": "int4"})),
        "itself": (LoaderConfig("hf", base), LoaderConfig("hf", base)),
    }
    found: dict[str, object] = {}
    for name, (first, second) in pairs.items():
        found[name] = compare(PairConfig(model_1=first, model_2=second), ranks.rank)
    first, second = pairs["folders"]
    found["cut short"] = cut_short(PairConfig(model_1=first, model_2=second), ranks.rank)
    (folder / f"rank{ranks.rank}.json").write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
