"""The small run that observers are checked with leaves no hook out."""

from __future__ import annotations

from typing import Any

from softdiv import hookimpl
from softdiv.plugin.hookspecs import lifecycle_hooks
from softdiv.testing.story import prompt, tell_whole_run


def test_every_lifecycle_hook_is_told() -> None:
    heard: list[str] = []

    def listen(name: str) -> Any:
        def hook(self: Any, event: Any) -> None:
            heard.append(name)

        hook.__name__ = name
        return hookimpl(hook)

    listener = type("Listener", (), {name: listen(name) for name in lifecycle_hooks()})
    tell_whole_run(listener(), prompt())
    assert set(heard) == set(lifecycle_hooks())
    assert (heard[0], heard[-1]) == ("softdiv_run_start", "softdiv_run_end")
