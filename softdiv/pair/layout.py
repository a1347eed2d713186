"""Where a prompt sits in the chat, and the token ids around it.

The same layout serves soft and hard prompts: a hard prompt is rendered through the full
chat template and tokenised as one text; a soft prompt takes the slot that text would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from softdiv.config.schema import Placement
from softdiv.data.lines import is_unicode
from softdiv.errors import DataError, PairError

_SLOT = "\u241e\u241f\u241e"  # control pictures: in no template, in no user text we accept


@attrs.frozen
class Context:
    """What comes before a response: ids, with an optional slot for k soft tokens between them."""

    before: tuple[int, ...]
    after: tuple[int, ...] = ()
    has_slot: bool = False

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


@attrs.frozen
class Turn:
    """A user's text and the answer it was given."""

    text: str
    answer: str


@attrs.frozen
class Layout:
    """Placement of a prompt for one tokenizer and chat template.

    Attributes:
        placement: ``prefix`` (before everything), ``system`` (the system message),
            ``user_start`` / ``user_end`` (before / after the user's text, one space between).
    """

    tokenizer: Any
    placement: Placement = "user_start"

    def hard(self, text: str, prompt: str = "", history: Sequence[Turn] = ()) -> Context:
        """The whole conversation as text, re-tokenised; ``prompt`` may be empty.

        Args:
            history: earlier turns; the prompt stands in each user turn where its place is there.

        Raises:
            DataError: the text or the prompt contains a special token of the tokenizer.
        """
        self.check_plain(text)
        self.check_plain(prompt)
        for turn in history:
            self.check_plain(turn.answer)
        return Context(before=tuple(self.encode(self._render(text, prompt, history))))

    def soft(self, text: str) -> Context:
        """The same conversation with a slot where the prompt's tokens go.

        Raises:
            PairError: the chat template drops or repeats the prompt's place.
        """
        self.check_plain(text)
        before, *rest = self._render(text, _SLOT).split(_SLOT)
        if len(rest) != 1:
            raise PairError(
                f"the chat template has no single place for a prompt at '{self.placement}'",
                fix="choose another training.placement",
            )
        return Context(
            before=tuple(self.encode(before)), after=tuple(self.encode(rest[0])), has_slot=True
        )

    def encode(self, text: str) -> list[int]:
        """Token ids; special tokens are those the template wrote, none is added."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text of response ids without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def retokenises(self, ids: list[int], text: str) -> bool:
        """Whether ``ids``, decoded to a prompt and put before ``text``, encode to themselves."""
        slot = self.soft(text)
        prompt = self.tokenizer.decode(ids)
        return tuple(self.encode(self._render(text, prompt))) == (
            *slot.before,
            *ids,
            *slot.after,
        )

    def check_plain(self, text: str) -> None:
        """Raises DataError if ``text`` holds a special token (it could end the user's turn), or
        is not Unicode."""
        if not is_unicode(text):
            raise DataError(f"text {text[:60]!r} holds a lone surrogate, half of a character")
        for token in (*self.tokenizer.all_special_tokens, _SLOT):
            if token in text:
                raise DataError(f"text {text[:60]!r} contains the special token {token!r}")

    def _render(self, text: str, prompt: str, history: Sequence[Turn] = ()) -> str:
        earlier = [Turn(self._placed(turn.text, prompt), turn.answer) for turn in history]
        system = prompt if self.placement == "system" else ""
        rendered = self._template(self._placed(text, prompt), system, earlier)
        if prompt and self.placement == "prefix":
            bos = self.tokenizer.bos_token or ""
            if bos and rendered.startswith(bos) and not self._bos_opens_turn(rendered, bos):
                return f"{bos}{prompt}\n{rendered[len(bos) :]}"
            return f"{prompt}\n{rendered}"
        return rendered

    def _placed(self, text: str, prompt: str) -> str:
        """A user's text with the prompt beside it, where that is the prompt's place."""
        if prompt and self.placement == "user_start":
            return f"{prompt} {text}"
        if prompt and self.placement == "user_end":
            return f"{text} {prompt}"
        return text

    def _template(self, content: str, system: str, history: Sequence[Turn]) -> str:
        if not self.tokenizer.chat_template:
            bos = self.tokenizer.bos_token or ""
            adds_bos = (
                bool(bos) and self.tokenizer("x")["input_ids"][0] == self.tokenizer.bos_token_id
            )
            head = f"{system}\n" if system else ""
            told = "".join(f"{turn.text}\n{turn.answer}\n" for turn in history)
            return f"{bos if adds_bos else ''}{head}{told}{content}\n"
        messages = [{"role": "system", "content": system}] if system else []
        for turn in history:
            messages.append({"role": "user", "content": turn.text})
            messages.append({"role": "assistant", "content": turn.answer})
        messages.append({"role": "user", "content": content})
        rendered: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _bos_opens_turn(self, rendered: str, bos: str) -> bool:
        """Some templates use the BOS token to open every turn; then nothing may follow it."""
        return rendered.count(bos) > 1


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Token ids that end an answer, from the tokenizer and the model's generation config."""
    found: set[int] = set()
    for value in (
        tokenizer.eos_token_id,
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
    ):
        if isinstance(value, int):
            found.add(value)
        elif value is not None:
            found.update(int(item) for item in value)
    return frozenset(found)
