"""Commands in forked processes: everything is imported once, and a tiny run takes a second or two.

For the drivers in this folder, which are programs of their own: they fork before torch has started
any thread, which pytest cannot promise.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from tiny import CONFIG

from softdiv.analysis import figures

warnings.simplefilter("ignore")
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    """its exit code; minus the signal that killed it"""
    out: str
    err: str

    @property
    def traceback(self) -> bool:
        """Whether a user saw one."""
        return "Traceback" in self.err or "Exception ignored" in self.err


@attrs.define
class Command:
    """A command under way."""

    pid: int
    out: Path
    err: Path

    def ended(self, seconds: float | None = None) -> Ended | None:
        """Wait for it, not longer than ``seconds``; None if it goes on."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                texts = [path.read_text(errors="replace") for path in (self.out, self.err)]
                for path in (self.out, self.err):
                    path.unlink()
                return Ended(code, *texts)
            if until is not None and time.monotonic() >= until:
                return None
            time.sleep(0.002)

    def kill(self) -> Ended:
        """SIGKILL; or how it had ended before."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        ended = self.ended()
        assert ended is not None
        return ended


def start(arguments: Sequence[object], before: Callable[[], None] | None = None) -> Command:
    """``softdiv ARGUMENTS`` in a child, ``before`` called first in it."""
    out, err = (Path(tempfile.mkstemp(prefix="softdiv-fault-")[1]) for _ in range(2))
    pid = os.fork()
    if pid:
        return Command(pid, out, err)
    code = 1
    try:
        for path, number in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY), number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        figures._saved = lambda drawn, kind: b"<svg/>"  # half the time of a tiny run
        if before is not None:
            before()
        code = _main(arguments)
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def call(arguments: Sequence[object], before: Callable[[], None] | None = None) -> Ended:
    """The same, waited for."""
    ended = start(arguments, before).ended()
    assert ended is not None
    return ended


def warm_up(root: Path) -> float:
    """Import everything into this process; returns the seconds of a run.

    No model is run here: after a backward pass torch refuses to work in a fork.

    Args:
        root: gets ``config.toml`` and the finished run ``true``.
    """
    (root / "config.toml").write_text(CONFIG)
    command = ["run", root / "config.toml", "--quiet", "--output-dir"]
    names = root / "modules"
    ended = call([*command, root / "true"], lambda: atexit.register(_write_modules, names))
    assert ended.code == 0, ended.err
    for name in names.read_text().split():
        with contextlib.suppress(Exception):  # what was made at run time is no module to import
            importlib.import_module(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork would lose a thread"
    begun = time.monotonic()
    ended = call([*command, root / "timed"])
    assert ended.code == 0, ended.err
    return time.monotonic() - begun


def _write_modules(path: Path) -> None:
    path.write_text("\n".join(sys.modules))


def _main(arguments: Sequence[object]) -> int:
    import traceback

    from softdiv.cli.main import main

    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:
        traceback.print_exc()
    return 1
