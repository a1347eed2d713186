"""A time limit on foreign code that runs in our thread.

It works by a POSIX timer signal, so it interrupts what the interpreter runs in the main thread:
Python code, sleeping, waiting for a lock, a socket or a process. It cannot interrupt a call into
native code that does not come back to the interpreter, and it is not armed outside the main thread
or on Windows; nothing but a second process could.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from softdiv.errors import ConfigError

IMPORT_TIMEOUT = "SOFTDIV_IMPORT_TIMEOUT"
"""Environment variable: seconds a plugin may take to be imported and to register; 0 = no limit."""
HOOK_TIMEOUT = "SOFTDIV_HOOK_TIMEOUT"
"""Environment variable: seconds an observer may take in one hook; 0 = no limit."""
SEARCH_TIMEOUT = "SOFTDIV_SEARCH_TIMEOUT"
"""Environment variable: seconds a searcher may neither give a prompt nor run a model; 0 = no
limit."""
JOIN_TIMEOUT = "SOFTDIV_JOIN_TIMEOUT"
"""Environment variable: seconds to wait for the other ranks of a launcher; 0 = no limit."""
_DEFAULTS = {
    IMPORT_TIMEOUT: 60.0,
    HOOK_TIMEOUT: 300.0,
    SEARCH_TIMEOUT: 3600.0,
    JOIN_TIMEOUT: 300.0,
}


class Overdue(BaseException):
    """Raised inside foreign code that exceeds its limit.

    No ``Exception``, or the ``except Exception`` of the hanging code would swallow it.
    """


def limit_of(variable: str) -> float:
    """Seconds set in the environment, or the default. Raises ConfigError if it is no number."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return _DEFAULTS[variable]
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{variable}={text}: expected seconds, 0 = no limit")
    return seconds


class TimeLimit:
    """``with TimeLimit(60):`` raises :class:`Overdue` inside the block when time is up.

    A timer that was running already (a test's own timeout, say) goes on afterwards.

    Args:
        progress: what counts as work done. Where it has changed, time starts anew.
    """

    def __init__(self, seconds: float, progress: Callable[[], object] = lambda: None) -> None:
        self._seconds = seconds
        self._progress = progress
        self._armed = False

    def __enter__(self) -> TimeLimit:
        if self._seconds > 0 and _can_interrupt():
            self._previous = signal.signal(signal.SIGALRM, self._fire)
            self._armed, self._start = True, time.monotonic()
            self._seen = self._progress()
            # it repeats: a bare `except:` in the block swallows the first one
            self._left, self._every = signal.setitimer(signal.ITIMER_REAL, self._seconds, 1.0)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._armed:
            return
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self._previous)
        if self._left:
            left = self._left - (time.monotonic() - self._start)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-3), self._every)

    def _fire(self, number: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        before, self._seen = self._seen, self._progress()
        if before != self._seen:
            signal.setitimer(signal.ITIMER_REAL, self._seconds, 1.0)
        else:
            raise Overdue(f"no end after {self._seconds:g} s")


def _can_interrupt() -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is not None  # None: set from C, cannot be put back
    )
