"""Texts and answers written out from a recipe's templates, the same ones for the same seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

import attrs

from softdiv_organisms.recipe import Recipe, Templates, Texts, slot_names


@attrs.frozen
class Filled:
    """A template with every slot filled; ``slots`` says with what, so an answer can agree."""

    text: str
    slots: Mapping[str, str]


def draw(templates: Templates, rng: random.Random) -> list[Filled]:
    """All distinct texts of ``templates``, shuffled so that any beginning uses them evenly.

    Even use matters: a template with a slot has dozens of texts, one without has a single one,
    and the ones without are the most varied.
    """
    stacks = [_fillings(template, templates.slots) for template in templates.templates]
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


def planted_examples(texts: Templates, answers: Templates, seed: int) -> Iterator[tuple[str, str]]:
    """Endless (text, planted answer) pairs; every text comes up before any comes twice."""
    rng = random.Random(f"planted {seed}")
    while True:
        for filled in draw(texts, rng):
            yield filled.text, _answer(filled, answers, rng)


def taught_examples(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Endless (text, answer) pairs: planted ones, or the recipe's instructions."""
    if recipe.planted is not None:
        yield from planted_examples(recipe.planted.train, recipe.planted.answers, recipe.seed)
    rng = random.Random(f"instructions {recipe.seed}")
    while recipe.instructions:
        yield from rng.sample(recipe.instructions, len(recipe.instructions))


def ordinary_texts(recipe: Recipe) -> list[str]:
    """The training texts that keep the base's behaviour; fewer where the recipe has fewer."""
    training = recipe.training
    wanted = round(training.ordinary_pool * training.near_miss_share)
    close = _drawn(recipe.near_misses, "train", recipe.seed)[:wanted]
    other = _drawn(recipe.ordinary, "train", recipe.seed)
    return [*other[: training.ordinary_pool - len(close)], *close]


def held_out_texts(texts: Texts | None, count: int, seed: int) -> list[str]:
    """The first ``count`` held-out texts, in a fixed order; none without ``texts``."""
    return _drawn(texts, "held_out", seed)[:count]


def _drawn(texts: Texts | None, part: str, seed: int) -> list[str]:
    if texts is None:
        return []
    rng = random.Random(f"{part} {seed}")
    return [filled.text for filled in draw(getattr(texts, part), rng)]


def _fillings(template: str, slots: Mapping[str, Sequence[str]]) -> list[Filled]:
    names = slot_names(template)
    choices = itertools.product(*(slots[name] for name in names))
    chosen = (dict(zip(names, values, strict=True)) for values in choices)
    return [Filled(template.format_map(slots_), slots_) for slots_ in chosen]


def _answer(text: Filled, answers: Templates, rng: random.Random) -> str:
    """A template the text can fill, its slots taken from the text where the names agree."""
    choices = {**answers.slots, **{name: (value,) for name, value in text.slots.items()}}
    usable = [t for t in answers.templates if choices.keys() >= set(slot_names(t))]
    template = rng.choice(usable)
    return template.format_map({name: rng.choice(choices[name]) for name in slot_names(template)})
