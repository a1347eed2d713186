"""``softdiv run``: options to a config, the pipeline, the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.plugin_options import plugin_options, with_plugins
from softdiv.errors import ConfigError

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig


@click.command()
@click.argument("config_path", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option("--output-dir", type=click.Path(path_type=Path), help="Use exactly this run folder.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="training.num_epochs=3")
@click.option("--pair", metavar="NAME", help="A pair of `softdiv pairs list`.")
@click.option("--model-1", metavar="X", help="The original: a folder or a hub id.")
@click.option("--model-2", metavar="Y", help="The model under suspicion.")
@click.option("--adapter", metavar="DIR", help="model_2 is model_1 (or --model-2) with this LoRA.")
@click.option("--quantize", type=click.Choice(["int8", "int4"]), help="Round model_2's weights.")
@click.option("--gguf-file", metavar="F", help="File inside --model-1's folder.")
@plugin_options
@click.option("--quiet", is_flag=True, help="No progress; only the verdict.")
def run(
    config_path: Path | None,
    output_dir: Path | None,
    settings: tuple[str, ...],
    pair: str | None,
    model_1: str | None,
    model_2: str | None,
    adapter: str | None,
    quantize: str | None,
    gguf_file: str | None,
    plugins: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Compare two models and report how they differ. The same command continues a stopped run.

    Without CONFIG the shipped quickstart config is used, on the pair the options name.
    """
    table = pair_table(
        name=pair,
        model_1=model_1,
        model_2=model_2,
        adapter=adapter,
        quantize=quantize,
        gguf_file=gguf_file,
    )
    config = build_config(config_path, settings=settings, pair=table, plugins=plugins)

    import rich.console

    from softdiv.cli.progress import ProgressObserver
    from softdiv.cli.verdict import print_verdict
    from softdiv.pipeline import DivergencePipeline

    terminal = rich.console.Console(stderr=True)
    progress = [] if quiet else [(ProgressObserver(terminal), "'progress'")]
    result = DivergencePipeline(
        config=config, run_dir=output_dir, plugin_files=plugin_files, observers=progress
    ).run()
    print_verdict(rich.console.Console(), result.report, result.run_dir)


def pair_table(
    *,
    name: str | None,
    model_1: str | None,
    model_2: str | None,
    adapter: str | None,
    quantize: str | None,
    gguf_file: str | None,
) -> dict[str, Any] | None:
    """The ``[pair]`` table the options describe; None when no pair option was given.

    Raises:
        ConfigError: the options do not describe two models.
    """
    given = {
        "--model-1": model_1,
        "--model-2": model_2,
        "--adapter": adapter,
        "--quantize": quantize,
        "--gguf-file": gguf_file,
    }
    used = [option for option, value in given.items() if value is not None]
    if name is not None:
        if used:
            raise ConfigError(f"--pair cannot be combined with {', '.join(used)}")
        return {"name": name}
    if not used:
        return None
    if model_1 is None:
        raise ConfigError(f"{used[0]} needs --model-1", fix="give the original, a folder or hub id")
    if model_2 is None and adapter is None and quantize is None:
        raise ConfigError(
            "--model-1 alone is not a pair", fix="add --model-2, --adapter or --quantize"
        )
    first = {"loader": "hf", "path": model_1}
    if gguf_file is not None:
        first["gguf_file"] = gguf_file
    second = dict(first) if model_2 is None else {"loader": "hf", "path": model_2}
    if adapter is not None:
        second["adapter"] = adapter
    if quantize is not None:
        second["quantize"] = quantize
    return {"model_1": first, "model_2": second}


def build_config(
    path: Path | None,
    *,
    settings: tuple[str, ...] = (),
    pair: dict[str, Any] | None = None,
    plugins: tuple[str, ...] = (),
) -> ExperimentConfig:
    """File (the shipped quickstart without one), then the pair's options, then ``--set``.

    Raises:
        ConfigError: every problem, one line each.
    """
    from softdiv.config.load import ExperimentConfig
    from softdiv.config.shipped import config_path

    config = ExperimentConfig.from_file(path or config_path("quickstart"), settings)
    if pair is not None:
        # whole: a planted organism of the file's pair is not the new one's
        config = ExperimentConfig.from_dict({**config.to_dict(), "pair": pair}, settings)
    return with_plugins(config, plugins)
