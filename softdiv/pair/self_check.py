"""Does the path a run takes through a model give the model's own answers? Measured, at load.

A run feeds embeddings instead of ids, pads rows of different lengths, shares a cached prefix,
gives position ids, applies the head to selected rows, decodes token by token and differentiates
with respect to the soft prompt. A short probe does all of that and is compared with the plain
``model(input_ids)`` of one row at a time, and the gradient with finite differences. No list of
architectures can know as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import shorten

import attrs
from transformers import DynamicCache

from softdiv.errors import PairError, SoftdivError
from softdiv.pair.gradient_check import gradient_error
from softdiv.pair.layout import Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.probe import Compared, Probe
from softdiv.pair.tolerance import Tolerance
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.failures import reason

FAILS = "its own forward pass fails"
CAUSAL = "it is not causal, a token changes what stands before it"
IDS = "it needs token ids beside embeddings, and a soft prompt has none"
BEHIND = "padding behind a row leaks into it"
PREFIX = "keys and values of a shared prefix change what follows"
BEFORE = "padding leaks into the state"
POSITIONS = "positions come from the cache"
NONE = "gradient cannot be computed"
STATE = "some layers keep a state in place of keys and values"
ZERO = "gradient is zero"
GRADIENT = "gradient is wrong"

Parts = tuple[tuple[str, Callable[[Probe], Compared]], ...]
RUN: Parts = (
    (IDS, Probe.moved),
    (PREFIX, Probe.forced),
    (POSITIONS, Probe.decoded),
)
"""What a run does; what is said where nothing of :data:`PARTS` explains a difference."""
WITHOUT_CACHE: Parts = (
    (CAUSAL, Probe.shortened),
    (IDS, Probe.one_by_one),
    (IDS, Probe.moved),
    (BEHIND, Probe.padded_behind),
)
PARTS: Parts = (*WITHOUT_CACHE, (BEFORE, Probe.padded_before))
"""Parts of that alone, simplest first, to say which of them is at fault."""


@attrs.frozen(kw_only=True)
class SelfCheck:
    """What the probe of one model showed. Only a model that agrees has one."""

    difference: float
    """from the model's own log-probabilities, nats"""
    gradient_error: float
    """relative, from finite differences"""
    tolerance: Tolerance
    cache: str = ""
    """why the model decodes without a cache; empty where it keeps one"""

    @property
    def line(self) -> str:
        """For people."""
        limit = self.tolerance
        found = (
            f"{limit.numbers}: log-probs within {self.difference:.1g} nats of the model's own "
            f"(limit {limit.nats:.1g}), gradient within {self.gradient_error:.1g} of finite "
            f"differences (limit {limit.gradient:g})"
        )
        return f"{found}; decodes without a cache ({self.cache})" if self.cache else found


def self_check(wrapper: ModelWrapper, layout: Layout | None = None) -> SelfCheck:
    """Compare. A model whose cache misleads, and whose whole rows are right, decodes from those.

    Nothing is charged to the pair's ledger: it is no part of what a method spends.

    Args:
        layout: of the conversations the model will be given; by default its own tokenizer's.

    Raises:
        PairError: a part of the path does not give the model's own answers; says which.
    """
    with _unpaid(wrapper):
        try:
            probe = Probe.of(wrapper, Tolerance.of(wrapper.model), layout)
        except SoftdivError:
            raise
        except Exception as failed:  # an architecture's own: xLSTM's in 16 bits
            raise _refusal(wrapper, f"{FAILS} ({_short(failed)})") from failed
        tolerance = probe.tolerance
        cache = "" if _all_keys_and_values(wrapper) else STATE
        if cache or _fault(probe, RUN):
            cache = cache or _fault(probe, (*PARTS, *RUN))
            wrapper.keeps_cache = False
            if fault := _fault(probe, RUN):
                raise _refusal(wrapper, _fault(probe, (*WITHOUT_CACHE, *RUN)) or fault)
        try:
            error = gradient_error(wrapper, probe.slot, probe.answer, probe.soft, tolerance)
        except Exception as failed:  # an architecture's own, where no backward pass is possible
            raise _refusal(wrapper, f"{NONE} ({_short(failed)})") from failed
        if error is None:
            raise _refusal(wrapper, ZERO)
        if not error <= tolerance.gradient:
            raise _refusal(wrapper, f"{GRADIENT} (by {error:.2g} of finite differences)")
        return SelfCheck(
            difference=probe.largest, gradient_error=error, tolerance=tolerance, cache=cache
        )


def _all_keys_and_values(wrapper: ModelWrapper) -> bool:
    """Whether every layer's past is keys and values, which padding can be masked in."""
    try:
        cache = DynamicCache(config=wrapper.model.config)
    except Exception:  # BLT's configuration has no count of layers
        return False
    return all(hasattr(layer, "keys") and hasattr(layer, "values") for layer in cache.layers)


def _fault(probe: Probe, parts: Parts) -> str:
    """Words for the first part that disagrees, with how far; empty where all agree."""
    for words, part in parts:
        try:
            far = probe.distance(part(probe))
        except SoftdivError:
            raise
        except Exception as error:  # whatever an architecture does not take is its own to say
            return f"{words} ({_short(error)})"
        if not far <= probe.tolerance.nats:
            return f"{words} (log-probs differ by {far:.2g} nats)"
    return ""


def _short(error: Exception) -> str:
    return shorten(reason(error), 160, placeholder=" ...")


def _refusal(wrapper: ModelWrapper, fault: str) -> PairError:
    return PairError(
        f"{wrapper.name} ({wrapper.model.config.model_type}) would be measured wrongly",
        why=fault,
        fix="softdiv does not support this model",
    )


@contextmanager
def _unpaid(wrapper: ModelWrapper) -> Iterator[None]:
    ledger, wrapper.ledger = wrapper.ledger, Ledger()
    try:
        yield
    finally:
        wrapper.ledger = ledger
        wrapper.forget_prefixes()
