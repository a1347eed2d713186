"""Peak memory of a LoRA pair: shared base or two copies, gradient checkpointing on or off.

Each case runs in a process of its own: a training step's forward and backward pass on SmolLM2
and the planted adapter, peak resident memory by the operating system.

    python benchmarks/memory.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

CASES = {
    "shared base": (True, False),
    "shared base, checkpointing": (True, True),
    "two copies": (False, False),
    "two copies, checkpointing": (False, True),
}
TEXTS, ANSWER_TOKENS = 16, 64


def measure(shared: bool, recompute: bool) -> dict[str, float]:
    """MiB before and at the peak of one step, in this process."""
    import torch

    from softdiv.components import Prepared
    from softdiv.config.load import ExperimentConfig
    from softdiv.config.shipped import config_path
    from softdiv.divergence.chunked import row_values
    from softdiv.divergence.kernels import jsd
    from softdiv.pair.manager import ModelPairManager
    from softdiv.pair.teacher_forcing import response_states, targets_of

    prepared = Prepared.of(ExperimentConfig.from_file(config_path("quickstart")))
    table = prepared.config.to_dict()["pair"]
    if not shared:  # an explicit device is another base than the default one: nothing is shared
        table["model_2"]["device"] = "cpu"
    pair_config = ExperimentConfig.from_dict({"pair": table}).pair
    pair = ModelPairManager(pair_config, prepared.registry, "cpu").load()
    layout = pair.layout()
    loaded = _resident()
    soft = pair.model_1.embedding_table[:6].detach().clone().requires_grad_()
    contexts = [layout.soft(f"Tell me something about the number {n}.") for n in range(TEXTS)]
    answers = [layout.encode(" word" * ANSWER_TOKENS)[:ANSWER_TOKENS]] * TEXTS
    states = [
        response_states(wrapper, contexts, answers, soft, recompute=recompute)
        for wrapper in (pair.model_1, pair.model_2)
    ]
    targets, owners = targets_of(answers, soft.device)
    value = row_values(
        lambda rows: jsd(rows.log_probs_1, rows.log_probs_2),
        pair.model_1,
        pair.model_2,
        *states,
        targets,
        owners,
    ).mean()
    (gradient,) = torch.autograd.grad(value, soft)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"loaded_mib": loaded, "peak_mib": peak, "gradient_norm": float(gradient.norm())}


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Run every case in its own process, print the table, write the JSON."""
    from result_file import write_result

    rows: list[dict[str, Any]] = []
    for name, (shared, recompute) in CASES.items():
        command = [sys.executable, __file__, json.dumps([shared, recompute])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append({"case": name, **json.loads(done.stdout.splitlines()[-1])})
        step = rows[-1]["peak_mib"] - rows[-1]["loaded_mib"]
        print(
            f"{name:<28}loaded {rows[-1]['loaded_mib']:>7.0f} MiB  peak "
            f"{rows[-1]['peak_mib']:>7.0f} MiB  (step {step:.0f})  |gradient| "
            f"{rows[-1]['gradient_norm']:.6f}"
        )
    by = {row["case"]: row for row in rows}
    saved = by["two copies"]["loaded_mib"] - by["shared base"]["loaded_mib"]
    steps = [
        by[case]["peak_mib"] - by[case]["loaded_mib"]
        for case in ("shared base", "shared base, checkpointing")
    ]
    ratio = steps[0] / steps[1]
    print(f"sharing the base saves {saved:.0f} MiB; checkpointing divides the step by {ratio:.1f}")
    summary = {"saved_by_sharing_mib": saved, "step_ratio_of_checkpointing": ratio}
    settings = {"texts": TEXTS, "answer_tokens": ANSWER_TOKENS, "pair": "smollm2-vs-seafarer"}
    print(write_result("memory", settings=settings, summary=summary, rows=rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(*json.loads(sys.argv[1]))))
    else:
        main()
