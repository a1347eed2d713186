"""A null bank: benign pairs of a config's own model_1, searched exactly as a run searches."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from softdiv.config.catalogue import ModelRegistry, located, resolve_pair
from softdiv.config.component import LoaderConfig
from softdiv.config.load import ExperimentConfig
from softdiv.config.read import read_table
from softdiv.errors import ConfigError, RunError
from softdiv.evaluation.null_bank import Null, NullBank, settings_digest
from softdiv.pipeline import DivergencePipeline
from softdiv.storage.atomic import write_json
from softdiv.storage.locks import in_use
from softdiv.storage.plain import to_plain

BANK = "null_bank.json"
LOOK_AGAIN = 5.0
"""Seconds between looks at what other processes are searching."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


@attrs.frozen
class NullPair:
    """model_1 and what ``options`` of its own loader make of it: nothing is planted."""

    name: str
    options: Mapping[str, Any]


def null_pairs(*paths: Path) -> tuple[NullPair, ...]:
    """The pairs of files: ``[[nulls]]`` with ``name`` and ``model_2``, a table of options.

    Raises:
        ConfigError: one cannot be read, or something is named twice.
    """
    found = []
    for path in paths:
        pairs = [_null_pair(path, entry) for entry in read_table(path).get("nulls") or ()]
        if not pairs:
            raise ConfigError(f"{path} has no [[nulls]]")
        found += pairs
    names = [pair.name for pair in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{paths[-1]}: two nulls have one name: {', '.join(twice)}")
    return tuple(found)


def _null_pair(path: Path, entry: Mapping[str, Any]) -> NullPair:
    name, options = entry.get("name"), entry.get("model_2")
    if not isinstance(name, str) or not isinstance(options, dict) or len(entry) != 2:
        raise ConfigError(f"{path}: a null is {{ name = '...', model_2 = {{ ... }} }}")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{path}: null {name!r} is to be the name of a folder")
    return NullPair(name, located(options))


def calibrate(
    config: ExperimentConfig,
    pairs: Sequence[NullPair],
    seeds: Sequence[int],
    folder: Path,
    on_done: Callable[[Null], None] = lambda null: None,
) -> NullBank:
    """Search every pair with every seed; write ``null_bank.json``. What has finished is kept.

    Several processes may be at work in one folder: each takes what no other has taken, and all
    end with the whole bank.

    Args:
        config: with both models, or the name of a pair; its model_2 plays no part.
        folder: one run folder per pair and seed, and the bank.

    Raises:
        SoftdivError: as a run does.
    """
    config = attrs.evolve(config, pair=resolve_pair(config.pair, ModelRegistry.load()))
    wanted = {
        f"{pair.name}-seed-{seed}": null_config(config, pair, seed)
        for seed in seeds
        for pair in pairs
    }
    nulls: dict[str, Null] = {}
    while left := [name for name in wanted if name not in nulls]:
        free = [name for name in left if not in_use(folder / name)]
        if not free:  # other processes are at work on the same bank
            time.sleep(LOOK_AGAIN)
            continue
        try:
            nulls[free[0]] = _searched(wanted[free[0]], folder / free[0])
        except RunError:
            if not in_use(folder / free[0]):  # else another process was faster
                raise
            continue
        on_done(nulls[free[0]])
    bank = NullBank(
        settings=settings_digest(config),
        model_1=_model_1(config).to_dict(),
        nulls=tuple(nulls[name] for name in wanted),
    )
    write_json(folder / BANK, to_plain(bank))
    return bank


def null_config(config: ExperimentConfig, pair: NullPair, seed: int) -> ExperimentConfig:
    """Of the run that searches one benign pair.

    Args:
        config: with both models; its model_2 plays no part.

    Raises:
        ConfigError: the config has no model_1, or its models share no tokens.
    """
    model_1 = _model_1(config)
    model_2 = LoaderConfig(model_1.name, {**model_1.options, **pair.options})
    return attrs.evolve(
        config,
        pair=attrs.evolve(config.pair, name=pair.name, model_2=model_2, organism=None),
        seed=seed,
        observers=(),
        evaluation=attrs.evolve(config.evaluation, null_bank=None),
    )


def _model_1(config: ExperimentConfig) -> LoaderConfig:
    if config.pair.by == "text":
        raise ConfigError("pair.by: a null bank is of pairs that share their tokens")
    if config.pair.model_1 is None:
        raise ConfigError("pair: model_1 is not given")
    return config.pair.model_1


def _searched(config: ExperimentConfig, run_dir: Path) -> Null:
    evaluation = DivergencePipeline(config=config, run_dir=run_dir).run().report.evaluation
    best = max(evaluation.prompts, key=lambda p: p.llr_lift.value, default=None)
    return Null(
        name=str(config.pair.name),
        seed=config.seed,
        lift=best.llr_lift.value if best else 0.0,
        baseline_lift=max((b.llr_lift.value for b in evaluation.baselines), default=0.0),
        prompt=best.text if best else "",
    )
