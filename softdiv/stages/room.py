"""Whether a run fits into this machine's memory, before it is started."""

from __future__ import annotations

from softdiv.errors import PairError
from softdiv.stages.plan import Plan


def refuse_too_large(found: Plan, room: int | None) -> None:
    """Raises PairError where the run cannot fit into ``room`` bytes."""
    if room is None or found.memory <= room:
        return
    gigabytes = f"{room / 1e9:.2f} GB are free on {found.device}"
    if found.least_memory > room:
        raise PairError(
            f"the run cannot fit into memory: it needs {found.least_memory / 1e9:.2f} GB with one "
            f"text at a time, {gigabytes}",
            fix="--dtype bfloat16, --quantize, training.engine.shard_models, or a larger machine",
        )
    if not found.device.startswith("cuda"):  # there, batches are halved as it goes
        raise PairError(
            f"the run does not fit into memory: it needs up to {found.memory / 1e9:.2f} GB, "
            f"{gigabytes}",
            fix="lower training.batch_size and generation.batch_rows",
        )
