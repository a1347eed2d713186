"""Load the user texts and the two models."""

from __future__ import annotations

import torch

from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import DataConfig
from softdiv.data.assemble import Note, assemble_examples
from softdiv.data.split import Split, split_examples
from softdiv.errors import ConfigError, DataError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager, pick_device
from softdiv.plugin.registry import Registry
from softdiv.stages.work import Loaded, Work
from softdiv.training.ranks import join


def load(work: Work) -> Loaded:
    """Texts and models, the first time a stage needs them; nothing is loaded for finished stages.

    Raises:
        DataError: a source is unreadable, there are too few texts, or one that does not fit.
        PairError: a model cannot be loaded, or the two cannot be compared.
    """
    if work.loaded is not None:
        return work.loaded
    config = work.config
    with work.stage("load") as stage:
        split = load_texts(work.parts, config.data, stage.notes.append)
        pair = load_pair(config, work.registry)
        pair.ledger.by_phase.update(work.ledger())
        facts = {
            "name": pair.name,
            "notes": list(pair.report.notes),
            "identical": pair.report.identical,
            "self_check": {
                wrapper.name: check.line
                for wrapper, check in zip(
                    (pair.model_1, pair.model_2), pair.self_checks, strict=True
                )
            },
        }
        stage.files |= work.run.write_json("pair.json", facts)
    work.run.note(threads=torch.get_num_threads(), device=str(pair.model_1.device))
    loaded = Loaded(split, pair, Layout(pair.tokenizer, config.training.placement))
    check_texts(loaded, config)
    work.loaded = loaded
    return loaded


def check_texts(loaded: Loaded, config: ExperimentConfig) -> None:
    """Before anything is computed: a text that neither model can take must not end a run halfway.

    Raises:
        ConfigError: no text would leave room for an answer.
        DataError: a text holds a special token, or leaves no room for an answer; with its place.
    """
    room = max(config.training.response_tokens, config.evaluation.response_tokens)
    room += config.training.num_soft_prompt_tokens
    pair, split = loaded.pair, loaded.split
    limits = (pair.model_1.max_positions, pair.model_2.max_positions)
    limit = min((size for size in limits if size is not None), default=None)
    if limit is not None and room >= limit:
        raise ConfigError(
            "training.num_soft_prompt_tokens and response_tokens of training and evaluation: "
            f"{room} tokens leave nothing of the models' {limit:,} positions"
        )
    for example in (*split.train, *split.val, *split.test):
        where = example.metadata.get("source", f"text '{example.id}'")
        try:
            size = len(loaded.layout.soft(example.text))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if limit is not None and size + room > limit:
            raise DataError(
                f"{where}: {size:,} tokens and {room} for prompt and answer do not fit into the "
                f"models' {limit:,} positions",
                fix='shorten it, or leave long texts out: processors = [..., { name = "length" }]',
            )


def load_pair(config: ExperimentConfig, registry: Registry) -> ModelPair:
    """Both models; under a launcher with ``training.engine.shard_models`` every rank calls this.

    Raises:
        ConfigError, PairError: as :meth:`ModelPairManager.load`.
    """
    device = pick_device(config.device)
    shard = config.training.engine.shard_models and join(torch.device(device).type).world > 1
    return ModelPairManager(config.pair, registry, device, shard).load()


def load_texts(parts: Components, config: DataConfig, note: Note) -> Split:
    """The user texts, split. Raises DataError."""
    examples = assemble_examples(parts.processors, config, note)
    return split_examples(
        examples, val_fraction=config.val_fraction, test_fraction=config.test_fraction
    )
