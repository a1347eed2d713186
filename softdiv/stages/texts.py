"""The user texts as the two models can be given them; what cannot be is refused or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from softdiv.config.load import ExperimentConfig
from softdiv.data.lines import SHOWN
from softdiv.data.shipped_texts import natural_prompts
from softdiv.errors import ConfigError, DataError, PairError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.template import QUESTION
from softdiv.plugin.records import Example, Message
from softdiv.storage.locate import Note

PROMPTS_TRIED = 20
FEW = 0.5
"""Share of natural prompts that keep their tokens, below which searchers on tokens are told of."""


def with_system_prompt(examples: Sequence[Example], prompt: str | None) -> list[Example]:
    """Every text that has no system message of its own, with this one."""
    if prompt is None:
        return list(examples)
    message = Message("system", prompt)
    return [
        e
        if any(m.role == "system" for m in e.context)
        else attrs.evolve(e, context=(message, *e.context))
        for e in examples
    ]


def check_system_prompt(prompt: str | None, layout: Layout) -> None:
    """Raises DataError if it holds a control token: no text's fault, so none is skipped for it."""
    try:
        layout.check_plain(prompt or "")
    except DataError as error:
        raise DataError(f"data.system_prompt: {error}") from error


def skipping_sources(processors: Iterable[Any]) -> tuple[str, ...]:
    """Paths of the sources with ``on_bad_lines = "skip"``."""
    sources = (getattr(processor, "processor", processor) for processor in processors)
    return tuple(
        str(source.data_path)
        for source in sources
        if getattr(source, "on_bad_lines", "") == "skip" and getattr(source, "data_path", "")
    )


def usable_texts(
    examples: Sequence[Example], layout: Layout, skipping: tuple[str, ...], note: Note
) -> list[Example]:
    """Those without a control token in any of their messages.

    Raises:
        DataError: with the place of one that has, unless it comes from a source that skips.
    """
    kept, skipped = [], []
    for example in examples:
        where = str(example.metadata.get("source", f"text '{example.id}'"))
        try:
            for message in (*example.context, Message("user", example.text)):
                layout.check_plain(message.content)
            kept.append(example)
        except DataError as error:
            if not (skipping and where.startswith(skipping)):
                raise DataError(
                    f"{where}: {error}",
                    fix='mend it, or set on_bad_lines = "skip" for its source',
                ) from error
            skipped.append(f"{where}: {error}")
    if skipped:
        more = f"; and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
        note(f"{len(skipped)} texts were skipped: {'; '.join(skipped[:SHOWN])}{more}")
    return kept


def with_contexts_kept(
    examples: Sequence[Example], layout: Layout, system_prompt: str | None, note: Note
) -> list[Example]:
    """Every text with as much of the conversation before it as the chat template has a place for.

    Whether it has one depends on the roles; it is tried once for each sequence of them.

    Raises:
        PairError: it has no place for ``data.system_prompt``.
    """
    lost: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    known: dict[tuple[str, ...], tuple[frozenset[int], str]] = {}
    found = []
    for example in examples:
        roles = tuple(message.role for message in example.context)
        if roles not in known:
            known[roles] = _kept(example, layout)
        kept, reason = known[roles]
        for place, message in enumerate(example.context):
            if place in kept:
                continue
            if message.content == system_prompt:
                raise PairError("the chat template has no place for data.system_prompt", why=reason)
            lost[message.role] += 1
            reasons.setdefault(message.role, reason)
        context = tuple(m for place, m in enumerate(example.context) if place in kept)
        found.append(attrs.evolve(example, context=context))
    for role, count in lost.items():
        note(
            f"{count} messages of the role '{role}' were left out of the conversations before "
            f"the user texts: {reasons[role]}"
        )
    return found


def _kept(example: Example, layout: Layout) -> tuple[frozenset[int], str]:
    """Places of the context's messages that the template writes, the most it takes together; and
    why the others are not kept."""
    context, reason = example.context, ""
    everything = range(len(context))
    for leaving_out in (
        set(),
        {m.role for m in context} - {"system", "user", "assistant"},
        {"system"},
        {m.role for m in context} - {"user", "assistant"},
        {m.role for m in context} - {"system"},
        {m.role for m in context},
    ):
        places = [place for place in everything if context[place].role not in leaving_out]
        try:
            dropped = _dropped([context[place] for place in places], example.text, layout)
        except PairError as error:
            reason = reason or str(error.what)
            continue
        if not dropped:
            return frozenset(places), reason
        reason = reason or "the chat template does not write them"
    return frozenset(), reason


def _dropped(context: Sequence[Message], text: str, layout: Layout) -> bool:
    """Whether the rendered conversation is the same whatever one of the messages says."""
    messages = [*context, Message("user", text)]
    whole = layout.template.render(messages)
    for place, message in enumerate(context):
        if not message.content.strip():
            continue
        other = attrs.evolve(message, content=f"Something else than {message.content[:5]}.")
        if layout.template.render([*messages[:place], other, *messages[place + 1 :]]) == whole:
            return True
    return False


def check_lengths(
    examples: Sequence[Example], layout: Layout, pair: ModelPair, config: ExperimentConfig
) -> None:
    """Every text leaves room for the prompt and an answer.

    Raises:
        ConfigError: none could.
        DataError: one does not, with its place.
        PairError: the chat template has no place for the prompt.
    """
    room = max(config.training.response_tokens, config.evaluation.response_tokens)
    room += config.training.num_soft_prompt_tokens
    limits = (pair.model_1.max_positions, pair.model_2.max_positions)
    limit = min((size for size in limits if size is not None), default=None)
    if limit is not None and room >= limit:
        raise ConfigError(
            "training.num_soft_prompt_tokens and response_tokens of training and evaluation: "
            f"{room} tokens leave nothing of the models' {limit:,} positions"
        )
    for example in examples:
        where = example.metadata.get("source", f"text '{example.id}'")
        try:
            size = len(layout.soft(example))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if limit is not None and size + room > limit:
            raise DataError(
                f"{where}: {size:,} tokens and {room} for prompt and answer do not fit into the "
                f"models' {limit:,} positions",
                fix='shorten it, or leave long texts out: processors = [..., { name = "length" }]',
            )


def layout_notes(layout: Layout) -> list[str]:
    """What a reader should know of the prompt's place.

    Raises:
        PairError: the chat template has none.
    """
    (question,) = QUESTION
    prompts = [p for p in natural_prompts()[: PROMPTS_TRIED + 1] if p]
    kept = sum(layout.retokenises(layout.encode(p), question.content) for p in prompts)
    if kept >= FEW * len(prompts):
        return []
    return [
        f"{kept} of {len(prompts)} natural prompts keep their tokens at '{layout.placement}': "
        "searchers that change single tokens find less there than texts could do"
    ]
