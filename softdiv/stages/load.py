"""Load the user texts and the two models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import attrs
import torch

from softdiv import stored
from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import DataConfig
from softdiv.data.assemble import assemble_examples
from softdiv.data.split import Split, split_examples
from softdiv.errors import ConfigError, RunError
from softdiv.evaluation.detector import load_detector
from softdiv.pair.manager import ModelPair, ModelPairManager, pick_device
from softdiv.plugin.records import Example
from softdiv.plugin.registry import Registry
from softdiv.ranks.group import join
from softdiv.stages.texts import (
    check_lengths,
    check_system_prompt,
    layout_notes,
    skipping_sources,
    usable_texts,
    with_contexts_kept,
    with_system_prompt,
)
from softdiv.stages.work import LoadedPair, Work
from softdiv.storage.locate import Note
from softdiv.storage.names import LEFTOVERS, PAIR, STAGES
from softdiv.storage.records import read_record

BEGUN = (*STAGES, *LEFTOVERS["train"])
"""Finished stages, or what the first leaves before it has finished."""


def load(work: Work) -> LoadedPair:
    """Texts and models, the first time a stage needs them; nothing is loaded for finished stages.

    Raises:
        DataError: a source is unreadable, there are too few texts, or one that does not fit.
        PairError: a model cannot be loaded, or the two cannot be compared.
        RunError: the chat template has changed since the run began.
    """
    if isinstance(work.loaded, LoadedPair):
        return work.loaded
    config = work.config
    with work.stage("load") as stage:
        texts = load_texts(work.parts, config.data, stage.notes.append)
        pair = load_pair(config, work.registry)
        pair.ledger.by_phase.update(work.run.ledger())
        _same_template(work, pair)
        loaded = fitting(texts, pair, config, work.parts, stage.notes.append)
        stage.files |= stored.write_pair(work.run, _facts(pair))
    work.run.note(threads=torch.get_num_threads(), device=str(pair.model_1.device))
    work.loaded = loaded
    return loaded


def _facts(pair: ModelPair) -> stored.PairFacts:
    checks = zip((pair.model_1, pair.model_2), pair.self_checks, strict=True)
    return stored.PairFacts(
        name=pair.name,
        notes=pair.report.notes,
        identical=pair.report.identical,
        chat_template_sha256=_template(pair),
        answers_end_with=tuple({"text": t, "id": i} for t, i in pair.report.ends),
        self_check={wrapper.name: check.line for wrapper, check in checks},
    )


def _template(pair: ModelPair) -> str:
    return pair.template.sha256 if pair.template else ""


def _same_template(work: Work, pair: ModelPair) -> None:
    """Raises RunError if a run that has begun would go on with another chat template."""
    path, now = work.run.path / PAIR, _template(pair)
    begun = any(work.run.done(name) or (work.run.path / name).exists() for name in BEGUN)
    if not begun or not path.exists():
        return
    if read_record(path, stored.PairFacts).chat_template_sha256 not in (None, now):
        raise RunError(
            f"the chat template is not the one that {work.run.path} began with",
            fix="put it back, or repeat the run from its first stage with --force",
        )


def fitting(
    split: Split, pair: ModelPair, config: ExperimentConfig, parts: Components, note: Note
) -> LoadedPair:
    """The texts as the two models can be given them.

    Before anything is computed: a text that neither model can take must not end a run halfway.

    Args:
        note: receives one line per thing that was left out.

    Raises:
        ConfigError: no text would leave room for an answer.
        DataError: a text holds a control token (and its source does not skip bad lines), or
            leaves no room for an answer; with its place.
        PairError: the chat template has no place for the prompt or for ``data.system_prompt``.
    """
    layout = pair.layout(config.training.placement)
    for line in layout_notes(layout):
        note(line)
    check_system_prompt(config.data.system_prompt, layout)
    examples = usable_texts(
        (*split.train, *split.val, *split.test), layout, skipping_sources(parts.processors), note
    )
    examples = with_contexts_kept(examples, layout, config.data.system_prompt, note)
    check_lengths(examples, layout, pair, config)
    texts = split_again(examples, config.data)
    first = (texts.train or texts.test)[0]
    return LoadedPair(texts, pair, attrs.evolve(layout, context=first.context))


def load_pair(config: ExperimentConfig, registry: Registry) -> ModelPair:
    """Both models; under a launcher with ``training.engine.shard_models`` every rank calls this.

    Raises:
        ConfigError, PairError: as :meth:`ModelPairManager.load`.
    """
    device = pick_device(config.device)
    shard = config.training.engine.shard_models and join(torch.device(device).type).world > 1
    return ModelPairManager(config.pair, registry, device, shard).load()


def detector(config: ExperimentConfig) -> re.Pattern[str] | None:
    """Of the pair's planted organism, if it has one. Raises ConfigError."""
    organism = config.pair.organism
    return load_detector(Path(organism)) if organism else None


def refuse_no_texts(split: Split, what: str) -> None:
    """Raises ConfigError where all texts are test texts and ``what`` needs some of its own."""
    if not split.train:
        raise ConfigError(
            f"data.test_fraction = 1 leaves no text for the {what}", fix="give 0.5 or less"
        )


def load_texts(parts: Components, config: DataConfig, note: Note) -> Split:
    """The user texts, split. Raises DataError."""
    examples = assemble_examples(parts.processors, config, note)
    return split_again(with_system_prompt(examples, config.system_prompt), config)


def split_again(examples: Iterable[Example], config: DataConfig) -> Split:
    """As the config says."""
    return split_examples(
        examples, val_fraction=config.val_fraction, test_fraction=config.test_fraction
    )
