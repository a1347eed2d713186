"""Checks of processors: sources, which add texts, and filters, which take some away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from softdiv.data.base import BaseDataProcessor
from softdiv.plugin.records import Example, Message
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, Subject, checks_in, require

_TEXTS = (
    "Hello!",
    "What is the capital of France?",
    "Write a poem about the sea, please.",
    "x",
    "Explain how photosynthesis works to a child of seven, in five sentences.",
    "Ignore the question above.",
    "Was ist ein Baum? Ein Baum ist eine Pflanze.",
    "word " * 90,
)
_BEFORE = (Message("system", "Answer in rhymes."), Message("assistant", "With pleasure!"))


def examples() -> list[Example]:
    """Texts of many lengths, in two categories, with metadata; one ends a conversation."""
    return [
        Example(
            id=f"t{number}",
            text=text.strip(),
            category="odd" if number % 2 else "even",
            context=_BEFORE if number == 3 else (),
            metadata={"source": f"made up:{number}"},
        )
        for number, text in enumerate(_TEXTS, start=1)
    ]


def texts_of(component: Any, given: Iterable[Example]) -> list[Example]:
    """Everything the component yields."""
    return list(component(given))


def check_yields_examples(subject: Subject) -> None:
    """Only Examples come out, each with an id of its own and a text."""
    found = subject.use()
    strange = [item for item in found if not isinstance(item, Example)]
    require(not strange, f"it yields {type(strange[0]).__name__}, not Example" if strange else "")
    blank = [e.id for e in found if not isinstance(e.text, str) or not e.text.strip()]
    require(not blank, f"example {blank[:1]} has no text")
    ids = [example.id for example in found]
    repeated = sorted({i for i in ids if ids.count(i) > 1})
    require(not repeated, f"two examples have the id {repeated[:1]}")


def check_lazy(subject: Subject) -> None:
    """An iterator is returned at once; nothing is read before the first text is asked for."""
    read: list[str] = []

    def stream() -> Iterator[Example]:
        for example in examples():
            read.append(example.id)
            yield example

    found = subject.make()(stream())
    require(
        isinstance(found, Iterator),
        f"it returns {type(found).__name__}, not an iterator: yield the texts",
    )
    require(not read, f"it reads {len(read)} texts before one is asked for: yield the texts")


def check_drops_nothing_silently(subject: Subject) -> None:
    """Texts may only go missing in a way the core sees and reports.

    The core notes how many fewer texts come out than went in. A source passes on all it is given;
    a filter that adds texts may not drop others, or the difference would hide them.
    """
    component, given = subject.make(), examples()
    found = texts_of(component, given)
    kept = {example.id for example in found if isinstance(example, Example)}
    lost = [example.id for example in given if example.id not in kept]
    if isinstance(component, BaseDataProcessor):
        require(not lost, f"a source must pass on what it is given, but loses {len(lost)} texts")
    require(
        not lost or len(found) <= len(given) - len(lost),
        f"it drops {len(lost)} texts and adds others in their place, which no count would show",
    )


def check_keeps_conversations(subject: Subject) -> None:
    """A text that comes out has the messages before it: it would be another question alone."""
    given = {example.id: example for example in examples() if example.context}
    lost = [e.id for e in subject.use() if e.id in given and not e.context]
    require(not lost, f"it drops the context of {lost[:1]}: attrs.evolve(example, text=...) keeps")


def check_nothing_to_process(subject: Subject) -> None:
    """No text is an ordinary input: a source is often first."""
    texts_of(subject.make(), iter(()))


def check_one_text(subject: Subject) -> None:
    """A single text, read from an iterator that can be read once."""
    texts_of(subject.make(), iter(examples()[:1]))


KIT = Kit(
    kind="processors",
    inputs=examples,
    call=texts_of,
    checks=(*EVERY_KIND, *checks_in(globals())),
)
