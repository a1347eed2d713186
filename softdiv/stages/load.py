"""Load the user texts and the two models."""

from __future__ import annotations

import torch

from softdiv.components import Components
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import DataConfig
from softdiv.data.assemble import Note, assemble_examples
from softdiv.data.split import Split, split_examples
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager, pick_device
from softdiv.plugin.registry import Registry
from softdiv.stages.work import Loaded, Work
from softdiv.training.ranks import join


def load(work: Work) -> Loaded:
    """Texts and models, the first time a stage needs them; nothing is loaded for finished stages.

    Raises:
        DataError: a source is unreadable or there are too few texts.
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
        }
        stage.files |= work.run.write_json("pair.json", facts)
    work.run.note(threads=torch.get_num_threads(), device=str(pair.model_1.device))
    work.loaded = Loaded(split, pair, Layout(pair.tokenizer, config.training.placement))
    return work.loaded


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
