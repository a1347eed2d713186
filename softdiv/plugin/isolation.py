"""What an observer could change in the process without meaning to: seen, named, put back."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import attrs


@attrs.frozen(eq=False)
class _Setting:
    """Something global: read, compared, and put back if it differs."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]
    same: Callable[[Any, Any], bool] = lambda one, two: bool(one == two)


class ProcessState:
    """The working directory, the global random numbers, and torch's global switches, as they are.

    Only of what is imported already.

    Args:
        cheap: what takes microseconds to read.
        dear: numpy's and Python's random state, which take tens of them.
    """

    def __init__(self, *, cheap: bool = True, dear: bool = True) -> None:
        settings = (_cheap() if cheap else []) + (_dear() if dear else [])
        self._kept = [(setting, setting.read()) for setting in settings]

    def restore(self) -> list[str]:
        """Put everything back; returns the names of what had been changed."""
        changed = []
        for setting, before in self._kept:
            if not setting.same(before, setting.read()):
                setting.write(before)
                changed.append(setting.name)
        return changed


def _cheap() -> list[_Setting]:
    return [_CWD, *(_torch_settings() if "torch" in sys.modules else [])]


def _dear() -> list[_Setting]:
    return [_RANDOM, _NUMPY] if "numpy" in sys.modules else [_RANDOM]


def _cwd() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (a Path is ten times slower, and this runs at every hook)
    except FileNotFoundError:  # it was removed under us
        return None


def _chdir(path: str | None) -> None:
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.chdir(path)


def _numpy_read() -> Any:
    import numpy as np

    return np.random.get_state()


def _numpy_write(state: Any) -> None:
    import numpy as np

    np.random.set_state(state)


def _numpy_same(one: Any, two: Any) -> bool:
    return bool(one[0] == two[0] and one[2:] == two[2:] and (one[1] == two[1]).all())


_CWD = _Setting("the working directory", _cwd, _chdir)
_RANDOM = _Setting("Python's random state", random.getstate, random.setstate)
_NUMPY = _Setting("numpy's random state", _numpy_read, _numpy_write, _numpy_same)
_TORCH: list[_Setting] = []


def _torch_settings() -> list[_Setting]:
    import torch

    if not _TORCH:
        _TORCH.extend(
            [
                _Setting(
                    "torch's random state", torch.get_rng_state, torch.set_rng_state, torch.equal
                ),
                _Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
                _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
                _Setting("torch's thread count", torch.get_num_threads, torch.set_num_threads),
                _Setting(
                    "torch's determinism",
                    torch.are_deterministic_algorithms_enabled,
                    torch.use_deterministic_algorithms,
                ),
            ]
        )
    if torch.cuda.is_initialized():
        cuda = _Setting(
            "CUDA's random state", torch.cuda.get_rng_state, torch.cuda.set_rng_state, torch.equal
        )
        return [*_TORCH, cuda]
    return _TORCH
