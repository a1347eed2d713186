"""A conversation with both models of a pair, with and without a prompt, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import torch
from torch import Tensor

from softdiv.pair.decoder import start_decoding
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, draw, uniform_rows
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example, Message

HALF_CHARACTER = "\ufffd"


@attrs.define(eq=False)
class Voice:
    """One of the answers that stand side by side, with its own history."""

    model: ModelWrapper
    prompt: str
    """"" answers without a prompt"""
    history: list[Message] = attrs.field(factory=list)
    """As the model was given it: user turns with the prompt in them, where its place is there."""

    @property
    def label(self) -> str:
        """``model_1`` or ``model_1 with the prompt``."""
        return f"{self.model.name} with the prompt" if self.prompt else self.model.name


@attrs.define(eq=False, kw_only=True)
class Conversation:
    """Each voice remembers its own answers. All draw on the same random numbers, so that where
    the models agree they say the same."""

    pair: ModelPair
    layout: Layout
    sampling: Sampling
    max_tokens: int
    seed: int
    system_prompt: str | None = None
    """The system message of every answer."""
    voices: Sequence[Voice] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reset("")

    def reset(self, prompt: str) -> None:
        """Forget everything said; talk with and without ``prompt`` (or only without)."""
        models, prompts = (self.pair.model_1, self.pair.model_2), dict.fromkeys(("", prompt))
        told = [Message("system", self.system_prompt)] if self.system_prompt else []
        self.voices = [Voice(model, text, list(told)) for text in prompts for model in models]

    def answer(self, voice: Voice, text: str) -> Iterator[str]:
        """The answer in pieces as they are decoded; remembered when it is complete.

        Raises:
            DataError: the text, the prompt or the history holds a special token.
        """
        asked = Example(id="chat", text=text, context=tuple(voice.history))
        context = self.layout.hard(asked, voice.prompt)
        key = f"chat:{len(voice.history) // 2}"
        uniforms = uniform_rows([key], self.seed, self.max_tokens)
        ids: list[int] = []
        said = ""
        for token in self._tokens(voice.model, context, uniforms):
            ids.append(token)
            now = self.layout.decode(ids)
            if not now.endswith(HALF_CHARACTER):  # the rest of the character is yet to come
                yield now[len(said) :]
                said = now
        now = self.layout.decode(ids)
        if now != said:
            yield now[len(said) :]
        placed = self.layout.placed(text, voice.prompt)
        voice.history += [Message("user", placed), Message("assistant", now)]

    def _tokens(self, wrapper: ModelWrapper, context: Context, uniforms: Tensor) -> Iterator[int]:
        with torch.no_grad():
            decoder = start_decoding(wrapper, [context])
        for step in range(uniforms.shape[1]):
            with torch.no_grad():
                drawn = draw(
                    decoder.log_probs(), uniforms[:, step].to(wrapper.device), self.sampling
                )
            token = int(drawn)
            if token in self.pair.stop_ids:
                return
            yield token
            if step + 1 < uniforms.shape[1]:
                with torch.no_grad():
                    decoder.advance(drawn)
