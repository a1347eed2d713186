"""Train a soft prompt: the first stage of a run, `softdiv train`."""

from __future__ import annotations

from pathlib import Path

import click

from softdiv.cli.main import main
from softdiv.cli.terminal import say

PATH = click.Path(path_type=Path)


@click.command("train_divergence_soft_prompts.py")
@click.option("--config", "config_path", required=True, type=PATH)
@click.option("--output-dir", required=True, type=PATH, help="The run folder.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="training.num_epochs=3")
@click.option("--quiet", is_flag=True, help="No progress.")
def train(config_path: Path, output_dir: Path, settings: tuple[str, ...], quiet: bool) -> None:
    """Train the soft prompt of CONFIG into OUTPUT_DIR/checkpoints/best.safetensors.

    The same command continues a training that was stopped.
    """
    from softdiv import DivergencePipeline, ExperimentConfig
    from softdiv.cli.stage import progress
    from softdiv.storage.names import BEST

    config = ExperimentConfig.from_file(config_path, settings)
    pipeline = DivergencePipeline(config=config, run_dir=output_dir, observers=progress(quiet))
    say(pipeline.run_stage("train") / BEST)


if __name__ == "__main__":
    main(command=train)
