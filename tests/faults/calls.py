"""One call to the operating system fails, or is the process's last: over a whole run, one by one.

The calls are replaced in Python, where softdiv makes them (safetensors files too are written as
bytes there); the interpreter itself retries EINTR, so here it arrives as from a file system that
does not follow the rules.
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import attrs
from judge import Trials
from warm import call

ERRNOS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR)
PARTS = 6
KILL = 0
"""in place of an errno"""


@attrs.define
class Calls:
    """Counts the calls on files in a folder; number ``at`` fails with ``number``."""

    folder: Path
    at: int = -1
    number: int = errno.EIO
    seen: Counter[str] = attrs.field(factory=Counter)
    tally: Path | None = None

    def install(self) -> None:
        """In this process, for good."""
        for kind, name in (
            ("open", "open"),
            ("mkdir", "mkdir"),
            ("rename", "replace"),
            ("rename", "rename"),
            ("fsync", "fsync"),
            ("unlink", "unlink"),
        ):
            setattr(os, name, self._counted(kind, getattr(os, name)))
        io.open = self._opened(io.open)  # type: ignore[assignment]

    def before(self, kind: str, target: object) -> None:
        """A call is made; raises OSError, or does not return, if it is the chosen one."""
        if not self._inside(target):
            return
        self.seen[kind] += 1
        if self.tally is not None:
            self.tally.write_text(json.dumps(self.seen))
        if sum(self.seen.values()) - 1 != self.at:
            return
        if self.number == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.number, os.strerror(self.number), str(target))

    def _inside(self, target: object) -> bool:
        try:
            link = Path(f"/proc/self/fd/{target}")
            path = link.readlink() if isinstance(target, int) else Path(str(target)).absolute()
        except OSError:
            return False
        return path.is_relative_to(self.folder)

    def _counted(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(target: object, *args: Any, **kwargs: Any) -> Any:
            self.before(kind, target)
            return real(target, *args, **kwargs)

        return counted

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: object, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not isinstance(file, int):
                self.before("open", file)
            made = real(file, mode, *args, **kwargs)
            return _Written(made, self, file) if set(mode) & set("wax+") else made

        return opened


class _Written:
    """A file whose writes are counted; the one that fails has written half."""

    def __init__(self, file: Any, calls: Calls, target: object) -> None:
        self._file, self._calls, self._target = file, calls, target

    def write(self, data: Any) -> Any:
        try:
            self._calls.before("write", self._target)
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def counted(root: Path) -> int:
    """How many calls a whole run makes."""
    folder, tally = root / "counted", root / "tally.json"
    ended = call(_run(root, folder), Calls(folder, tally=tally).install)
    assert ended.code == 0, ended.err
    return sum(json.loads(tally.read_text()).values())


def fail(root: Path, count: int, seed: int, *, part: int, kill: bool) -> Trials:
    """Fail the calls of a run, each in a run of its own.

    Every fourth time a call of the continuation fails as well.

    Args:
        part: which share of the calls, of ``PARTS``.
        count: so many of them; 0 is every one.
    """
    rng, trials, total = Random(seed), Trials.of(root), counted(root)
    chosen = list(range(total))[part::PARTS]
    for turn, at in enumerate(sorted(rng.sample(chosen, count)) if count else chosen):
        folder = root / f"call-{seed}-{kill:d}-{at}"
        faults = [at] if turn % 4 else [at, rng.randrange(total)]
        for number in faults:
            act = KILL if kill else ERRNOS[(turn + number) % len(ERRNOS)]
            ended = call(_run(root, folder), Calls(folder, number, act).install)
            what = f"call {number} of {total}: {os.strerror(act) if act else 'killed'}"
            trials.refused_in_one_line(what, ended, killed=kill)
        trials.goes_on(f"after call {at}", call(_run(root, folder)), folder)
    return trials


def _run(root: Path, folder: Path) -> list[object]:
    return ["run", root / "config.toml", "--quiet", "--output-dir", folder]
