"""A full run on paper: what ``--dry-run`` would say of models of 1, 8 and 70 billion parameters.

    python benchmarks/scaling.py

No weights exist: shapes alone, of three Llama models, in bfloat16. Two whole models (a full
fine-tune), every setting at its default. Compute and memory are the plan's; seconds are compute at
a share of a GPU's peak that is assumed, not measured. Writes ``results/scaling.json`` and the
tables of ``docs/scaling.md``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import torch
from result_file import write_result
from transformers import AutoModelForCausalLM, LlamaConfig

from softdiv.cli.ticker import duration
from softdiv.config.load import ExperimentConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.plugin.records import Example
from softdiv.stages.plan import Plan, plan

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
GPU_BYTES = 80e9
PEAK = 989e12
"""bfloat16 flop/s of one H100 SXM, dense, as its data sheet has it."""
SHARE = 0.2
"""Of that peak, assumed: token steps of small batches read weights more than they multiply."""
SHAPES: dict[str, dict[str, int]] = {
    "1B": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16},
    "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32},
    "70B": {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80},
}
HEADS = {"1B": 32, "8B": 32, "70B": 64}
SETTINGS = {
    "one GPU": (1, ()),
    "one GPU, checkpointing": (1, ("training.gradient_checkpointing=true",)),
    "eight GPUs, whole models": (8, ()),
    "eight GPUs, sharded": (8, ("training.engine.shard_models=true",)),
}


@attrs.frozen
class Shape:
    """A loader of nothing, which knows how large its model would be."""

    name: str

    def load(self, device: str) -> Any:
        raise NotImplementedError("there are no weights")

    def skeleton(self, device: str = "cpu") -> Any:
        config = LlamaConfig(
            vocab_size=128_256,
            num_attention_heads=HEADS[self.name],
            num_key_value_heads=8,
            tie_word_embeddings=self.name == "1B",
            **SHAPES[self.name],
        )
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)

    def weight_bytes(self, skeleton: Any, other: Any = None) -> int:
        return sum(parameter.nbytes for parameter in skeleton.parameters())


def planned(size: str, ranks: int, settings: tuple[str, ...], texts: list[Example]) -> Plan:
    config = ExperimentConfig.from_dict({"pair": {"name": "tiny"}}).with_overrides(*settings)
    models = (Shape(size), Shape(size))
    return plan(config, models, texts, "cuda", ranks, flops_per_second=PEAK * SHARE)


def main() -> None:
    texts = [Example(id=name, text=text) for name, text, _ in user_texts()]
    rows: list[dict[str, Any]] = []
    for size in SHAPES:
        for name, (ranks, settings) in SETTINGS.items():
            found = planned(size, ranks, settings, texts)
            low, high = found.seconds(found.total_fte)
            rows.append(
                {
                    "model": size,
                    "devices": name,
                    "parameters": found.parameters[0],
                    "weights_bytes": sum(found.weights),
                    "backward_bytes": found.kept,
                    "logits_bytes": found.logits,
                    "cache_bytes": found.cache,
                    "least_bytes": found.least_memory,
                    "most_bytes": found.memory,
                    "fits": found.least_memory <= GPU_BYTES,
                    "fte": found.total_fte,
                    "seconds": (low, high),
                }
            )
    summary = {f"{r['model']}, {r['devices']}: most_gb": r["most_bytes"] / 1e9 for r in rows}
    assumed = {"peak": PEAK, "share": SHARE, "gpu_bytes": GPU_BYTES, "vocabulary": 128_256}
    print(write_result("scaling", settings=assumed, summary=summary, rows=rows))
    table = _table(rows)
    print(table)
    page = PAGE.read_text("utf-8")
    marked = re.sub(
        r"(<!-- scaling -->\n).*?(<!-- end -->)",
        lambda found: found[1] + table + found[2],
        page,
        flags=re.S,
    )
    PAGE.write_text(marked, "utf-8")


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| pair | devices | weights | backward | decoding | per GPU, at least to at most | a run |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        gigabytes = {k: f"{row[f'{k}_bytes'] / 1e9:,.1f}" for k in ("weights", "backward", "cache")}
        least, most = row["least_bytes"] / 1e9, row["most_bytes"] / 1e9
        room = f"{least:,.0f} to {most:,.0f} GB" if row["fits"] else f"{least:,.0f} GB: refused"
        low, high = map(duration, row["seconds"])
        time = f"{low} to {high}" if row["fits"] else ""
        sizes = " | ".join(f"{value} GB" for value in gigabytes.values())
        lines.append(f"| {row['model']} | {row['devices']} | {sizes} | {room} | {time} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
