"""The short form is part of ``make test``; ``make test-faults`` sets SOFTDIV_FAULTS=long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LONG = os.environ.get("SOFTDIV_FAULTS") == "long"
DRIVER = Path(__file__).parent / "driver.py"
COUNTS = "counts"

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def counted(
    record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> Callable[..., None]:
    """Numbers for the summary that ``make test-faults`` ends with."""

    def count(**numbers: int) -> None:
        record_property(COUNTS, f"{request.node.name}: {json.dumps(numbers)}")

    return count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [r for r in terminalreporter.getreports("passed") if r.when == "call"]
    lines = [text for r in reports for name, text in r.user_properties if name == COUNTS]
    if LONG and lines:
        terminalreporter.section("faults")
        for line in sorted(lines):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """One warm process for all tests of a session: see ``warm.py``."""
    root = tmp_path_factory.mktemp("faults")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(DRIVER), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SOFTDIV_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


@pytest.fixture
def ask(driver: subprocess.Popen[str], counted: Callable[..., None]) -> Ask:
    """Let the driver try something; its counts, of which those of failures have to be 0."""

    def asked(what: str, count: int, seed: int) -> dict[str, Any]:
        assert driver.stdin is not None and driver.stdout is not None
        request = json.dumps({"what": what, "count": count, "seed": seed})
        print(request, file=driver.stdin, flush=True)
        answer = driver.stdout.readline()
        if not answer:
            assert driver.stderr is not None
            pytest.fail(driver.stderr.read())
        found: dict[str, Any] = json.loads(answer)
        lines = found.pop("lines")
        counted(**found)
        assert not lines, "\n".join(lines)
        assert found["survived"] == found["tried"] > 0
        assert found["tracebacks"] == found["wrong"] == found["left"] == 0
        return found

    return asked
