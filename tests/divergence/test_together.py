"""Two ranks sample and score what one does, at what one pays."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from softdiv.divergence.batches import NextTokens
from softdiv.divergence.shares import dealt
from softdiv.pair.layout import Context
from softdiv.storage.atomic import read_json

DRIVER = Path(__file__).with_name("ranks_driver.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    file = tmp_path_factory.mktemp("ranks") / "found.json"
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), str(file)],
            env={**common, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 3], errors
    read: dict[str, Any] = read_json(file)
    return read


def flat(value: Any) -> list[float]:
    return [n for part in value for n in flat(part)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("what", ["rollouts", "both", "alone", "next", "given", "bits", "gradient"])
def test_two_ranks_find_what_one_finds(found: dict[str, Any], what: str) -> None:
    one, two = found["one"][what], found["together"][what]
    assert flat(two) == pytest.approx(flat(one), abs=1e-5)


def test_they_pay_what_one_pays_and_keep_the_same_prefixes(found: dict[str, Any]) -> None:
    for what in ("ledger", "prefixes"):
        assert found["together"][what] == found["one"][what]


def test_a_rank_with_little_memory_halves_its_rows_and_rank_0_says_so(
    found: dict[str, Any],
) -> None:
    assert found["notes"] == ["out of memory: 2 row(s) at a time from here on"]


def test_an_error_of_another_rank_is_the_error_of_one_process(found: dict[str, Any]) -> None:
    assert "positions of model_1" in found["one"]["failed"]
    assert found["together"]["failed"] == found["one"]["failed"]


def test_a_metric_that_fails_on_one_rank_is_not_available(found: dict[str, Any]) -> None:
    assert found["one"]["extra"] == ["gap", "picky"] and not found["one"]["unavailable"]
    assert found["together"]["extra"] == ["gap"]
    assert "not here" in found["together"]["unavailable"]["picky"]


def test_a_rank_that_is_gone_ends_the_run(found: dict[str, Any]) -> None:
    assert "rank 0 lost the connection to another rank" in found["lost"]


def test_every_row_is_dealt_once_and_equal_contexts_go_to_one_rank() -> None:
    contexts = [Context(before=tuple(range(10 + n // 2))) for n in range(80)]
    batch = NextTokens(model=0, contexts=tuple(contexts))
    for world in (1, 2, 3):
        shares = dealt(batch, world)
        assert sorted(row for share in shares for row in share) == list(range(80))
        owners = [{contexts[row] for row in share} for share in shares]
        assert sum(map(len, owners)) == 40
        work = [sum(len(context) for context in owned) for owned in owners]
        assert max(work) <= 1.2 * min(work)
    assert dealt(NextTokens(model=0, contexts=tuple(contexts[:1])), 3) == [[0], [], []]
    alike = NextTokens(model=0, contexts=(contexts[0],) * 9)
    assert [len(share) for share in dealt(alike, 3)] == [3, 3, 3]
