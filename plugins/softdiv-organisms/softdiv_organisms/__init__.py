"""Model organisms: models with a planted, known difference, made from recipes and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from softdiv import hookimpl


@hookimpl
def softdiv_register_commands(register: Callable[[str, Any], None]) -> None:
    """``softdiv organisms``."""
    from softdiv_organisms.commands import organisms

    register("organisms", organisms)
