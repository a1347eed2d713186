"""Runs the configured processors in order and applies the category and duplicate rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from softdiv.config.schema import DataConfig
from softdiv.data.base import text_id
from softdiv.errors import DataError, did_you_mean
from softdiv.plugin.interfaces import Processor
from softdiv.plugin.records import Example
from softdiv.storage.locate import Note


def assemble_examples(
    processors: Sequence[Processor], config: DataConfig, note: Note
) -> list[Example]:
    """User texts after sources, filters, ``categories`` and ``max_texts_per_category``.

    Args:
        note: receives one line per thing that was left out; nothing is dropped silently.

    Raises:
        DataError: no text is left, a category does not exist, or two texts share an id.
    """
    stream: Iterable[Example] = iter(())
    for processor in processors:
        before = list(stream)
        stream = list(processor(before))
        for line in getattr(processor, "notes", ()):
            note(line)
        if len(stream) < len(before):
            name = getattr(processor, "name", type(processor).__name__)
            note(f"the filter '{name}' left out {len(before) - len(stream)} of {len(before)} texts")
    examples = list(_unique(stream, note))
    if config.categories:
        known = {example.category for example in examples}
        for category in config.categories:
            if category not in known:
                raise DataError(
                    f"no text has category '{category}'", fix=did_you_mean(category, known)
                )
        examples = [e for e in examples if e.category in config.categories]
    if config.max_texts_per_category is not None:
        examples = list(_capped(examples, config.max_texts_per_category, note))
    if not examples:
        raise DataError("no user text is left", fix="check data.processors and data.categories")
    return examples


def _unique(stream: Iterable[Example], note: Note) -> Iterator[Example]:
    by_id: dict[str, Example] = {}
    repeated = 0
    for example in stream:
        other = by_id.setdefault(example.id, example)
        if other is example:
            yield example
        elif (other.text, other.context) == (example.text, example.context):
            repeated += 1
        else:
            places = [e.metadata["source"] for e in (other, example) if "source" in e.metadata]
            raise DataError(
                f"two different texts have the id '{example.id}'",
                why=" and ".join(places),
                fix="mend the ids, or give a key of ids that the records lack: then each text's "
                "hash is its id",
            )
    if repeated:
        note(f"{repeated} texts given twice were used once")


def _capped(examples: Sequence[Example], cap: int, note: Note) -> Iterator[Example]:
    """The texts with the smallest hashes: a sample of all files of a category, not its first."""
    by_category: dict[str, list[Example]] = {}
    for example in examples:
        by_category.setdefault(example.category, []).append(example)
    kept = {
        example.id
        for group in by_category.values()
        for example in sorted(group, key=lambda e: text_id(f"cap:{e.id}"))[:cap]
    }
    yield from (example for example in examples if example.id in kept)
    if len(kept) < len(examples):
        note(f"{len(examples) - len(kept)} texts beyond {cap} per category were left out")


def said_before(examples: Iterable[Example]) -> str:
    """How many texts follow a system message, and how many other messages; "" where none does."""
    roles = [{message.role for message in example.context} for example in examples]
    counts = {
        "with a system message": sum("system" in found for found in roles),
        "after earlier turns": sum(bool(found - {"system"}) for found in roles),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)
