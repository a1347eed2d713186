"""What PEFT, a vLLM-format tensor and transformers make of an exported soft prompt.

    python benchmarks/export_equality.py

Tiny random models in fp32 on the CPU, one text at a time, greedy. The largest difference of any
log-probability from softdiv's own decoding, up to and with the first token that differs; and, for
the trap that the card of a PEFT export names, the same of a batch padded on the left. Fails where
a library differs by more than 1e-4 nats, or says another token. vLLM itself is not run:
transformers is given its tensor.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

import torch
from result_file import write_result

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests measure the same

from tests.export.equality import BOS_ONCE, STEPS, TEXTS, TOKENS, differences, soft_run

LIMIT = 1e-4
ARCHITECTURES = ("llama", "gpt2", "qwen2")
PLACEMENTS = ("prefix", "system", "user_start", "user_end")
TRAP = "peft, padded left"


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    cases = [*itertools.product(ARCHITECTURES, PLACEMENTS, (None,)), ("llama", "prefix", BOS_ONCE)]
    for architecture, placement, template in cases:
        run = soft_run(placement, architecture, template)
        for wrapper in run.models:
            with tempfile.TemporaryDirectory() as folder:
                found = differences(run, wrapper, Path(folder))
            for library, far in found.items():
                row = {
                    "architecture": architecture,
                    "placement": placement,
                    "chat_template": "BOS once" if template else "no BOS",
                    "model": wrapper.name,
                    "library": library,
                }
                nats, same = max(one.nats for one in far), all(one.same_tokens for one in far)
                rows.append({**row, "max_difference_nats": nats, "same_tokens": same})
                told = "the same tokens" if same else "other tokens"
                print("  ".join(f"{value:<12}" for value in row.values()), f"{nats:.1e}  {told}")
    libraries = dict.fromkeys(row["library"] for row in rows)
    worst = {
        name: max(row["max_difference_nats"] for row in rows if row["library"] == name)
        for name in libraries
    }
    summary = {f"max_difference_nats, {name}": value for name, value in worst.items()}
    settings = {"texts": TEXTS, "soft_tokens": TOKENS, "answer_tokens": STEPS, "limit": LIMIT}
    for name, value in worst.items():
        print(f"largest, {name}: {value:.1e}")
    print(write_result("export_equality", settings=settings, summary=summary, rows=rows))
    equal = (row["same_tokens"] and row["max_difference_nats"] <= LIMIT for row in rows)
    sys.exit(not all(ok for ok, row in zip(equal, rows, strict=True) if row["library"] != TRAP))


if __name__ == "__main__":
    main()
