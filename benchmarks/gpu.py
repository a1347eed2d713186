"""What only a GPU shows: number formats, bitsandbytes, ZeRO, sharding, a pair of a billion weights.

    make gpu        (python benchmarks/gpu.py)

All models are random, so nothing is downloaded. Every case takes a few training steps and compares
the gradient of its first one with that of the same pair in fp32. Without a GPU it says so and ends;
``--device cpu`` runs the small cases there, to try the benchmark itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from result_file import write_result

from softdiv import hookimpl
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.component import LoaderConfig
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import PairConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import Split
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.plugin.events import TrainEvent
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import Example
from softdiv.ranks.group import join, leave
from softdiv.training.trainer import DivergenceTrainer

STEPS = 10
SIZES = {
    "small": {"hidden_size": 256, "layers": 4},
    "billion": {"hidden_size": 2048, "layers": 30, "vocab_size": 2048},
}
BF16, FP16 = {"dtype": "bfloat16"}, {"dtype": "float16"}
FORMATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fp32": ({}, {}),
    "bf16": (BF16, BF16),
    "fp16": (FP16, FP16),
    "fp32, bf16 autocast": ({}, {}),
    "fp32, fp16 autocast": ({}, {}),
    "bitsandbytes int8": (FP16, {**FP16, "quantize": "bnb-int8"}),
    "bitsandbytes nf4": (BF16, {**BF16, "quantize": "bnb-nf4"}),
}
AUTOCAST = {
    f"fp32, {kind} autocast": {"mixed_precision": True, "autocast": kind}
    for kind in ("bf16", "fp16")
}
ENGINES = (("torch", 0), *(("deepspeed", stage) for stage in range(4)))


def write_models(folder: Path, size: str, dtype: torch.dtype) -> None:
    """Folders ``base`` and ``other``: random weights, a little apart."""
    for name, noise in (("base", 0.0), ("other", 0.01)):
        model, tokenizer = TinyLoader(noise=noise, scale=0.04, **SIZES[size]).load("cpu")
        model.to(dtype).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


def load(folder: Path, options: tuple[dict[str, Any], dict[str, Any]], device: str) -> ModelPair:
    tables = [
        LoaderConfig("hf", {"path": str(folder / name), **own})
        for name, own in zip(("base", "other"), options, strict=True)
    ]
    shard = join(device).world > 1
    pair = PairConfig(model_1=tables[0], model_2=tables[1])
    return ModelPairManager(pair, device=device, shard=shard).load()


class Watcher:
    """The first gradient, and every step's loss and timings."""

    def __init__(self) -> None:
        self.gradient = torch.empty(0)
        self.losses: list[float] = []
        self.timings: list[Mapping[str, float]] = []

    @hookimpl
    def softdiv_gradient_ready(self, event: TrainEvent) -> None:
        if not len(self.gradient):
            assert event.prompt.grad is not None
            self.gradient = event.prompt.grad.flatten().double()

    @hookimpl
    def softdiv_step_end(self, event: TrainEvent) -> None:
        self.losses.append(event.metrics["loss"])
        self.timings.append(event.timings)


def train(pair: ModelPair, training: dict[str, Any]) -> tuple[dict[str, Any], Watcher]:
    """``STEPS`` steps: loss before and after, speed, peak memory."""
    examples = tuple(Example(id=i, text=t, category=c) for i, t, c in user_texts()[:64])
    table = {"batch_size": 8, "max_steps": STEPS, "num_epochs": 100, "response_tokens": 32}
    table |= {"validate_every": STEPS, "warmup_steps": 0, "gradient_clip": 0.0, **training}
    config = ExperimentConfig.from_dict({"training": table})
    if pair.model_1.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    watcher = Watcher()
    DivergenceTrainer(
        pair,
        config,
        split=Split(train=examples[:48], val=examples[48:], test=()),
        observers=Observers.of([(watcher, "'gpu benchmark'")]),
    ).train()
    usual = watcher.timings[1:]  # the first step also draws the first answers and warms up
    checks = pair.self_checks
    return {
        "self_check_nats": max(check.difference for check in checks),
        "self_check_gradient": max(check.gradient_error for check in checks),
        "first_loss": watcher.losses[0],
        "last_loss": watcher.losses[-1],
        "finite": all(map(math.isfinite, watcher.losses)),
        "step_seconds": statistics.median(t["seconds"] for t in usual),
        "tokens_per_s": statistics.median(t["tokens_per_s"] for t in usual),
        "peak_gib": max(t["peak_memory_gib"] for t in usual),
    }, watcher


