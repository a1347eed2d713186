"""SIGKILL at random moments of a whole run, as often as it is started again."""

from __future__ import annotations

from pathlib import Path
from random import Random

from judge import Trials
from warm import call, start

KILLS_OF_A_RUN = 3
"""at most; then it may end"""


def kill(root: Path, count: int, seed: int, seconds: float) -> tuple[Trials, int]:
    """Kill ``count`` times; returns the runs that came of it, and the kills.

    Args:
        seconds: what a whole run takes.
    """
    rng, trials, kills, runs = Random(seed), Trials.of(root), 0, 0
    while kills < count:
        folder, ended, runs = root / f"kill-{seed}-{runs}", None, runs + 1
        command = ["run", root / "config.toml", "--quiet", "--output-dir", folder]
        for _ in range(KILLS_OF_A_RUN):
            running = start(command)
            ended = running.ended(rng.uniform(0, seconds))
            if ended is not None:
                break
            killed = running.kill()
            trials.refused_in_one_line(f"kill {kills}", killed, killed=True)
            kills += killed.code < 0
        trials.goes_on(f"run {runs}", ended or call(command), folder)
    return trials, kills
