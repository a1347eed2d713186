"""What comes after a source: filters and a rewriter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from attrs.validators import ge

from softdiv import Example


@attrs.frozen(kw_only=True)
class Length:
    """Keeps texts of a length that fits the batch. Counts words, so no model is needed."""

    min_words: int = attrs.field(default=1, validator=ge(0))
    """Shortest text kept."""
    max_words: int = attrs.field(default=64, validator=ge(1))
    """Longest text kept."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The texts within the limits."""
        for example in examples:
            if self.min_words <= len(example.text.split()) <= self.max_words:
                yield example


@attrs.frozen(kw_only=True)
class Dedupe:
    """Keeps the first of texts that differ only in case, spacing or final punctuation."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The first of each group of equal texts."""
        seen = set()
        for example in examples:
            key = " ".join(example.text.casefold().split()).rstrip(".?! ")
            if key not in seen:
                seen.add(key)
                yield example


def _holds_text(_: Any, field: Any, value: str) -> None:
    if "{text}" not in value:
        raise ValueError(f"{field.name} must hold {{text}}, where the user text goes")


@attrs.frozen(kw_only=True)
class Template:
    """Puts each text into a template: ``"Answer in one sentence: {text}"``."""

    template: str = attrs.field(validator=_holds_text)
    """Holds ``{text}``; nothing else in it is replaced."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The same examples (ids, categories) with the text put into the template."""
        for example in examples:
            yield attrs.evolve(example, text=self.template.replace("{text}", example.text))
