"""The process-wide state a component must leave alone: read, compared, put back."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs


@attrs.frozen
class RandomState:
    """The global generators of Python, numpy and torch."""

    python: Any
    numpy: Any
    torch: bytes

    @classmethod
    def now(cls) -> RandomState:
        """As they are."""
        import numpy as np
        import torch

        kind, keys, *rest = np.random.get_state()
        return cls(
            random.getstate(),
            (kind, bytes(keys), *rest),
            torch.random.get_rng_state().numpy().tobytes(),
        )


def seed_all(seed: int) -> None:
    """Seed the three global generators."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@attrs.frozen
class Settings:
    """Working folder and torch's process-wide switches."""

    working_folder: str
    default_dtype: str
    gradients_enabled: bool

    @classmethod
    def now(cls) -> Settings:
        """As they are."""
        import torch

        return cls(str(os.getcwd()), str(torch.get_default_dtype()), torch.is_grad_enabled())


@contextmanager
def contained() -> Iterator[None]:
    """Put the global generators and settings back, so that one check cannot spoil the next."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    folder, dtype, gradients = os.getcwd(), torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
        os.chdir(folder)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
