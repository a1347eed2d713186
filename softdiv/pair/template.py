"""The chat template both models are given: where it comes from, and what it writes."""

from __future__ import annotations

import difflib
import functools
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.schema import PairConfig
from softdiv.errors import ConfigError, PairError
from softdiv.pair.rendering import OTHER_TEMPLATE, EndlessTemplate, render
from softdiv.plugin.records import Message

REMEMBERED = 4096
"""Rendered conversations kept: the same ones are asked for again and again."""
LARGEST = 1_000_000
"""Characters of a template; those of today have some ten thousand."""
PIPED = re.compile(r"<([|｜]).*\1>")
QUESTION = (Message("user", "Hello."),)
ANOTHER_DATE = "2001-02-03"


def _remembering(template: ChatTemplate) -> Any:
    return functools.lru_cache(REMEMBERED)(template._rendered)


@functools.lru_cache(REMEMBERED)
def _read(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Kept here and not by the template: searchers hold that, and are not to see every text."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


@attrs.frozen(eq=False)
class ChatTemplate:
    """A tokenizer's chat template, or a file's in its place, with what it is told.

    Attributes:
        source: Jinja; None continues texts plainly.
        arguments: variables beside the messages, e.g. ``enable_thinking``.
        date: what ``strftime_now`` tells it, ``YYYY-MM-DD``.
    """

    tokenizer: Any
    source: str | None
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    date: str = PairConfig().template_date
    _remembered: Any = attrs.field(
        init=False, repr=False, default=attrs.Factory(_remembering, takes_self=True)
    )

    @classmethod
    def of(cls, tokenizer: Any, config: PairConfig = PairConfig()) -> ChatTemplate:
        """As the config says.

        Raises:
            ConfigError: the template's file cannot be read, or an argument means nothing to it.
            PairError: the tokenizer has several templates and none is the default.
        """
        source = template_file(config)
        made = cls(
            tokenizer=tokenizer,
            source=own_template(tokenizer) if source is None else source,
            arguments=config.template_arguments,
            date=config.template_date,
        )
        for name in config.template_arguments:
            made._check_argument(name)
        return made

    @classmethod
    def unused(cls, tokenizer: Any) -> ChatTemplate:
        """The tokenizer's own as it is, for what can be learnt from it; never raises."""
        return cls(tokenizer=tokenizer, source=readable_template(tokenizer))

    def render(
        self, messages: Sequence[Message], *, answer: bool = True, advice: str = OTHER_TEMPLATE
    ) -> str:
        """The conversation as text; without a template its contents, one below the other.

        Args:
            answer: end in what precedes an assistant's message.
            advice: what to do where the template refuses the conversation.

        Raises:
            PairError: the template is not valid Jinja, fails, refuses, or does not end.
        """
        if self.source is None:
            return self._bos + "".join(f"{message.content}\n" for message in messages)
        text: str = self._remembered(tuple(messages), answer, self._in_parts, advice, self.date)
        return text

    def _rendered(
        self, messages: Sequence[Message], answer: bool, parts: bool, advice: str, date: str
    ) -> str:
        assert self.source is not None
        return render(
            self.source,
            [
                {
                    "role": m.role,
                    "content": [{"type": "text", "text": m.content}] if parts else m.content,
                }
                for m in messages
            ],
            answer=answer,
            arguments={**self.tokenizer.special_tokens_map, **self.arguments},
            date=date,
            advice=advice,
        )

    @property
    def sha256(self) -> str:
        """Of the source."""
        return hashlib.sha256((self.source or "").encode("utf-8", "surrogatepass")).hexdigest()

    def tokens(self, text: str) -> list[int]:
        """Token ids of a rendered conversation; special tokens are those the template wrote."""
        return list(_read(self.tokenizer, text))

    @functools.cached_property
    def _in_parts(self) -> bool:
        """Templates of vision models may read lists of content parts only, and drop a text."""
        (question,) = QUESTION
        for parts in (False, True):
            try:
                if question.content in self._remembered(QUESTION, True, parts, "", self.date):
                    return parts
            except EndlessTemplate:
                raise
            except PairError:
                continue
        return False

    @functools.cached_property
    def _bos(self) -> str:
        """What the tokenizer puts before a plain text."""
        bos, first = self.tokenizer.bos_token or "", self.tokenizer("x")["input_ids"][:1]
        return bos if first == [self.tokenizer.bos_token_id] else ""

    @functools.cached_property
    def text_start(self) -> tuple[int, ...]:
        """Ids that every text the models read begins with: BOS, where the tokenizer puts it before
        a plain text, or the template once before a conversation (not before every turn)."""
        bos = self.tokenizer.bos_token
        if not bos:
            return ()
        shown = self.render(QUESTION)
        written = shown.startswith(bos) and shown.count(bos) == 1
        return (self.tokenizer.bos_token_id,) if written or self._bos else ()

    @functools.cached_property
    def control_tokens(self) -> frozenset[str]:
        """Tokens that only the template may write: special ones, and added ones that it contains
        or that look like ``<|this|>``.

        An added token that is white space (Gemma's line ends) is text, whoever writes it.
        """
        decoder = getattr(self.tokenizer, "added_tokens_decoder", {})
        found = {
            *self.tokenizer.all_special_tokens,
            *(str(t) for t in decoder.values() if t.special),
        }
        written = self._everything_it_writes
        for token in self.tokenizer.get_added_vocab():
            if PIPED.fullmatch(token) or any(token in text for text in written):
                found.add(token)
        return frozenset(token for token in found if token.strip())

    @functools.cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids of :attr:`control_tokens`, but for the one that stands for unknown characters."""
        ids = self.tokenizer.convert_tokens_to_ids(sorted(self.control_tokens))
        return frozenset(ids) - {self.tokenizer.unk_token_id, None}

    @functools.cached_property
    def unread(self) -> tuple[str, ...]:
        """Those of :attr:`control_tokens` that a text can hold without being read as them."""
        tokens = sorted(self.control_tokens)
        ids = self.tokenizer([f"a{token}a" for token in tokens], add_special_tokens=False)
        names = self.tokenizer.convert_tokens_to_ids(tokens)
        seen = zip(tokens, names, ids["input_ids"], strict=True) if tokens else ()
        return tuple(t for t, name, found in seen if not {name} & self.control_ids & set(found))

    @functools.cached_property
    def _everything_it_writes(self) -> list[str]:
        """Its source, and some conversations: a template can put tokens together from pieces."""
        if self.source is None:
            return []
        system, answer = Message("system", "Hi."), Message("assistant", "Hi.")
        shown = [self.source]
        for messages in ((system, *QUESTION), (*QUESTION, answer, *QUESTION)):
            try:
                shown.append(self.render(messages))
            except PairError:
                continue  # who needs such a conversation is told so
        return shown

    @functools.cached_property
    def ends(self) -> tuple[int, ...]:
        """The token it puts after an assistant's message; none where it puts none."""
        if self.source is None:
            return ()
        for following in ((), QUESTION):
            ids = []
            for word in ("river", "Tell"):
                messages = (*QUESTION, Message("assistant", word), *following)
                try:
                    ids.append(self.tokens(self.render(messages, answer=False)))
                except PairError:
                    return ()  # it has no place for answers
            for token in common_end(ids):
                if token in self.control_ids:
                    return (token,)
                if self.tokenizer.decode([token]).strip():
                    break
        return ()

    @functools.cached_property
    def writes_date(self) -> bool:
        """Whether a conversation depends on the day."""
        if self.source is None:
            return False
        return bool(
            self.render(QUESTION)
            != self._remembered(QUESTION, True, self._in_parts, OTHER_TEMPLATE, ANOTHER_DATE)
        )

    def _check_argument(self, name: str) -> None:
        words = set(re.findall(r"[A-Za-z_]\w*", self.source or ""))
        if name not in words:
            close = difflib.get_close_matches(name, sorted(words), n=1)
            raise ConfigError(
                f"pair.template_arguments: the chat template does not use '{name}'",
                fix=f"did you mean '{close[0]}'?" if close else "",
            )


def own_template(tokenizer: Any) -> str | None:
    """The tokenizer's template, of several the default one; None where it has none.

    Raises:
        PairError: it has several templates and none is the default, or something else.
    """
    found = getattr(tokenizer, "chat_template", None)
    if isinstance(found, Mapping):
        if "default" not in found:
            raise PairError(
                f"the tokenizer has the chat templates {', '.join(sorted(found))}",
                why="none of them is the default",
                fix="write the one you mean to a file, and give that as pair.chat_template",
            )
        found = found["default"]
    if found is not None and not (isinstance(found, str) and len(found) <= LARGEST):
        raise PairError("the tokenizer's chat template is no template", fix=OTHER_TEMPLATE)
    return found or None


def readable_template(tokenizer: Any) -> str | None:
    """As :func:`own_template`, None too where it has several: for the template not used."""
    try:
        return own_template(tokenizer)
    except PairError:
        return None


def stop_ids(model: Any, template: ChatTemplate) -> frozenset[int]:
    """Token ids that end an answer: what the template puts after one, and what the settings of
    the tokenizer and of the model's generation say."""
    found = set(template.ends)
    for value in (
        template.tokenizer.eos_token_id,
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
    ):
        if isinstance(value, int):
            found.add(value)
        elif value is not None:
            found.update(int(item) for item in value)
    return frozenset(found)


def template_file(config: PairConfig) -> str | None:
    """Content of ``pair.chat_template``; None where none is given. Raises ConfigError."""
    if config.chat_template is None:
        return None
    path = Path(config.chat_template)
    try:
        with path.open("rb") as stream:  # a pipe too, and no more of a device than this
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"pair.chat_template: {path} is larger than any template")
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"pair.chat_template: {path} cannot be read: {why}") from error


def common_start(sequences: Sequence[Sequence[Any]]) -> list[Any]:
    """The longest common prefix."""
    columns = zip(*sequences, strict=False)
    return [column[0] for column in itertools.takewhile(lambda c: len(set(c)) == 1, columns)]


def common_end(sequences: Sequence[Sequence[Any]]) -> list[Any]:
    """The longest common suffix."""
    return common_start([one[::-1] for one in sequences])[::-1]
