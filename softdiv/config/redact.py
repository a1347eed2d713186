"""Keeps secrets out of what leaves the run: trackers and their uploads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(redacted)"

_SECRET_KEY = re.compile(
    r"(^|[_-])(api[_-]?key|key|token|secret|password|passwd|auth|credentials?)$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"hf_[A-Za-z0-9]{20,}|wandb_v1_\w{20,}|sk-[\w-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


def redacted(value: Any) -> Any:
    """A copy with secrets replaced: values under telling keys, and anything shaped like a token."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN
            if isinstance(item, str) and _SECRET_KEY.search(str(key))
            else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    if isinstance(value, str):
        return _SECRET_VALUE.sub(HIDDEN, value)
    return value
