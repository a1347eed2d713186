"""Keeps secrets out of what leaves the run or is shown: trackers, reports, comparisons, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(redacted)"

_LAST_WORDS = frozenset(
    (
        *("key", "apikey", "token", "auth", "authorization", "bearer", "cookie"),
        *("credential", "credentials", "pwd", "dsn"),
    )
)
_ANY_WORD = frozenset(("secret", "secrets", "password", "passwords", "passwd", "passphrase"))
_KEPT_APART = frozenset(("auth", "access", "api", "refresh", "hf", "hub"))
"""Before "tokens", which by itself is a number of words."""
_ORDINARY = frozenset(("text_key", "messages_key", "category_key", "id_key"))
"""Options that name a key of a data file."""

_SECRET_VALUE = re.compile(
    r"hf_[A-Za-z0-9]{20,}|wandb_v1_\w{20,}|sk-[\w-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}|A(?:KIA|SIA)[A-Z0-9]{16}"
    r"|AIza[\w-]{30,}|(?<=[Bb]earer )[\w.~+/=-]{8,}"
    r"|(?:(?<=://)|(?<=:/))[^/?#\s]+(?=@)"  # before a host; a Path makes one slash of two
    r"|(?<=[?&])(?i:[\w.-]*(?:token|key|secret|signature|password|sig|auth))=[^&#\s'\"]+"
)


def redacted(value: Any) -> Any:
    """A copy with secrets replaced: values under telling keys, and anything shaped like a token."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _is_secret(str(key), item) else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    if isinstance(value, str):
        return _SECRET_VALUE.sub(HIDDEN, value)
    return value


def _is_secret(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool) or key in _ORDINARY:
        return False
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower())
    if not words:
        return False
    tokens = words[-1] == "tokens" and bool(_KEPT_APART.intersection(words))
    return words[-1] in _LAST_WORDS or tokens or bool(_ANY_WORD.intersection(words))
