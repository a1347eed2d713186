"""What may and what may not come of a fault."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import attrs
from tiny import leftovers, results
from warm import Ended, call

NOTED = re.compile(r"checkpoint \S+ is damaged|metrics\.jsonl (has changed|is missing)")
"""Warnings that a continued run may have more than one that was not interrupted."""


@attrs.define
class Trials:
    """Counts, and a line for everything that was wrong."""

    true: dict[str, Any]
    """the results of a run that nothing happened to"""
    tried: int = 0
    survived: int = 0
    tracebacks: int = 0
    wrong: int = 0
    left: int = 0
    """files of killed writers"""
    lines: list[str] = attrs.field(factory=list)

    @classmethod
    def of(cls, root: Path) -> Trials:
        """Compared with the run ``root/true``."""
        return cls(results(root / "true"))

    def refused_in_one_line(self, what: str, ended: Ended, *, killed: bool = False) -> None:
        """A fault ends a command with one line and a code of its own, or does not matter."""
        if ended.traceback or ended.code == 1:
            self.tracebacks += 1
            self.lines.append(f"{what}: code {ended.code}: {ended.err[-1500:]}")
        elif ended.code != 0 and not (killed and ended.code < 0):
            errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
            if len(errors) != 1 or ended.code < 2:
                self.wrong += 1
                self.lines.append(f"{what}: code {ended.code}: {ended.err}")

    def goes_on(self, what: str, ended: Ended, folder: Path) -> None:
        """The same command, given again, ends as if nothing had happened."""
        self.tried += 1
        self.refused_in_one_line(what, ended)
        found = leftovers(folder) if folder.exists() else []
        self.left += len(found)
        problems = [*found, *(self.differences(folder) if ended.code == 0 else [ended.err])]
        verified = call(["runs", "verify", folder])
        if verified.code != 0:
            problems.append(verified.out + verified.err)
        self.wrong += bool(problems)
        self.survived += not problems
        self.lines += [f"{what}: {problem}" for problem in problems]
        shutil.rmtree(folder, ignore_errors=True)

    def differences(self, folder: Path) -> list[str]:
        """What of the results is not as it should be; what a warning names may differ."""
        found, true = results(folder), dict(self.true)
        noted = [line for line in found["report"]["warnings"] if NOTED.match(line)]
        if noted:
            for one in (found, true):
                one["report"] = {**one["report"], "warnings": []}
                if any(line.startswith("metrics") for line in noted):
                    one["report"]["soft_prompt"] = {**one["report"]["soft_prompt"], "curve": None}
                    one["metrics.jsonl"] = b""
                one["report"]["soft_prompt"] = {**one["report"]["soft_prompt"], "notes": []}
        return [f"{name} differs" for name in true if found[name] != true[name]]

    def summary(self) -> dict[str, Any]:
        """For the test that asked."""
        return attrs.asdict(self, filter=attrs.filters.exclude("true"))
