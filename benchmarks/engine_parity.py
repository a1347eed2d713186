"""Loss trajectories of torch and DeepSpeed ZeRO 0-3 on one and two CPU ranks, the same batches.

    python benchmarks/engine_parity.py

Every training takes 20 AdamW steps in fp32 on a pair of tiny random models, three micro-batches
of two texts a step, which two ranks cut as 2 + 1 and 2 + 1. The
reference is torch on one rank. Fails if a loss differs from it by more than 1e-6.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from result_file import write_result

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.config.load import ExperimentConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import Split
from softdiv.pair.manager import ModelPair
from softdiv.plugin.hookspecs import hookimpl
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import Example
from softdiv.training.trainer import DivergenceTrainer

STEPS, LIMIT = 20, 1e-6
ENGINES = ("torch", *(f"deepspeed ZeRO {stage}" for stage in range(4)))


class Losses:
    def __init__(self) -> None:
        self.values: list[float] = []

    @hookimpl
    def softdiv_step_end(self, event):
        self.values.append(event.metrics["loss"])


def trajectory(engine: str) -> list[float]:
    texts = sorted(user_texts(), key=lambda row: len(row[1]))[:24]
    examples = tuple(Example(id=i, text=t, category=c) for i, t, c in texts)
    split = Split(train=examples[:12], val=examples[12:18], test=examples[18:])
    name, _, stage = engine.partition(" ZeRO ")
    config = ExperimentConfig.from_dict(
        {
            "seed": 3,
            "training": {
                "num_soft_prompt_tokens": 4,
                "batch_size": 2,
                "gradient_accumulation_steps": 3,
                "max_steps": STEPS,
                "num_epochs": 100,
                "schedule": "cosine",
                "validate_every": STEPS,
                "engine": {"name": name, "zero_stage": int(stage or 0)},
            },
        }
    )
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.05).load("cpu")
    losses = Losses()
    trainer = DivergenceTrainer(
        ModelPair.of(model_1, model_2, tokenizer),
        config,
        JsdLoss(),
        split,
        observers=Observers.of([(losses, "'losses'")]),
    )
    assert trainer.train().engine == name
    assert len(losses.values) == STEPS
    return losses.values


def measure(ranks: int, folder: Path) -> dict[str, list[float]]:
    out = folder / f"{ranks}.json"
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", str(out)]
    if ranks > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        command = [sys.executable, *launcher, str(ranks), *command[1:]]
    subprocess.run(command, check=True, timeout=600)
    return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.worker is not None:
        found = {engine: trajectory(engine) for engine in ENGINES}
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            arguments.worker.write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {ranks: measure(ranks, Path(folder)) for ranks in (1, 2)}
    reference = found[1]["torch"]
    table = []
    for ranks, losses in found.items():
        for engine in ENGINES:
            far = max(abs(a - b) for a, b in zip(losses[engine], reference, strict=True))
            row = {"ranks": ranks, "engine": engine, "max_loss_difference": far}
            table.append({**row, "losses": losses[engine]})
            print(f"{ranks} rank(s)  {engine:<18} max |loss - reference| = {far:.2e}")
    worst = max(row["max_loss_difference"] for row in table)
    print(f"largest: {worst:.2e} (limit {LIMIT:.0e})")
    settings, summary = {"steps": STEPS, "limit": LIMIT}, {"max_loss_difference": worst}
    print(write_result("engine_parity", settings=settings, summary=summary, rows=table))
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
