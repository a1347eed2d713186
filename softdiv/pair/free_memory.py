"""How much memory is free."""

from __future__ import annotations

from pathlib import Path

import torch

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
