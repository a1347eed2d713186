"""A pair in shards on two ranks computes what the whole pair computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.storage.atomic import read_json
from tests.pair.adapters import lora, make

pytest.importorskip("deepspeed")

PAIRS = ("tiny", "gpt2", "folders", "bfloat16", "adapter", "rounded", "itself")
NORMS = {"bfloat16": 1e-2}
"""Relative. bf16 keeps 8 bits, and the whole pair takes its prefix from a cache; 1e-3 was seen."""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("shards")
    for name, noise in (("base", 0.0), ("tuned", 0.05)):
        model, tokenizer = TinyLoader(noise=noise).load("cpu")
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    make(folder / "adapter", lora(r=2, lora_alpha=4))
    driver = str(Path(__file__).with_name("shard_driver.py"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc_per_node", "2", driver, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [read_json(folder / f"rank{rank}.json") for rank in (0, 1)]


@pytest.mark.parametrize("name", PAIRS)
def test_answers_and_gradients_are_the_whole_pairs(ranks: list[dict[str, Any]], name: str) -> None:
    for found in (rank[name] for rank in ranks):
        whole, shards = found["whole"], found["shards"]
        assert shards["ids"] == whole["ids"]
        assert flat(shards["bits"]) == pytest.approx(flat(whole["bits"]), abs=1e-6)
        assert shards["norms"] == pytest.approx(whole["norms"], rel=NORMS.get(name, 1e-5), abs=1e-9)
        assert not any(shards["leaks"])
        assert name == "itself" or min(whole["norms"]) > 0
    alone = ranks[0][name]["alone"]
    assert alone[1]["ids"] == alone[0]["ids"]


@pytest.mark.parametrize("name", PAIRS)
def test_each_rank_holds_half_of_the_layers(ranks: list[dict[str, Any]], name: str) -> None:
    for rank in ranks:
        whole, shards = rank[name]["held"]
        assert shards / whole == pytest.approx(0.5, abs=0.01)


def test_equal_weights_are_seen_in_shards(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        for name in PAIRS:
            assert rank[name]["identical"] == [name == "itself"] * 2


def test_a_pass_that_fails_halfway_does_not_upset_the_next(ranks: list[dict[str, Any]]) -> None:
    found = ranks[0]["cut short"]
    assert "not enough memory" in found["caught"]
    assert found["after"]["ids"] == found["whole"]["ids"]


def flat(rows: list[list[float]]) -> list[float]:
    return [value for row in rows for value in row]
