"""Where a prompt sits in the chat, and the token ids around it.

The same layout serves soft and hard prompts: a hard prompt is rendered through the full
chat template and tokenised as one text; a soft prompt takes the slot that text would take.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import attrs

from softdiv.config.schema import Placement
from softdiv.data.lines import is_unicode
from softdiv.errors import DataError, PairError
from softdiv.pair.rendering import OTHER_TEMPLATE
from softdiv.pair.template import QUESTION, ChatTemplate, common_end, common_start
from softdiv.plugin.records import Example, Message

_WORDS = ("apple", "Tell", "garden", "Summer", "zebra", "Brief", "river", "Quiet")
"""Prompts put into a slot to see what stands around it: no two begin or end with one letter."""


@attrs.frozen
class Context:
    """What comes before a response: ids, with an optional slot for k soft tokens between them."""

    before: tuple[int, ...]
    after: tuple[int, ...] = ()
    has_slot: bool = False

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


@attrs.frozen
class Layout:
    """Placement of a prompt for one tokenizer and chat template.

    Wherever a user text is wanted, an :class:`Example` brings the conversation before it along; a
    plain text stands alone.

    Attributes:
        placement: ``prefix`` (before everything), ``system`` (the system message; before the
            conversation's own, on a line of its own), ``user_start`` / ``user_end`` (before /
            after the last user text, one space between).
        template: the tokenizer's own by default.
        context: what usually comes before a user text; a prompt alone is tokenised behind it.
        unshared: token ids that do not mean the same in both models; no context may hold one.
    """

    tokenizer: Any
    placement: Placement = "user_start"
    template: ChatTemplate = attrs.field(
        eq=False,
        repr=False,
        default=attrs.Factory(lambda self: ChatTemplate.of(self.tokenizer), takes_self=True),
    )
    unshared: frozenset[int] = frozenset()
    context: tuple[Message, ...] = ()

    def hard(self, text: str | Example, prompt: str = "") -> Context:
        """The whole conversation as text, re-tokenised; ``prompt`` may be empty.

        Raises:
            DataError: a message or the prompt contains a control token of the tokenizer, or a
                token that only one of the models has.
            PairError: the chat template refuses the conversation.
        """
        messages = self._checked(text)
        self.check_plain(prompt)
        ids = self._ids(messages, prompt)
        self._check_shared(ids, messages[-1].content)
        return Context(before=tuple(ids))

    def text(self, text: str | Example, prompt: str = "") -> str:
        """What :meth:`hard` tokenises."""
        return self._render(self._messages(text), prompt)

    def soft(self, text: str | Example) -> Context:
        """The same conversation with a slot where the prompt's tokens go.

        What stands around the slot is what stands around a text prompt there, whatever the
        tokenizer does with the spaces between.

        Raises:
            PairError: the chat template drops or repeats the prompt's place.
        """
        messages = self._checked(text)
        context = self._slot(messages, self._words)
        self._check_shared((*context.before, *context.after), messages[-1].content)
        return context

    def plain(self, text: str) -> Context:
        """A text outside any conversation, behind BOS where the models are used to one.

        Raises:
            DataError: as :meth:`hard`.
        """
        self.check_plain(text)
        return Context(before=(*self.template.text_start, *self.template.tokens(text)))

    def header(self, text: str | Example = QUESTION[0].content) -> Context:
        """What stands before the last user text, whatever the placement: a user's turn, opened.

        Raises:
            PairError: the chat template drops or repeats user texts.
        """
        return Context(before=attrs.evolve(self, placement="user_start").soft(text).before)

    def placed(self, text: str, prompt: str) -> str:
        """A user's text with the prompt beside it, where that is the prompt's place."""
        return _beside(text, prompt, self.placement)

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt in its place."""
        return self._following(self._lead, prompt) if self._lead else self.template.tokens(prompt)

    def encode_answer(self, answer: str) -> list[int]:
        """Token ids of an answer in its place."""
        return self._following(self._answer_lead, answer)

    def decode(self, ids: list[int]) -> str:
        """Text of response ids without special tokens and what ends a turn."""
        own = [token for token in ids if token not in self.template.ends]
        text: str = self.tokenizer.decode(own, skip_special_tokens=True)
        return text

    def prompt_of(self, ids: Sequence[int]) -> str:
        """The text that ``ids`` in the slot stand for."""
        text: str = self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        return text.removeprefix(" ") if self._takes_space else text

    def retokenises(self, ids: Sequence[int], text: str | Example) -> bool:
        """Whether ``ids``, decoded to a prompt and put beside ``text``, encode to themselves."""
        messages, slot = self._messages(text), self.soft(text)
        found = self._ids(messages, self.prompt_of(ids))
        return tuple(found) == (*slot.before, *ids, *slot.after)

    def check_plain(self, text: str) -> None:
        """Raises DataError if ``text`` holds a control token (it could end the user's turn),
        whether or not the tokenizer lists it as special, or a token that only one model has, or
        is not Unicode."""
        if not is_unicode(text):
            raise DataError(f"text {text[:60]!r} holds a lone surrogate, half of a character")
        ids = self.template.tokens(text)
        read = self.template.control_ids.intersection(ids)
        names = self.tokenizer.convert_ids_to_tokens(sorted(read))
        for token in (*names, *(t for t in self.template.unread if t in text)):
            raise DataError(f"text {text[:60]!r} contains the special token {token!r}")
        self._check_shared(ids, text)

    def _messages(self, text: str | Example) -> tuple[Message, ...]:
        if isinstance(text, str):
            return (Message("user", text),)
        return (*text.context, Message("user", text.text))

    def _checked(self, text: str | Example) -> tuple[Message, ...]:
        messages = self._messages(text)
        for message in messages:
            self.check_plain(message.content)
        return messages

    def _check_shared(self, ids: Sequence[int], text: str) -> None:
        for token in self.unshared.intersection(ids):
            name = self.tokenizer.convert_ids_to_tokens(token)
            raise DataError(
                f"text {text[:60]!r} needs the token {name!r}",
                why="which does not mean the same in both models",
            )

    def _ids(self, messages: Sequence[Message], prompt: str) -> list[int]:
        return self.template.tokens(self._render(messages, prompt))

    def _render(self, messages: Sequence[Message], prompt: str) -> str:
        moved = prompt and self.placement == "system"
        advice = "choose another training.placement" if moved else OTHER_TEMPLATE
        turns = with_prompt(messages, prompt, self.placement)
        rendered = self.template.render(turns, advice=advice)
        if prompt and self.placement == "prefix":
            bos = self.tokenizer.bos_token or ""
            # some templates open every turn with the BOS token; then nothing may follow it
            if bos and rendered.startswith(bos) and rendered.count(bos) == 1:
                return f"{bos}{prompt}\n{rendered[len(bos) :]}"
            return f"{prompt}\n{rendered}"
        return rendered

    def _slot(self, messages: Sequence[Message], words: Sequence[str]) -> Context:
        rendered = [self._render(messages, word) for word in words]
        start, end = len(common_start(rendered)), len(common_end(rendered))
        if [text[start : len(text) - end] for text in rendered] != list(words):
            raise PairError(
                f"the chat template has no single place for a prompt at '{self.placement}'",
                fix="choose another training.placement",
            )
        ids = [self.template.tokens(text) for text in rendered]
        before, after = common_start(ids), common_end(ids)
        if len(before) + len(after) >= min(map(len, ids)):
            raise PairError(
                f"the tokenizer reads {' and '.join(map(repr, words[:2]))} as the same token",
                why="a prompt of words cannot be told from another",
            )
        return Context(before=tuple(before), after=tuple(after), has_slot=True)

    @functools.cached_property
    def _words(self) -> tuple[str, ...]:
        """As few of the words as show the same slot as all of them."""
        whole = self._slot(QUESTION, _WORDS)
        pairs = itertools.combinations(_WORDS, 2)
        return next((pair for pair in pairs if self._slot(QUESTION, pair) == whole), _WORDS)

    @functools.cached_property
    def _lead(self) -> str:
        """What must precede a prompt when it is tokenised; nothing where that changes nothing."""
        usual = (*self.context, *QUESTION)
        slot = self._slot(usual, self._words)
        rendered = [self._render(usual, word) for word in self._words]
        lead = "".join(common_start(rendered))
        inside = [
            self._ids(usual, word)[len(slot.before) :][: -len(slot.after) or None]
            for word in _WORDS
        ]
        alone = [self.template.tokens(word) for word in _WORDS]
        return "" if inside == alone else lead

    @functools.cached_property
    def _answer_lead(self) -> str:
        """What precedes an answer, with the space that some templates write first."""
        opened = self.template.render(QUESTION)
        said = [(*QUESTION, Message("assistant", word)) for word in self._words]
        try:
            told = [self.template.render(messages, answer=False) for messages in said]
        except PairError:
            return opened  # it has no place for answers given
        lead = "".join(common_start(told))
        return lead if lead.rstrip() == opened.rstrip() else opened

    @functools.cached_property
    def _takes_space(self) -> bool:
        """Whether a prompt's first token takes in the space that the template puts before it."""
        word = self._words[0]
        return bool(self.tokenizer.decode(self.encode(word)) == f" {word}")

    def _following(self, lead: str, text: str) -> list[int]:
        """Token ids of ``text`` behind ``lead``."""
        before, ids = self._lead_ids(lead), self.template.tokens(lead + text)
        own = ids[len(before) :]
        return own if ids[: len(before)] == before else self.template.tokens(text)

    def _lead_ids(self, lead: str) -> list[int]:
        """Those that stay, whatever follows."""
        return common_start([self.template.tokens(lead + word) for word in _WORDS])


def with_prompt(
    messages: Sequence[Message], prompt: str, placement: Placement
) -> Sequence[Message]:
    """The conversation with the prompt in its messages; with ``prefix`` it stands before them."""
    *earlier, last = messages
    turns = [*earlier, attrs.evolve(last, content=_beside(last.content, prompt, placement))]
    return _with_system(turns, prompt) if prompt and placement == "system" else turns


def _beside(text: str, prompt: str, placement: Placement) -> str:
    if prompt and placement == "user_start":
        return f"{prompt} {text}"
    if prompt and placement == "user_end":
        return f"{text} {prompt}"
    return text


def _with_system(messages: Sequence[Message], prompt: str) -> list[Message]:
    """The prompt as system message, or before that of the conversation."""
    for place, message in enumerate(messages):
        if message.role == "system":
            joined = attrs.evolve(message, content=f"{prompt}\n{message.content}")
            return [*messages[:place], joined, *messages[place + 1 :]]
    return [Message("system", prompt), *messages]
