"""Errors a user can act on. Each says what happened, why, and what to do.

The command line prints them as one line without a traceback and exits with
``exit_code``. Anything that is not a :class:`SoftdivError` is a bug in softdiv.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

PROBLEMS_SHOWN = 30
LONGEST_LINE = 1000
"""Characters of a config's problem: a key or a name may be of any length."""
KNOWN_SHOWN = 12
"""Known words listed in an error; the rest are counted."""
LONGEST_WORD = 100
"""Characters of a word that is compared with others, or shown whole."""


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
    """The configuration is wrong; ``problems`` lists what was found, one line each.

    No more than :data:`PROBLEMS_SHOWN`, with a last line that counts the rest.
    """

    exit_code = 2

    def __init__(self, problems: str | Iterable[str], *, fix: str = "") -> None:
        found = [problems] if isinstance(problems, str) else list(problems)
        more = len(found) - PROBLEMS_SHOWN
        last = [f"and {more} more problems"] if more > 0 else []
        self.problems = (*(cut(line, LONGEST_LINE) for line in found[:PROBLEMS_SHOWN]), *last)
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
    """Training cannot go on (non-finite loss, no gradient, engine missing), or a rank or a text
    that does not fit into memory ends what is computed."""

    exit_code = 6


class LostRank(TrainingError):
    """Another process of the launcher is gone: no plugin's failure, and nothing can go on."""


GATE_FAILED = 7
"""Exit code of ``softdiv evaluate`` when a value is outside the limits it was given. No error:
the command did its work."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the run after its state was saved; the message says how to go on."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the closest known word, or the known words when none is close."""
    words = sorted(known)
    near = closest(word, words)
    if near is not None:
        return f"did you mean '{cut(near)}'?"
    more = f", and {len(words) - KNOWN_SHOWN} more" if len(words) > KNOWN_SHOWN else ""
    listed = ", ".join(map(cut, words[:KNOWN_SHOWN]))
    return f"known: {listed}{more}" if words else "none is known"


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that was probably meant; None where none is close (0 unlike, 1 equal)."""
    # a word of any length may come out of a file, and the comparison takes its square
    words = [one for one in known if len(one) <= LONGEST_WORD] if len(word) <= LONGEST_WORD else []
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=cutoff)), None)


def in_one_line(words: str, length: int = 200) -> str:
    """What a library says, which may quote a file at any length."""
    return cut(" ".join(words.split()), length)


def cut(text: str, length: int = LONGEST_WORD) -> str:
    """No more than so many characters, the last a sign that there were others."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
