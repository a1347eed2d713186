"""``evaluate RUN --metric X --texts FILE``, ``analyze RUN --analyzer Y``: a finished run is open.

What was trained and searched stays; the rest is done again in a revision beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softdiv.cli.stage import pipeline_of
from softdiv.cli.terminal import only_ours, say
from softdiv.cli.texts import with_texts
from softdiv.errors import ConfigError

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig
    from softdiv.pipeline import PipelineResult


def with_added(config: ExperimentConfig, key: str, option: str, added: Sequence[str]) -> Any:
    """The config with more components in a list of it.

    Args:
        key: ``evaluation.metrics`` or ``analysis.analyzers``.
        added: names, or tables in TOML.

    Raises:
        ConfigError: one is there already, or is no name and no table.
    """
    from softdiv.config.component import ComponentConfig
    from softdiv.config.load import ExperimentConfig, toml_value

    section, _, name = key.partition(".")
    table = config.to_dict()
    known = list(getattr(getattr(config, section), name))
    for text in added:
        try:
            one = ComponentConfig.from_table(toml_value(text))
        except ValueError as error:
            raise ConfigError(f"{option} {text}: {error}") from error
        if one in known:
            raise ConfigError(f"{option} {text}: it is among {key} already")
        known.append(one)
    table[section][name] = [one.to_dict() for one in known]
    return ExperimentConfig.from_dict(table)


def with_texts_of(config: ExperimentConfig, texts: Sequence[Path]) -> ExperimentConfig:
    """The config that reads these texts; its filters stay."""
    from softdiv.config.load import ExperimentConfig

    table = config.to_dict()
    table["data"] = with_texts(table["data"], texts, keep_filters=True)
    return ExperimentConfig.from_dict(table)


def with_all_texts(
    config: ExperimentConfig, plugin_files: Sequence[Path], given: Sequence[str] = ()
) -> ExperimentConfig:
    """The config that scores every text: nothing is trained on them or chosen by them.

    Args:
        given: settings of the command line, which win.
    """
    from softdiv.components import Prepared
    from softdiv.stages.load import load_texts

    keys = {setting.partition("=")[0].strip() for setting in given}
    if "data.test_fraction" not in keys:
        config = config.with_overrides("data.test_fraction=1.0")
    if "evaluation.test_texts" in keys:
        return config
    with only_ours():
        parts = Prepared.of(config, plugin_files).parts
        count = len(load_texts(parts, config.data, lambda note: None).test)
    return config.with_overrides(f"evaluation.test_texts={count}")


def revise(
    run: Path,
    old: ExperimentConfig,
    new: ExperimentConfig,
    keep: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    *,
    quiet: bool,
) -> PipelineResult:
    """The revision of ``run`` with ``new`` in place of ``old``; what exists is shown again.

    Raises:
        SoftdivError: as a run does.
    """
    from softdiv.components import Prepared
    from softdiv.stages.revision import Base, refuse_seen_texts

    with only_ours():
        if new.data != old.data:
            both = (Prepared.of(config, plugin_files) for config in (old, new))
            if unknown := refuse_seen_texts(*both):
                say(f"note: {unknown}", err=True)
        pipeline = pipeline_of(new, plugin_files, quiet, base=Base(run, keep))
        result = pipeline.run()
    if pipeline.nothing_to_do:
        say(f"{result.run_dir}: this revision was there already", err=True)
    return result
