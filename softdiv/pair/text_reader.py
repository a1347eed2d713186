"""Texts as one model's tokenizer and chat template read them: contexts, and answers behind these.

A text can be read as other tokens than those it was drawn as. Its likelihood is that of the tokens
it is read as, in their place behind the context, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from softdiv.errors import PairError
from softdiv.pair.layout import Context, Layout
from softdiv.pair.template import common_start
from softdiv.plugin.records import TextAnswer, TextContext

HALF = "\ufffd"
"""What the bytes of half a character are shown as."""


@attrs.frozen(kw_only=True)
class TextReader:
    """One tokenizer and its chat template."""

    layout: Layout
    stop_ids: frozenset[int]
    """Tokens that end an answer."""

    @property
    def end(self) -> int | None:
        """The token that ends an answer which is given: what the template puts behind it, else
        the tokenizer's end of text. None where there is neither."""
        template, eos = self.layout.template, self.layout.tokenizer.eos_token_id
        found = template.ends[0] if template.ends else eos
        return found if isinstance(found, int) else None

    def shown(self, context: TextContext) -> str:
        """The conversation through the template."""
        if context.messages:
            return self.layout.template.render(context.messages)
        return context.text or ""

    def context(self, context: TextContext) -> Context:
        """Its ids. Raises PairError where the template has no place for it."""
        if context.user_turn:
            return self.layout.header()
        if context.text is not None:
            return self.layout.plain(context.text)
        return Context(before=tuple(self.layout.template.tokens(self.shown(context))))

    def read(self, context: TextContext, text: str, *, closed: bool) -> list[int]:
        """Token ids of a text in its place behind a context, with :attr:`end` where ``closed``."""
        if context.user_turn:
            return attrs.evolve(self.layout, placement="user_start").encode(text) if text else []
        template = self.layout.template
        if context.text is not None:
            before = list(self.layout.plain(context.text).before)
            whole = [*template.text_start, *template.tokens(context.text + text)]
            fits = whole[: len(before)] == before
            return whole[len(before) :] if fits else template.tokens(text)
        ids = self.layout.encode_answer(text) if text else []
        if closed and self.end is None:
            raise PairError("no token ends an answer of this model")
        return [*ids, self.end] if closed and self.end is not None else ids

    def written(self, context: TextContext, text: str, counted: int, *, ended: bool) -> TextAnswer:
        """An answer, counted up to its first ``counted`` tokens as they are read.

        Args:
            ended: the model ended it; in a conversation that end is a token of its own.
        """
        closed = ended and bool(context.messages) and self.end is not None
        ids = self.read(context, text, closed=closed)
        if len(ids) <= counted and ended:
            return TextAnswer(text=text, counted=text, closed=closed, tokens=len(ids))
        begun = text if len(ids) <= counted else self.text(context, ids[:counted])
        begun = begun.rstrip(HALF)  # the rest of a character is not there to be read
        begun = "".join(common_start([begun, text]))  # what follows can change how it reads
        read = len(self.read(context, begun, closed=False))
        return TextAnswer(text=text, counted=begun, closed=False, tokens=read, cut=not ended)

    def loses(self, text: str) -> bool:
        """Whether the tokenizer has no token for some of it: then its likelihood is not its."""
        unknown = self.layout.tokenizer.unk_token_id
        return unknown is not None and unknown in self.layout.template.tokens(text)

    def own(self, ids: Sequence[int]) -> list[int]:
        """Without what ends an answer."""
        return [token for token in ids if token not in self.stop_ids]

    def text(self, context: TextContext, ids: Sequence[int]) -> str:
        """What ids say; behind a plain text, as they read there."""
        if context.text is None:
            return self._decoded(ids)
        before = self.context(context).before
        start, both = self._decoded(before), self._decoded([*before, *ids])
        return both.removeprefix(start) if both.startswith(start) else self._decoded(ids)

    def _decoded(self, ids: Sequence[int]) -> str:
        text: str = self.layout.tokenizer.decode(
            self.own(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
