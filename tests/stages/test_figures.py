"""One process computes what it computed before: texts, numbers and ledger of a tiny run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import differences, figures_of, tiny_run

from softdiv.storage.atomic import read_json

RECORDED = Path(__file__).with_name("figures.json")
"""Written by tiny_run.py; anew only where a random stream's key or a searcher was changed."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_run_finds_what_it_found_when_it_was_recorded(tmp_path: Path) -> None:
    found = figures_of(tiny_run(tmp_path / "run"))
    assert not list(differences(found, read_json(RECORDED)))
