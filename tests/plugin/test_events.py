"""What observers may do with a training event."""

from __future__ import annotations

import torch

from softdiv.plugin.events import TrainEvent
from softdiv.plugin.hookspecs import lifecycle_hooks


def test_the_first_reason_to_stop_is_kept_and_numbers_are_logged() -> None:
    prompt = torch.nn.Parameter(torch.zeros(1, 2))
    event = TrainEvent(run_dir=None, step=0, total_steps=1, prompt=prompt)
    event.log("extra", 3)
    event.stop("first")
    event.stop("second")
    assert event.stop_reason == "first"
    assert event.metrics == {"extra": 3.0}


def test_lifecycle_hooks_are_listed_as_a_run_calls_them() -> None:
    hooks = lifecycle_hooks()
    assert hooks[0] == "softdiv_run_start"
    assert hooks[-1] == "softdiv_run_end"
    assert not [name for name in hooks if "register" in name]
