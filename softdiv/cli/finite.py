"""A number in a range, as an option's type."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """:class:`click.FloatRange` lets ``nan`` through: it is neither below nor above a bound."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Raises click.BadParameter."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number
