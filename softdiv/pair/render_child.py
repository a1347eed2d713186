"""The process that renders chat templates: a template is a stranger's program.

It may loop without end or write more than fits into memory, so it runs apart, with a limit on
both. Requests and answers are lines of JSON on standard input and output; the process ends with
its input.
"""

from __future__ import annotations

import datetime
import json
import random
import signal
import sys
from typing import Any

SECONDS = 2
"""Of computing, per conversation; an ordinary template takes a few ten-thousandths."""
MEMORY = 1 << 30
"""Bytes of address space; an ordinary template needs a seventh."""
LONGEST = 2_000_000
"""Characters of a rendered conversation."""


class _FrozenTime(datetime.datetime):
    """``now()`` is the day that the run is told, whenever it runs."""

    today_is = "1970-01-01"

    @classmethod
    def now(cls, tz: Any = None) -> _FrozenTime:
        """Midnight of that day."""
        return cls.fromisoformat(cls.today_is)


def main() -> None:
    """Answer requests until the input ends."""
    limited = _limit_memory()
    datetime.datetime = _FrozenTime  # type: ignore[misc]  # before transformers takes it
    from transformers.utils.chat_template_utils import render_jinja_template

    for line in sys.stdin:
        if limited:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # SIGPROF ends the process
        answer = json.dumps(_answer(json.loads(line), render_jinja_template))
        if limited:
            signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _limit_memory() -> bool:
    """Whether this system knows limits; Windows does not."""
    try:
        import resource
    except ImportError:
        return False
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return True


def _answer(request: dict[str, Any], render: Any) -> dict[str, Any]:
    """``text``, or what went wrong as ``kind``, ``message`` and ``line``."""
    _FrozenTime.today_is = request["date"]
    random.seed(0)  # Jinja has a filter that draws
    try:
        (text,), _ = render(
            conversations=[request["messages"]],
            chat_template=request["template"],
            add_generation_prompt=request["answer"],
            **request["arguments"],
        )
    except Exception as error:  # a template can raise anything
        line = getattr(error, "lineno", None)
        return {"kind": type(error).__name__, "message": str(error)[:500], "line": line}
    if len(text) > LONGEST:
        return {"kind": "TooLong", "message": f"{len(text):,} characters", "line": None}
    return {"text": text}
