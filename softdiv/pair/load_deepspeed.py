"""The one place that imports DeepSpeed: quietly, and without a compiler."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch


def name_accelerator(device_type: str | None = None) -> None:
    """Tell DeepSpeed which devices to use, or it announces on standard output that it found no GPU.

    peft and transformers import it by themselves, where it is installed: call this before them.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``; by default what torch finds.
    """
    found = "cuda" if torch.cuda.is_available() else "cpu"
    os.environ.setdefault("DS_ACCELERATOR", device_type or found)


def load_deepspeed(device_type: str) -> Any:
    """The module ``deepspeed``, ready for CPUs or GPUs."""
    # ZeRO-3 reads LOCAL_RANK in every forward pass, so it stays set
    os.environ.setdefault("LOCAL_RANK", "0")
    name_accelerator(device_type)
    import deepspeed
    import deepspeed.ops

    deepspeed.utils.logger.setLevel(logging.ERROR)
    # DeepSpeed's to mend; without this every rank tells the user
    warnings.filterwarnings("ignore", "`torch.distributed", FutureWarning)
    if device_type == "cpu":
        # shared-memory collectives would be built with a compiler at start; gloo does without
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """DeepSpeed writes to standard output, which belongs to the command line's results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
