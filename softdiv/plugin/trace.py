"""``SOFTDIV_TRACE_PLUGINS=1``: every hook call with its plugin and its time, to a logger.

The command line prints the logger ``softdiv.trace`` on standard error; a program that uses softdiv
as a library listens to it as to any other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

TRACE = "SOFTDIV_TRACE_PLUGINS"
"""Environment variable: ``1`` prints every hook call."""

logger = logging.getLogger("softdiv.trace")


@contextmanager
def traced(hook: str, label: str) -> Iterator[None]:
    """Log the call inside, also when it fails."""
    start = time.perf_counter()
    try:
        yield
    finally:
        if logger.isEnabledFor(logging.INFO):
            milliseconds = (time.perf_counter() - start) * 1e3
            logger.info("%s  %s  %.3f ms", hook, label, milliseconds)
