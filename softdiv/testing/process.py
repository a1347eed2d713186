"""The process-wide state a component must leave alone: read, compared, put back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from softdiv.plugin.isolation import ProcessState


def seed_all(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def contained() -> Iterator[None]:
    """Put generators, working folder and torch's switches back: no check spoils the next."""
    import numpy as np  # noqa: F401  (only what is imported is put back)
    import torch  # noqa: F401

    state = ProcessState()
    try:
        yield
    finally:
        state.restore()


def changed_by(use: Callable[[], Any]) -> list[str]:
    """Names of the process-wide state that ``use`` changes."""
    state = ProcessState()
    try:
        use()
    finally:
        changed = state.restore()
    return changed
