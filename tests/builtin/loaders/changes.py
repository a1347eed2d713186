"""Ways to change a model folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor


def write(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file."""
    table = json.loads(file.read_text())
    change(table)
    file.write_text(json.dumps(table))


def store(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the weights."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
