"""Secrets do not leave the run; ordinary settings do."""

from __future__ import annotations

import pytest

from softdiv.config.redact import HIDDEN, redacted


@pytest.mark.parametrize(
    "config",
    [
        {"api_key": "x"},
        {"hub": {"HF-TOKEN": "x"}},
        {"password": "x"},
        {"list": [{"secret": "x"}]},
    ],
)
def test_values_under_telling_keys(config: dict[str, object]) -> None:
    assert "'x'" not in str(redacted(config))


def test_tokens_anywhere() -> None:
    token = "hf_" + "a" * 30
    hidden = redacted({"path": f"https://user:pass@example.org/{token}"})
    assert hidden == {"path": f"https://{HIDDEN}@example.org/{HIDDEN}"}


def test_settings_stay() -> None:
    config = {
        "num_soft_prompt_tokens": 6,
        "max_prompt_tokens": 24,
        "text_key": "text",
        "keys": ["a"],
        "monkey": "b",
        "path": "models/x",
    }
    kept = redacted(config)
    assert kept["num_soft_prompt_tokens"] == 6
    assert kept["max_prompt_tokens"] == 24
    assert kept["monkey"] == "b"
    assert kept["path"] == "models/x"
    assert kept["keys"] == ["a"]
