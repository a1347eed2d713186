"""The client, and what it has cost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import openai

from softdiv.errors import PairError
from softdiv_openai.sampling import PLAIN

if TYPE_CHECKING:
    from softdiv_openai import OpenAILoader

T = TypeVar("T")
A = TypeVar("A")
UNLIKELY = -9000.0
"""Nats. Some endpoints give -9999 for whatever is not among their most likely tokens."""


@attrs.define(eq=False)
class Endpoint:
    """Requests in parallel; the client itself retries and waits where it is told to."""

    client: openai.OpenAI
    model: str
    extra_body: dict[str, Any]
    concurrency: int
    plain: Mapping[str, Any] = attrs.field(factory=dict)
    """What it takes of :data:`softdiv_openai.sampling.PLAIN`; ``extra_body`` goes before it."""
    requests: int = attrs.field(init=False, default=0)
    read: int = attrs.field(init=False, default=0)
    written: int = attrs.field(init=False, default=0)
    untold: int = attrs.field(init=False, default=0)
    _lock: threading.Lock = attrs.field(init=False, factory=threading.Lock)

    @classmethod
    def to(cls, loader: OpenAILoader, key: str) -> Endpoint:
        """As the loader's options say."""
        client = openai.OpenAI(
            base_url=loader.base_url,
            api_key=key,
            max_retries=loader.max_retries,
            timeout=loader.timeout,
        )
        return cls(client, loader.model, dict(loader.extra_body), loader.concurrency)

    @property
    def spent(self) -> int:
        """Tokens read and written."""
        return self.read + self.written

    @property
    def notes(self) -> list[str]:
        """What it has cost."""
        untold = f"; {self.untold} answers did not say how many" if self.untold else ""
        return [
            f"served at {self.client.base_url.host}: {self.requests:,} requests, "
            f"{self.read:,} tokens read and {self.written:,} written{untold}"
        ]

    def find_plain(self, ask: Callable[[], Any]) -> None:
        """Ask in the words of one server after the other, until they are taken.

        Raises:
            PairError: the endpoint does not answer at all.
        """
        for words in PLAIN:
            self.plain = words
            try:
                ask()
            except Refused:
                if not words:
                    raise
            else:
                return

    def chat(self, **options: Any) -> Any:
        """One chat completion. Raises PairError."""
        return self._counted(self.client.chat.completions.create, options)

    def completion(self, **options: Any) -> Any:
        """One completion. Raises PairError."""
        return self._counted(self.client.completions.create, options)

    def each(self, ask: Callable[[A], T], things: Sequence[A]) -> list[T]:
        """``ask`` of every thing, several at a time, in order."""
        with ThreadPoolExecutor(self.concurrency) as pool:
            futures = [pool.submit(ask, thing) for thing in things]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def _counted(self, create: Callable[..., Any], options: dict[str, Any]) -> Any:
        try:
            body = {**self.plain, **self.extra_body}
            answer = create(model=self.model, extra_body=body or None, **options)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise Refused(_said(error)) from error
        except openai.APITimeoutError as error:
            raise PairError(
                f"the endpoint at {self.client.base_url.host} did not answer in time",
                why=f"{self.concurrency} requests at a time, {self.client.timeout} s for each",
                fix="lower its concurrency (1 for a server that answers one after the other), or "
                "raise its timeout; what finished is kept: the same command goes on",
            ) from error
        except openai.OpenAIError as error:
            raise PairError(
                f"the endpoint at {self.client.base_url.host} failed",
                why=_said(error),
                fix="what finished is kept: the same command goes on",
            ) from error
        usage = getattr(answer, "usage", None)
        with self._lock:
            self.requests += 1
            self.read += getattr(usage, "prompt_tokens", 0) or 0
            self.written += getattr(usage, "completion_tokens", 0) or 0
            self.untold += usage is None
        if not getattr(answer, "choices", None):
            raise PairError(f"the endpoint at {self.client.base_url.host} gave no answer")
        return answer.choices[0]


class Refused(PairError):
    """The endpoint does not take a request as it is."""

    def __init__(self, why: str) -> None:
        super().__init__("the endpoint refuses a request", why=why)


def refuses(error: PairError) -> bool:
    """Whether the endpoint does not take a request; llama.cpp's server breaks instead."""
    return isinstance(error, Refused) or isinstance(error.__cause__, openai.InternalServerError)


def seed_of(seed: int, key: str) -> int:
    """A number for a random stream."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "big") >> 1


def _said(error: Exception) -> str:
    """The first line, cut: a server may send a whole page."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
