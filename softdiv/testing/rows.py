"""Rows as losses and token metrics meet them, and the checks both must pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from softdiv.plugin.records import Rows
from softdiv.testing.kit import Subject, checks_in, require

if TYPE_CHECKING:
    import torch
    from torch import Tensor

COUNT, VOCABULARY, CHUNKS = 21, 40, 7
NAN_ROW = 4


def rows(count: int = COUNT, *, scale: float = 2.0, seed: int = 0) -> Rows:
    """Random rows, three to a response; ``scale`` 2 is as sharp as a language model."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(2, count, VOCABULARY, generator=generator)
    log_probs_1, log_probs_2 = logits.log_softmax(-1)
    return Rows(
        log_probs_1=log_probs_1,
        log_probs_2=log_probs_2,
        targets=torch.randint(VOCABULARY, (count,), generator=generator),
        example_index=torch.arange(count) // 3,
    )


def taken(source: Rows, index: Any) -> Rows:
    """Some of the rows, in the order of ``index``."""
    return Rows(**{f.name: getattr(source, f.name)[index] for f in attrs.fields(Rows)})


def cast(source: Rows, dtype: torch.dtype) -> Rows:
    """Both models' log-probabilities in another precision."""
    return attrs.evolve(
        source,
        log_probs_1=source.log_probs_1.to(dtype),
        log_probs_2=source.log_probs_2.to(dtype),
    )


def values_of(component: Callable[[Rows], Tensor], source: Rows) -> Tensor:
    """``[N]`` values; anything else is refused."""
    import torch

    found = component(source)
    require(
        isinstance(found, torch.Tensor), f"it returns {type(found).__name__}, not a torch.Tensor"
    )
    wanted = tuple(source.targets.shape)
    require(
        tuple(found.shape) == wanted,
        f"it returns shape {tuple(found.shape)} for {wanted[0]} rows: one value per row, no mean",
    )
    return found


def check_finite_value_per_row(subject: Subject) -> None:
    """``[N, V]`` rows give ``[N]`` finite floating point values."""
    import torch

    values = values_of(subject.make(), rows())
    require(values.is_floating_point(), f"it returns {values.dtype}: return floating point values")
    require(bool(torch.isfinite(values).all()), "it returns NaN or infinity on ordinary rows")


def check_no_rows(subject: Subject) -> None:
    """No row gives no value."""
    values_of(subject.make(), rows(0))


def check_one_row(subject: Subject) -> None:
    """One row alone gives a finite value."""
    import torch

    value = values_of(subject.make(), rows(1))
    require(bool(torch.isfinite(value).all()), "one row alone gives NaN or infinity")


def check_same_value_in_chunks(subject: Subject) -> None:
    """The mean over rows is that of seven chunks: the core cuts rows as memory allows."""
    size = COUNT // CHUNKS
    at_once = float(values_of(subject.make(), rows()).double().sum()) / COUNT
    total = sum(
        float(values_of(subject.make(), taken(rows(), slice(i, i + size))).double().sum())
        for i in range(0, COUNT, size)
    )
    require(
        _near(at_once, total / COUNT),
        f"one chunk gives {at_once:.6g}, seven chunks give {total / COUNT:.6g}: "
        "a row's value may not depend on other rows",
    )


def check_rows_in_any_order(subject: Subject) -> None:
    """Reordered rows give the same values, reordered."""
    import torch

    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(5))
    reordered = values_of(subject.make(), taken(rows(), order)).double()
    wanted = values_of(subject.make(), rows()).double()[order]
    require(
        torch.allclose(reordered, wanted, rtol=1e-4, atol=1e-5),
        "reordered rows get other values: value i belongs to row i and depends on it alone",
    )


def check_bfloat16_rows(subject: Subject) -> None:
    """bfloat16 rows give nearly the value of the same numbers in float32."""
    import torch

    coarse = cast(rows(), torch.bfloat16)
    fine = cast(coarse, torch.float32)
    got = float(values_of(subject.make(), coarse).double().mean())
    wanted = float(values_of(subject.make(), fine).double().mean())
    require(
        abs(got - wanted) <= 0.1 + 0.05 * abs(wanted),
        f"bfloat16 rows give {got:.4g}, the same numbers in float32 {wanted:.4g}",
    )


def check_nan_is_not_hidden(subject: Subject) -> None:
    """A row of NaN gives NaN or an error, never a number."""
    for side in ("log_probs_1", "log_probs_2"):
        source = rows()
        getattr(source, side)[NAN_ROW] = float("nan")
        try:
            value = float(subject.make()(source)[NAN_ROW])
        except Exception as error:  # an error is an answer too, if it says what is wrong
            require(str(error), f"NaN in {side} raises {type(error).__name__} without a word")
            continue
        require(
            math.isnan(value),
            f"NaN in {side} gives {value:.4g}: a broken model would look like a result",
        )


def _near(first: float, second: float) -> bool:
    return abs(first - second) <= 1e-5 + 1e-4 * abs(first)


OF_ROWS = checks_in(globals())
