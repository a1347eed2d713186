"""A config field with its meaning beside its default, and the checks fields share."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import attrs
from attrs.validators import and_, ge, le, optional

Validator = Callable[[Any, Any, Any], None]


def option(default: Any, meaning: str, *checks: Validator) -> Any:
    """A keyword-only attrs field; ``meaning`` goes into ``configs/full.toml`` and the docs."""
    own = checks if default is not None else tuple(map(optional, checks))
    return attrs.field(
        default=default,
        kw_only=True,
        metadata={"meaning": meaning},
        validator=list(own) or None,
    )


def at_most_or_all(maximum: float) -> Validator:
    """A share: the value must be ``<= maximum``, or 1."""

    def check(_: Any, __: Any, value: Any) -> None:
        if maximum < value != 1:
            raise ValueError(f"must be at most {maximum}, or 1, got {value}")

    return check


def count(minimum: int, maximum: int = 10**9) -> Validator:
    """A number of things, at least ``minimum``; what no machine holds is a slip or an attack."""
    return and_(ge(minimum), le(maximum))


def only_with(other: str, wanted: str) -> Validator:
    """The value may be given only where ``other``, a field declared before, is ``wanted``."""

    def check(made: Any, field: Any, _: Any) -> None:
        if getattr(made, other) != wanted:
            raise ValueError(f'{field.name} has no effect without {other} = "{wanted}"')

    return check


def not_blank(_: Any, __: Any, value: str) -> None:
    """The text must hold more than white space."""
    if not value.strip():
        raise ValueError("must not be blank")


def iso_date(_: Any, __: Any, value: str) -> None:
    """The text must be a day, ``YYYY-MM-DD``."""
    try:
        datetime.date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f'must be a day like "2026-01-31", got {value!r}') from error


_TEMPLATES_OWN = (
    "messages",
    "conversations",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "return_assistant_tokens_mask",
)


def template_variables(_: Any, __: Any, value: Any) -> None:
    """A table of plain values, none of which softdiv sets itself."""
    for name in value:
        if name in _TEMPLATES_OWN:
            raise ValueError(f"'{name}' is not for you to give")
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"holds what a template cannot be told: {error}") from error
