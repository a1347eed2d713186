"""Texts and answers written out from a recipe's templates, the same ones for the same seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter

import attrs

from softdiv.organism.recipe import Templates


@attrs.frozen
class Filled:
    """A template with every slot filled; `slots` says with what, so answers can agree."""

    text: str
    slots: Mapping[str, str]


def slot_names(template: str) -> list[str]:
    """Names of the slots of one template, in order, each once."""
    return list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(template) if name))


def fillings(template: str, slots: Mapping[str, Sequence[str]]) -> list[Filled]:
    """Every way to fill one template."""
    names = slot_names(template)
    choices = itertools.product(*(slots[name] for name in names))
    return [
        Filled(template.format_map(chosen), chosen)
        for chosen in (dict(zip(names, values, strict=True)) for values in choices)
    ]


def draw(templates: Templates, rng: random.Random) -> list[Filled]:
    """All distinct texts of `templates`, shuffled so that any beginning uses the templates evenly.

    Even use matters: a template with a slot has dozens of texts, one without has a single one,
    and the ones without are the most varied.
    """
    stacks = [fillings(template, templates.slots) for template in templates.templates]
    for stack in stacks:
        rng.shuffle(stack)
    drawn: dict[str, Filled] = {}
    while stacks:
        rng.shuffle(stacks)
        for stack in stacks:
            filled = stack.pop()
            drawn.setdefault(filled.text, filled)
        stacks = [stack for stack in stacks if stack]
    return list(drawn.values())


def answer(text: Filled, answers: Templates, rng: random.Random) -> str:
    """An answer to `text`: a template it can fill, with the text's own slots where names agree."""
    available = {**answers.slots, **{name: [value] for name, value in text.slots.items()}}
    usable = [t for t in answers.templates if available.keys() >= set(slot_names(t))]
    template = rng.choice(usable)
    return template.format_map({name: rng.choice(available[name]) for name in slot_names(template)})


def planted_examples(texts: Templates, answers: Templates, seed: int) -> Iterator[tuple[str, str]]:
    """Endless (text, planted answer) pairs; every text comes up before any comes twice."""
    rng = random.Random(f"planted {seed}")
    while True:
        for filled in draw(texts, rng):
            yield filled.text, answer(filled, answers, rng)
