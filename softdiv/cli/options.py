"""The options that say what to compare, shared by every command that loads models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from softdiv.cli.pair_table import flag, pair_table, with_models
from softdiv.cli.plugin_options import plugin_options, with_plugins
from softdiv.cli.texts import with_texts
from softdiv.errors import ConfigError

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path)
DTYPES = ("auto", "float32", "bfloat16", "float16")

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "settings": {"multiple": True, "metavar": "KEY=VALUE", "help": "training.num_epochs=3"},
    "pair": {"metavar": "NAME", "help": "A pair of `softdiv pairs list`."},
    "model_1": {
        "metavar": "X",
        "help": "The original: a folder, a GGUF file or a hub id[@revision].",
    },
    "model_2": {"metavar": "Y", "help": "The model under suspicion."},
    "revision_1": {"metavar": "REV", "help": "Branch, tag or commit of model_1."},
    "revision_2": {"metavar": "REV", "help": "Of model_2, or of model_1 a second time."},
    "adapter": {"metavar": "DIR", "help": "model_2 is model_1 (or --model-2) with this LoRA."},
    "quantize": {"type": click.Choice(["int8", "int4"]), "help": "Round model_2's weights."},
    "gguf_file": {"metavar": "F", "help": "File inside --model-1's folder."},
    "dtype": {"type": click.Choice(DTYPES), "help": "Of both models; auto = as stored."},
    "device": {"metavar": "D", "help": "auto, cpu, cuda, cuda:1 [from the config]."},
    "system_prompt": {"metavar": "TEXT", "help": "Of texts that bring none of their own."},
    "chat_template": {"metavar": "FILE", "help": "Jinja, in place of the tokenizer's own."},
}
"""Parameter -> its option, of everything that says what to compare."""


def stacked(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator; the command receives them as keywords."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


config_options = stacked(
    *(click.option(flag(name), name, **how) for name, how in _OPTIONS.items()), plugin_options
)
"""For commands that load models; what they receive is for :func:`configured`."""
texts_option = click.option(
    "--texts",
    multiple=True,
    metavar="FILE",
    type=FOLDER,
    help="User texts in place of the config's: JSONL, CSV, Parquet, or a text a line.",
)
"""For commands that read user texts."""
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
_SETTINGS = {
    "dtype": ("pair.model_1.dtype", "pair.model_2.dtype"),
    "device": ("device",),
    "system_prompt": ("data.system_prompt",),
    "chat_template": ("pair.chat_template",),
}
"""Parameter -> the keys of a config that it is short for."""


def configured(path: Path | None, options: dict[str, Any]) -> ExperimentConfig:
    """The config file (the shipped quickstart without one) with the options applied.

    Raises:
        ConfigError: every problem, one line each.
    """
    short = [
        f"{key}={json.dumps(options[name])}"
        for name, keys in _SETTINGS.items()
        for key in keys
        if options[name] is not None
    ]
    return build_config(
        path,
        settings=(*short, *options["settings"]),
        pair=pair_table(options),
        texts=options.get("texts", ()),
        plugins=options["plugins"],
    )


def refuse_options(options: dict[str, Any], run_dir: Path) -> None:
    """Raises ConfigError if an option was given that a run folder's own config answers.

    ``--plugin`` may be given: it says which plugins of a run made elsewhere are trusted.
    """
    given = [flag(name) for name in ("config", *_OPTIONS, "texts") if options.get(name)]
    if given:
        raise ConfigError(
            f"{', '.join(given)} cannot be combined with the run {run_dir}",
            fix="its settings are in its config.toml; start another run to change them",
        )


def build_config(
    path: Path | None,
    *,
    settings: tuple[str, ...] = (),
    pair: dict[str, Any] | None = None,
    texts: tuple[Path, ...] = (),
    plugins: tuple[str, ...] = (),
) -> ExperimentConfig:
    """File (the shipped quickstart without one), then pair and texts, then ``--set``.

    Raises:
        ConfigError: every problem, one line each.
    """
    from softdiv.config.load import ExperimentConfig
    from softdiv.config.shipped import config_path

    of_models = [s for s in settings if s.strip().startswith(("pair.model_1.", "pair.model_2."))]
    first = [s for s in settings if s not in of_models]
    config = ExperimentConfig.from_file(path or config_path("quickstart"), first)
    if pair is not None or of_models or texts:
        # whole: a planted organism of the file's pair is not the new one's
        table = {**config.to_dict(), **({} if pair is None else {"pair": pair})}
        if of_models:
            table["pair"] = with_models(table["pair"])
        if texts:
            table["data"] = with_texts(table["data"], texts, keep_filters=path is not None)
        config = ExperimentConfig.from_dict(table, settings)
    return with_plugins(config, plugins)
