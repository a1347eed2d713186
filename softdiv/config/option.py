"""A config field with its meaning beside its default, and the checks fields share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

Validator = Callable[[Any, Any, Any], None]


def option(default: Any, meaning: str, *checks: Validator) -> Any:
    """A keyword-only attrs field; ``meaning`` goes into ``configs/full.toml`` and the docs."""
    checks_tuple = checks if default is not None else tuple(map(attrs.validators.optional, checks))
    return attrs.field(
        default=default,
        kw_only=True,
        metadata={"meaning": meaning},
        validator=list(checks_tuple) or None,
    )


def at_least(minimum: float) -> Validator:
    """The value must be ``>= minimum``."""

    def check(_: Any, __: Any, value: Any) -> None:
        if value < minimum:
            raise ValueError(f"must be at least {minimum}, got {value}")

    return check


def above(minimum: float) -> Validator:
    """The value must be ``> minimum``."""

    def check(_: Any, __: Any, value: Any) -> None:
        if value <= minimum:
            raise ValueError(f"must be above {minimum}, got {value}")

    return check


def at_most(maximum: float) -> Validator:
    """The value must be ``<= maximum``."""

    def check(_: Any, __: Any, value: Any) -> None:
        if value > maximum:
            raise ValueError(f"must be at most {maximum}, got {value}")

    return check


def count(minimum: int, maximum: int = 10**9) -> Validator:
    """A number of things, at least ``minimum``; what no machine holds is a slip or an attack."""
    least, most = at_least(minimum), at_most(maximum)

    def check(made: Any, field: Any, value: Any) -> None:
        least(made, field, value)
        most(made, field, value)

    return check


def only_with(other: str, wanted: str) -> Validator:
    """The value may be given only where ``other``, a field declared before, is ``wanted``."""

    def check(made: Any, field: Any, _: Any) -> None:
        if getattr(made, other) != wanted:
            raise ValueError(f'{field.name} has no effect without {other} = "{wanted}"')

    return check
