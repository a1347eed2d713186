"""What an observer keeps comes back as it was, by name, and nothing but data is kept."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs
import pytest
import torch

from softdiv import hookimpl
from softdiv.plugin.failures import Failures
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.observers import Observers
from softdiv.plugin.registry import Registry
from softdiv.plugin.state import PackedState, pack, unpack

STATE = {
    "best": -math.inf,
    "seen": [1, 2.5, "x", None, True],
    "nested": {"mean": torch.arange(3.0), "deep": {"n": math.nan}},
}


class Keeper:
    def __init__(self, state: Any) -> None:
        self.state = state

    @hookimpl
    def softdiv_step_end(self, event: Any) -> None: ...

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        if state == "refuse":
            raise KeyError("mean")
        self.state = state


@attrs.define(eq=False)
class Refusing(Keeper):
    state: Any = None

    def state_dict(self) -> Any:
        raise KeyError("n")


class Forgetful:
    @hookimpl
    def softdiv_step_end(self, event: Any) -> None: ...


def test_state_survives_json_and_tensors() -> None:
    states = pack(STATE)
    again = PackedState(
        plain=json.loads(json.dumps(states.plain, allow_nan=False)), tensors=states.tensors
    )
    found = unpack(again)
    assert found["best"] == -math.inf and found["seen"] == STATE["seen"]
    assert torch.equal(found["nested"]["mean"], torch.arange(3.0))
    assert math.isnan(found["nested"]["deep"]["n"])


@pytest.mark.parametrize("state", [[1], {"x": {1, 2}}, {1: "x"}, {"x": object()}, {"$tensor": "y"}])
def test_what_is_not_data_is_refused(state: Any) -> None:
    with pytest.raises(TypeError, match="state_dict"):
        pack(state)


def test_an_observer_of_another_name_than_its_plugins_is_named_too() -> None:
    registry = Registry()
    registry.add("observers", "second", Refusing, "'pack' (softdiv-pack 1.0)")
    made = registry.build("observers", "second", {})
    hub = Observers.of([(made, "'second'")], attribution=Failures(registry))
    hub.state_dict()
    assert hub.failures == [
        "plugin 'pack' (softdiv-pack 1.0), observer 'second', failed in state_dict: KeyError: 'n'"
    ]


def test_a_kept_tensor_is_a_copy() -> None:
    tensor = torch.zeros(2)
    states = pack({"t": tensor})
    tensor.fill_(9)
    assert unpack(states)["t"].tolist() == [0, 0]


def test_places_that_read_alike_are_kept_apart() -> None:
    found = unpack(pack({"a/b": torch.zeros(1), "a": {"b": torch.ones(1)}}))
    assert (float(found["a/b"]), float(found["a"]["b"])) == (0, 1)


def test_states_are_kept_by_name_and_given_back() -> None:
    before = Observers.of(
        [(Keeper({"n": 1}), "'a'"), (Forgetful(), "'f'"), (Keeper({"n": 2}), "'b'")]
    )
    states = before.state_dict()
    assert set(states) == {"a", "b"}
    a, b = Keeper({}), Keeper({})
    after = Observers.of([(b, "'b'"), (a, "'a'")])
    after.load_state_dict(states)
    assert (a.state, b.state) == ({"n": 1}, {"n": 2}) and after.failures == []


def test_missing_and_renamed_ones_are_noted_and_a_failing_one_is_dropped() -> None:
    states = Observers.of([(Keeper({"n": 1}), "'old'")]).state_dict()
    hub = Observers.of([(Keeper({}), "'new'"), (Forgetful(), "'f'")])
    hub.load_state_dict(states)
    assert hub.failures == [
        "observer 'new' has no kept state and starts anew",
        "no observer is named 'old' any more; its kept state is not used",
    ]
    refusing = Observers.of([(Keeper({}), "'a'")])
    refusing.load_state_dict({"a": "refuse"})
    assert refusing.failures == ["observer 'a' failed in load_state_dict: KeyError: 'mean'"]
    assert not refusing.hears(Hooks.softdiv_step_end)
