"""mypy tells an author what a component lacks, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """
from __future__ import annotations
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal
from torch import Tensor
from softdiv import (
    Analyzer, Budget, Example, Finding, HardPrompt, Loss, ModelLoader, Processor, Register,
    ResponseMetric, ResponsePair, Rows, SearchTask, Searcher, Section, TokenMetric, hookimpl,
)
"""
KINDS = {
    "models": ("ModelLoader", "def load(self, device: str) -> tuple[Any, Any]:", ""),
    "processors": (
        "Processor",
        "def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:",
        "",
    ),
    "losses": ("Loss", "def __call__(self, rows: Rows) -> Tensor:", ""),
    "metrics": (
        "TokenMetric",
        "def __call__(self, rows: Rows) -> Tensor:",
        'level: ClassVar[Literal["token"]] = "token"',
    ),
    "searchers": (
        "Searcher",
        "def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:",
        'role: ClassVar[Literal["proposer"]] = "proposer"',
    ),
    "analyzers": (
        "Analyzer",
        "def __call__(self, findings: Sequence[Finding]) -> Section:",
        "",
    ),
}
BAD = {
    "models": ("-> tuple[Any, Any]", "-> None"),
    "processors": ("-> Iterator[Example]", "-> list[str]"),
    "losses": ("rows: Rows", "rows: list[float]"),
    "metrics": ('"token"', '"tokens"'),
    "searchers": ('"proposer"', '"proposal"'),
    "analyzers": ("-> Section", "-> str"),
}


def module(kind: str, *, bad: bool) -> str:
    protocol, call, attribute = KINDS[kind]
    lines = ["class Mine:", attribute or "x = 1", call, "    raise ValueError"]
    body = "\n    ".join(lines)
    if bad:
        assert BAD[kind][0] in body
        body = body.replace(*BAD[kind])
    return (
        f"{HEAD}\n{body}\n\n@hookimpl\n"
        f"def softdiv_register_{kind}(register: Register[{protocol}]) -> None:\n"
        '    register("mine", Mine)\n'
    )


def test_a_wrong_component_is_an_error_that_names_the_protocol(tmp_path: Path) -> None:
    for kind in KINDS:
        (tmp_path / f"good_{kind}.py").write_text(module(kind, bad=False))
        (tmp_path / f"bad_{kind}.py").write_text(module(kind, bad=True))
    (tmp_path / "any_plain.py").write_text(
        module("losses", bad=True).replace("Register[Loss]", "Register")
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    for kind, (protocol, _, _) in KINDS.items():
        (line,) = [error for error in errors if f"bad_{kind}.py" in error]
        assert protocol in line and "[arg-type]" in line
    assert not [error for error in errors if "good_" in error or "plain" in error], done.stdout
