"""How long ``--help`` takes, for softdiv and every command and subcommand: wall clock of a process.

    python benchmarks/cli_startup.py [--repeats 5]

Wall clock: the fastest of the repeats and the median. On a machine that does other work at the same
time these are waiting times too, so the processor time of the fastest is given beside them.
``python -c pass`` is the floor that no command can go below.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

import click
from result_file import write_result

from softdiv.cli.main import softdiv

CODE = "import sys; from softdiv.cli.main import main; main(sys.argv[1:])"


def command_paths(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """``()``, ``("runs",)``, ``("runs", "list")``, ..."""
    found = [path]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                found += command_paths(inner, (*path, name))
    return found


def seconds(command: list[str], repeats: int) -> dict[str, float]:
    """Wall clock, fastest and median, and the least processor time (user and system)."""
    taken, worked = [], []
    for _ in range(repeats):
        before, start = _processor_seconds(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
        worked.append(_processor_seconds() - before)
    return {
        "fastest": round(min(taken), 3),
        "median": round(statistics.median(taken), 3),
        "processor": round(min(worked), 3),
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    found = {"python -c pass": seconds([sys.executable, "-c", "pass"], options.repeats)}
    for path in command_paths(softdiv):
        command = [sys.executable, "-c", CODE, *path, "--help"]
        found[" ".join(("softdiv", *path, "--help"))] = seconds(command, options.repeats)
    for name, times in found.items():
        print(f"{name:<36}", *(f"{what} {value:.3f} s " for what, value in times.items()))
    rows = [{"command": name, **times} for name, times in found.items()]
    helps = [times for name, times in found.items() if name.startswith("softdiv")]
    summary = {
        "slowest_help_seconds": max(times["median"] for times in helps),
        "bare_python_seconds": found["python -c pass"]["median"],
    }
    settings = {"unit": "s", "repeats": options.repeats}
    print(write_result("cli_startup", settings=settings, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
