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
        {"apiKey": "x"},
        {"accessToken": "x"},
        {"hub.private-key": "x"},
        {"auth_tokens": ["x"]},
        {"credentials": {"user": "x"}},
        {"WANDB_API_KEY": "x"},
        {"client_secret_value": "x"},
        {"Authorization": "x"},
    ],
)
def test_values_under_telling_keys(config: dict[str, object]) -> None:
    assert "'x'" not in str(redacted(config))


def test_a_password_of_digits_is_one_too() -> None:
    assert redacted({"password": 1234, "token": 5.5}) == {"password": HIDDEN, "token": HIDDEN}


@pytest.mark.parametrize(
    "text",
    [
        "https://user:p@ss@example.org/x",
        "https://glpat-token@example.org/x",
        "s3://bucket/x?X-Amz-Signature=secret&a=1",
        "https://example.org/?access_token=secret",
        "Authorization: Bearer secret-secret",
        "github_pat_" + "secret" * 5,
        "xoxb-secret-secret",
        "AKIA" + "SECRET12" * 2,
    ],
)
def test_secrets_inside_a_text(text: str) -> None:
    said = redacted(f"it failed: {text} (gone)")
    assert HIDDEN in said and said.startswith("it failed: ") and said.endswith("(gone)")
    assert not any(word in said for word in ("p@ss", "ss@", "ecret", "ECRET", "glpat"))


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
        "messages_key": "conversations",
        "init_tokens": "three",
        "mail": "me@example.org",
        "link": "https://example.org/a?b=c",
        "use_auth": True,
        "token": None,
    }
    assert redacted(config) == config
