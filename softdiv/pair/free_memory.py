"""How much memory is free."""

from __future__ import annotations

from pathlib import Path

import torch


def free_memory(device: str) -> int | None:
    """Bytes free on this machine's device; None where the system does not say."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    entries = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    return int(entries["MemAvailable"].split()[0]) * 1024
