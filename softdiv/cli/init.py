"""``softdiv init``: a commented config for the pair at hand."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from softdiv.cli.options import config_options, configured, texts_option
from softdiv.cli.terminal import ask, say
from softdiv.cli.words import what_is_meant
from softdiv.errors import ConfigError

HEADER = """\
# The same run as without this file; change what you like. Keys that are not here have their
# defaults: docs/, configs/full.toml. Estimate: softdiv run {name} --dry-run"""


@click.command()
@click.argument("words", metavar="[CONFIG] [MODEL_1 MODEL_2]", nargs=-1)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("softdiv.toml"),
    show_default=True,
    help="Where the config goes.",
)
@config_options
@texts_option
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(words: tuple[str, ...], output: Path, force: bool, **options: Any) -> None:
    """Write a commented config for two models; asks only for what no word or option says.

    The settings are those of `softdiv run` with the same words and options.
    """
    if output.suffix != ".toml":
        raise ConfigError(f"--output {output}: a config ends in .toml")
    if output.exists() and not force:
        raise ConfigError(f"{output} exists", fix="give --force, or another --output")
    config_path, models = what_is_meant(words, options)
    options |= models
    if config_path is None and options["pair"] is None and options["model_1"] is None:
        try:
            options |= _asked()
        except click.Abort as error:
            raise ConfigError("nobody answered", fix="softdiv init MODEL_1 MODEL_2") from error
    config = configured(config_path, options)

    from softdiv.config.reference import commented
    from softdiv.storage.atomic import write_text

    name = shlex.quote(str(output))
    write_text(output, commented(config, HEADER.format(name=name)))
    say(f"wrote {output}")
    say(f"next: softdiv run {name} --dry-run, then softdiv run {name}", err=True)


def _asked() -> dict[str, Any]:
    """What a user at a terminal answers."""
    answers: dict[str, Any] = {
        "model_1": ask("the original (a folder, a GGUF file or a hub id)"),
        "model_2": ask("the model under suspicion"),
    }
    texts = ask("a file of user texts (empty: those that come with softdiv)", default="")
    return {**answers, "texts": (Path(texts),)} if texts else answers
