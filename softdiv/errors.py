"""Errors a user can act on. Each says what happened, why, and what to do.

The command line prints them as one line without a traceback and exits with
``exit_code``. Anything that is not a :class:`SoftdivError` is a bug in softdiv.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SoftdivError(Exception):
    """Base class. ``what`` happened, ``why`` it did, ``fix``: what the user can do."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.fix:
            text += f" ({self.fix})"
        return text


class ConfigError(SoftdivError):
    """The configuration is wrong; ``problems`` lists every problem found, one line each."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[str], *, fix: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems), fix=fix)


class PluginError(SoftdivError):
    """A plugin is missing, cannot be loaded, or failed where the run cannot go on without it."""

    exit_code = 3


class PairError(SoftdivError):
    """A model cannot be loaded, or the two models cannot be compared."""

    exit_code = 4


class DataError(SoftdivError):
    """A data source is missing, unreadable or too small."""

    exit_code = 4


class RunError(SoftdivError):
    """A run folder is locked, damaged, or belongs to another configuration."""

    exit_code = 5


class DiskError(RunError):
    """The system refused a file: disk full or failing, read-only, no permission, name too long."""

    exit_code = 8


class TrainingError(SoftdivError):
    """Training cannot go on (non-finite loss, no gradient, engine missing)."""

    exit_code = 6


GATE_FAILED = 7
"""Exit code of ``softdiv evaluate`` when a value is outside the limits it was given. No error:
the command did its work."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the run after its state was saved; the message says how to go on."""


KNOWN_SHOWN = 12
"""Known words listed in an error; the rest are counted."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the closest known word, or the known words when none is close."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f", and {len(words) - KNOWN_SHOWN} more" if len(words) > KNOWN_SHOWN else ""
    return f"known: {', '.join(words[:KNOWN_SHOWN])}{more}" if words else "none is known"
