"""What comes after a source: filters and a rewriter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from attrs.validators import ge, optional

from softdiv import Example


@attrs.frozen(kw_only=True)
class Length:
    """Keeps texts of a length that fits the batch. Counts words, so no model is needed."""

    min_words: int = attrs.field(default=1, validator=ge(0))
    """Shortest text kept."""
    max_words: int = attrs.field(default=64, validator=ge(1))
    """Longest text kept, without what was said before it."""
    max_context_words: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Longest conversation before a text that is kept, all its messages together; 0 keeps texts
    without one."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The texts within the limits."""
        for example in examples:
            before = sum(len(message.content.split()) for message in example.context)
            if self.max_context_words is not None and before > self.max_context_words:
                continue
            if self.min_words <= len(example.text.split()) <= self.max_words:
                yield example


@attrs.frozen(kw_only=True)
class Dedupe:
    """Keeps the first of texts that differ only in case, spacing or final punctuation.

    The same text after another conversation is another text.
    """

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The first of each group of equal texts."""
        seen = set()
        for example in examples:
            before = tuple((m.role, _bare(m.content)) for m in example.context)
            key = (before, _bare(example.text))
            if key not in seen:
                seen.add(key)
                yield example


def _bare(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".?! ")


def _holds_text(_: Any, field: Any, value: str) -> None:
    if "{text}" not in value:
        raise ValueError(f"{field.name} must hold {{text}}, where the user text goes")


@attrs.frozen(kw_only=True)
class Template:
    """Puts each text into a template: ``"Answer in one sentence: {text}"``.

    What was said before it stays as it is.
    """

    template: str = attrs.field(validator=_holds_text)
    """Holds ``{text}``; nothing else in it is replaced."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The same examples (ids, categories) with the text put into the template."""
        for example in examples:
            yield attrs.evolve(example, text=self.template.replace("{text}", example.text))
