"""Thirty installed plugins: none is imported unless a run or the user names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_site import install

from softdiv.cli.main import COMMANDS

COUNT = 30
BOOBY_TRAP = "raise RuntimeError('imported although nobody asked')"
SMOKE = Path(__file__).parents[2] / "configs" / "smoke.toml"
SMALL_RUN = (
    "run",
    str(SMOKE),
    "--set",
    "plugins=[]",
    "--set",
    'evaluation.metrics=["jsd"]',
    "--set",
    "training.engine.name=torch",
    "--set",
    "training.max_steps=1",
    "--set",
    "generation.budget_fte=500",
    "--set",
    'generation.baselines=["empty"]',
    "--output-dir",
    "run",
    "--quiet",
)
LOOKS = {
    "help": ("--help",),
    "run-help": ("run", "--help"),
    "plugins": ("plugins", "list"),
    "pairs": ("pairs", "list"),
    "doctor": ("doctor",),
}
EXISTING = {name: args for name, args in LOOKS.items() if args[0][0] == "-" or args[0] in COMMANDS}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crowd")
    for number in range(COUNT):
        install(folder, f"crowd-{number}", BOOBY_TRAP)
    return folder


def imported_by(arguments: tuple[str, ...], crowd: Path, cwd: Path) -> tuple[list[str], str]:
    """Which of the crowd's modules were in ``sys.modules`` at the end, and what was printed."""
    code = (
        "import json, sys\n"
        "from softdiv.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as ended: code = ended.code\n"
        "found = [name for name in sys.modules if name.startswith('fake_softdiv_crowd')]\n"
        "print(json.dumps([code, found]))\n"
    )
    path = os.pathsep.join([str(crowd), *sys.path])
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SOFTDIV_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**clean, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.splitlines()
    code_, found = json.loads(last)
    assert code_ == 0 or arguments[0] == "doctor", done.stderr
    return found, "\n".join(shown)


@pytest.mark.parametrize("name", EXISTING)
def test_looking_around_imports_no_plugin(name: str, crowd: Path, tmp_path: Path) -> None:
    found, shown = imported_by(EXISTING[name], crowd, tmp_path)
    assert found == []
    if name == "plugins":
        assert all(f"crowd-{number}" in shown for number in range(COUNT))


def test_a_run_that_declares_none_imports_none(crowd: Path, tmp_path: Path) -> None:
    found, _ = imported_by(SMALL_RUN, crowd, tmp_path)
    assert found == []
    assert (tmp_path / "run" / "report.html").exists()


def test_the_trap_works(crowd: Path, tmp_path: Path) -> None:
    """Without this, the tests above could pass because nothing was installed."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from softdiv.cli.main import main; main()",
            "run",
            str(SMOKE),
            "--plugin",
            "crowd-7",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(crowd), *sys.path])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 3
    assert "'crowd-7' (softdiv-crowd-7 1.2) failed to import: RuntimeError" in done.stderr
