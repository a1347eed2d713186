"""Loader ``openai``: a model behind an OpenAI-compatible endpoint, for ``pair.by = "text"``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, min_len

from softdiv import ConfigError, ModelLoader, Register, TextSubject, hookimpl
from softdiv.errors import PairError


@attrs.frozen(kw_only=True)
class OpenAILoader:
    """Asks the chat endpoint; with ``tokenizer`` the completions endpoint, token by token."""

    model: str = attrs.field(validator=min_len(1))
    """Name that the endpoint knows the model by."""
    base_url: str | None = None
    """Where it is, e.g. http://localhost:8000/v1; by default OPENAI_BASE_URL, or OpenAI itself."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key. The key itself is stored nowhere."""
    tokenizer: str | None = None
    """Folder or hub id of the model's own tokenizer. With it any text can be scored, where the
    endpoint echoes log-probabilities; without it only what the model says itself."""
    template_arguments: Mapping[str, Any] = attrs.field(factory=dict)
    """What its chat template is told; with tokenizer."""
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the chat endpoint calls the longest answer."""
    extra_body: Mapping[str, Any] = attrs.field(factory=dict)
    """Further fields of every request, e.g. what vLLM tells the chat template."""
    concurrency: int = attrs.field(default=8, validator=ge(1))
    """Requests under way at a time."""
    max_retries: int = attrs.field(default=5, validator=ge(0))
    """Of a request that was refused for its rate, timed out, or met a failing server."""
    timeout: float = attrs.field(default=120.0, validator=gt(0.0))
    """Seconds that a request may take."""

    def load(self, device: str) -> tuple[Any, Any]:
        """Raises PairError: there are no weights."""
        raise PairError(
            "a served model has no weights here", fix='compare it by text: pair.by = "text"'
        )

    def subject(self) -> TextSubject:
        """The model, after one or two questions that show what it gives.

        Raises:
            ConfigError: no key is set where one is needed.
            PairError: the endpoint cannot be reached, or gives numbers that cannot be used.
        """
        from softdiv_openai.chat import ChatSubject
        from softdiv_openai.completions import CompletionsSubject
        from softdiv_openai.endpoint import Endpoint

        key = os.environ.get(self.api_key_env)
        if not key and self.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
            raise ConfigError(
                f"the environment variable {self.api_key_env} is not set",
                fix="set it to the endpoint's key, or give base_url for a server without keys",
            )
        endpoint = Endpoint.to(self, key or "none")
        if self.tokenizer is None:
            return ChatSubject.of(endpoint, self.max_tokens_key)
        return CompletionsSubject.of(endpoint, self.tokenizer, self.template_arguments)


@hookimpl
def softdiv_register_models(register: Register[ModelLoader]) -> None:
    """Register the loader."""
    register("openai", OpenAILoader)
