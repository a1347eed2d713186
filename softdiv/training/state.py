"""What the parts of a training keep, so that it goes on bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol

import attrs


class Stateful(Protocol):
    """A part of a training. Its state is made of tables and lists of numbers, text and tensors."""

    def state_dict(self) -> dict[str, Any]:
        """A copy. With several ranks all of them call it, and rank 0's is saved."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on from it. With several ranks all of them are given rank 0's."""


@attrs.define(eq=False)
class FieldState:
    """A part whose state are the public fields that it sets itself, not those it is made with."""

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Stateful`."""
        fields = attrs.fields(type(self))
        names = [field.name for field in fields if not field.init and field.name[0] != "_"]
        return {name: copy.deepcopy(getattr(self, name)) for name in names}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`Stateful`."""
        for name in FieldState.state_dict(self):
            setattr(self, name, copy.deepcopy(state[name]))
