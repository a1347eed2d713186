"""The configuration that a run folder was made with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from softdiv.config.load import ExperimentConfig
from softdiv.storage.names import CONFIG
from softdiv.storage.origin import refuse_plugins
from softdiv.storage.run_files import RunFiles


def config_of_run(run_dir: Path, trusted: Iterable[str] = ()) -> ExperimentConfig:
    """The config in a run folder, to go on with it.

    Args:
        trusted: plugins the user names beside it; all that it names are where the run was made by
            this user (see :mod:`softdiv.storage.origin`).

    Raises:
        RunError: it is no run folder, or its config has changed.
        ConfigError: its config cannot be read.
        PluginError: it names a plugin that this user did not.
    """
    run = RunFiles.of(run_dir)
    config = ExperimentConfig.from_file(run.file(CONFIG))
    refuse_plugins(run_dir, run.manifest, config.plugins, trusted)
    return config
