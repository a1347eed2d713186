"""Many starts of one command at the same moment: one of them runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from judge import Trials
from warm import call, start

from softdiv import pipeline


def race(root: Path, count: int, *, named: bool) -> Trials:
    """Start ``count`` processes together.

    Args:
        named: with ``--output-dir``; otherwise each looks for a run, and makes one without.
    """
    trials, parent = Trials.of(root), root / f"race-{named:d}"
    parent.mkdir()
    place = parent / "run"
    where = ["--output-dir", place] if named else ["--set", f"output_dir={parent}"]
    command = ["run", root / "config.toml", *where]
    ready, go = os.pipe(), os.pipe()
    running = [start(command, _together(ready[1], go[0])) for _ in range(count)]
    for _ in running:
        os.read(ready[0], 1)  # each is about to open the run folder
    os.write(go[1], bytes(count))
    ended = [one.ended() for one in running]
    for end in (*ready, *go):
        os.close(end)
    ran, lost, other = 0, 0, []
    for one in ended:
        assert one is not None
        trials.tried += 1
        trials.refused_in_one_line("a start", one)
        if one.code == 0 and "had finished" not in one.err:
            ran += 1
        elif one.code == 0 or (one.code == 5 and "is in use by another process" in one.err):
            lost += 1  # the first: it came when the winner had ended
        else:
            other.append(f"code {one.code}: {one.err}")
    trials.survived = ran + lost
    trials.wrong += (ran != 1) + len(other)
    trials.lines += [f"{ran} of {count} ran", *other] if ran != 1 or other else []
    folders = list(parent.iterdir())
    if len(folders) != 1:
        trials.wrong += 1
        trials.lines.append(f"{len(folders)} folders")
    trials.tried -= 1  # the same runs, once more
    trials.survived -= 1
    trials.goes_on("the winner's run", call([*command, "--quiet"]), folders[0])
    shutil.rmtree(parent, ignore_errors=True)
    return trials


def _together(ready: int, go: int) -> Callable[[], None]:
    def install() -> None:
        real = pipeline.open_run

        def waiting(*args: Any, **kwargs: Any) -> Any:
            os.write(ready, b".")
            os.read(go, 1)
            return real(*args, **kwargs)

        pipeline.open_run = waiting

    return install