def cases(folder: Path, device: str) -> Iterator[dict[str, Any]]:
    """Small pairs: formats, then engines. The cosine is with the fp32 gradient of the same pair."""
    write_models(folder / "small", "small", torch.float32)
    reference = torch.empty(0)
    for name, options in FORMATS.items():
        if name.startswith("bitsandbytes") and device == "cpu":
            continue
        pair = load(folder / "small", options, device)
        row, watcher = train(pair, AUTOCAST.get(name, {}))
        reference = watcher.gradient if name == "fp32" else reference
        cosine = torch.cosine_similarity(reference, watcher.gradient, dim=0)
        yield {"case": name, **row, "gradient_cosine": float(cosine)}
    first: list[float] = []
    for engine, stage in ENGINES:
        pair = load(folder / "small", FORMATS["fp32"], device)
        row, watcher = train(pair, {"engine": {"name": engine, "zero_stage": stage}})
        first = first or watcher.losses
        far = max(abs(a - b) for a, b in zip(first, watcher.losses, strict=True))
        name = engine if engine == "torch" else f"{engine} ZeRO {stage}"
        yield {"case": f"engine {name}", **row, "max_loss_difference": far}


def large(folder: Path, device: str) -> Iterator[dict[str, Any]]:
    """Two bfloat16 models of more than a billion weights each."""
    write_models(folder / "billion", "billion", torch.bfloat16)
    for recompute in (False, True):
        start = time.perf_counter()
        pair = load(folder / "billion", FORMATS["bf16"], device)
        seconds = time.perf_counter() - start
        weights = sum(p.numel() for p in pair.model_1.model.parameters())
        row, _ = train(pair, {"gradient_checkpointing": recompute})
        name = "billion, checkpointing" if recompute else "billion"
        yield {"case": name, **row, "load_seconds": seconds, "weights_of_a_model": weights}
        del pair


def sharded(folder: Path) -> dict[str, Any]:
    """The billion pair's layers spread over all GPUs by ZeRO-3, one process each."""
    count = torch.cuda.device_count()
    if count < 2:
        return {"case": "sharded", "not_run": f"needs 2 GPUs, this machine has {count}"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    command = [sys.executable, *launcher, __file__, "--rank-of", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"case": f"sharded over {count}", **json.loads(done.stdout.splitlines()[-1])}


def one_rank(folder: Path) -> None:
    """One process of :func:`sharded`; the first prints the row."""
    ranks = join("cuda")
    row, _ = train(load(folder / "billion", FORMATS["bf16"], "cuda"), {})
    if ranks.first:
        print(json.dumps(row))
    leave()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rank-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank_of is not None:
        return one_rank(options.rank_of)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here (torch.cuda.is_available() is false): nothing was run")
        return None
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), cases(Path(name), options.device)
        if options.device == "cuda":
            found = itertools.chain(found, large(folder, "cuda"), (sharded(folder) for _ in "1"))
        for row in found:
            rows.append(row)
            print(
                "  ".join(
                    f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
                ),
                flush=True,
            )
    if options.device == "cpu":
        return None
    summary = {
        f"{row['case']}.{key}": row[key]
        for row in rows
        for key in (
            "gradient_cosine",
            "max_loss_difference",
            "self_check_nats",
            "self_check_gradient",
            "tokens_per_s",
            "peak_gib",
        )
        if key in row
    }
    machine = {"gpu": torch.cuda.get_device_name(), "gpus": torch.cuda.device_count()}
    settings = {"steps": STEPS, "sizes": SIZES}
    print(write_result("gpu", settings=settings, summary=summary, rows=rows, machine=machine))
    return None


if __name__ == "__main__":
    main()
