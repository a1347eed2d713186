"""The ``[pair]`` table that options describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softdiv.cli.pair_table import pair_table
from softdiv.errors import ConfigError

NONE: dict[str, Any] = dict.fromkeys(
    ("pair", "model_1", "model_2", "adapter", "quantize", "gguf_file", "revision_1", "revision_2")
)


def table(**options: str) -> dict[str, Any]:
    found = pair_table({**NONE, **options})
    assert found is not None
    return found


def hf(**options: str) -> dict[str, str]:
    return {"loader": "hf", **options}


def test_no_option_leaves_the_config_alone() -> None:
    assert pair_table(NONE) is None


def test_adapter_and_quantize_go_on_top_of_model_1() -> None:
    assert table(model_1="m", gguf_file="f", quantize="int4") == {
        "model_1": hf(path="m", gguf_file="f"),
        "model_2": hf(path="m", gguf_file="f", quantize="int4"),
    }


def test_model_2_has_its_own_path() -> None:
    found = table(model_1="m", model_2="n", adapter="d", gguf_file="f")
    assert found["model_2"] == hf(path="n", adapter="d")


def test_revisions_of_hub_ids() -> None:
    assert table(model_1="org/m@v1", model_2="org/m@refs/pr/1") == {
        "model_1": hf(path="org/m", revision="v1"),
        "model_2": hf(path="org/m", revision="refs/pr/1"),
    }
    two = {"model_1": hf(path="m", revision="a"), "model_2": hf(path="m", revision="b")}
    assert table(model_1="m", revision_1="a", revision_2="b") == two
    assert table(model_1="m@a", revision_2="b") == two
    assert table(model_1="m@a", adapter="d")["model_2"] == hf(path="m", revision="a", adapter="d")


def test_a_folder_may_hold_an_at_sign_and_has_no_revisions(tmp_path: Path) -> None:
    folder = tmp_path / "m@v1"
    folder.mkdir()
    assert table(model_1=str(folder), quantize="int4")["model_1"] == hf(path=str(folder))
    for option in ("revision_1", "revision_2"):
        with pytest.raises(ConfigError, match="m@v1 is on this machine and has no revisions"):
            table(**{"model_1": str(folder), "quantize": "int4", option: "v2"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "d"}, "--adapter needs --model-1"),
        ({"revision_1": "d"}, "--revision-1 needs --model-1"),
        ({"model_1": "m"}, "not a pair"),
        ({"pair": "p", "quantize": "int8"}, "--pair cannot be combined with --quantize"),
        ({"pair": "p", "revision_2": "x"}, "--pair cannot be combined with --revision-2"),
        ({"model_1": "m@a", "model_2": "n", "revision_1": "b"}, "m@a and --revision-1 b differ"),
    ],
)
def test_half_a_pair_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        table(**options)
