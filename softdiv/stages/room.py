"""Whether a run fits into this machine's memory, before it is started."""

from __future__ import annotations

from pathlib import Path

import torch

from softdiv.errors import PairError
from softdiv.stages.plan import Plan

CGROUP = Path("/sys/fs/cgroup")
"""Where a container is told its limit."""


def free_memory(device: str) -> int | None:
    """Bytes free on this machine's device; None where the system does not say."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    entries = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    free = int(entries["MemAvailable"].split()[0]) * 1024
    container = _free_in_container()
    return free if container is None else min(free, container)


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


def _free_in_container() -> int | None:
    """What its limit leaves; None where there is none."""
    try:
        limit, used = (
            int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current")
        )
        entries = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        cached = int(entries["inactive_file"])  # files read, given up when memory is wanted
    except (OSError, ValueError, KeyError):  # no container, or one without a limit: "max"
        return None
    return max(0, limit - used + cached)
