"""``softdiv export RUN --format X``: a run in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from softdiv.cli.options import FOLDER
from softdiv.cli.plugin_options import plugin_options
from softdiv.cli.terminal import only_ours, say

FORMATS = ("peft", "vllm", "inspect", "lm-eval", "promptfoo", "jsonl", "dataset")


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("--format", "form", type=click.Choice(FORMATS), required=True)
@click.option("--output-dir", type=FOLDER, help="Instead of RUN/exports/FORMAT.")
@plugin_options
def export(
    run: Path,
    form: str,
    output_dir: Path | None,
    plugins: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> None:
    """Write an evaluated RUN for another tool.

    peft and vllm: the soft prompt (they load both models). inspect, lm-eval, promptfoo: the text
    prompts as a test of any model. jsonl, dataset: all prompts and answers.
    """
    from softdiv.export.write import README, export

    with only_ours():
        folder = export(run, form, output_dir, plugins=plugins, plugin_files=plugin_files)
    say(f"wrote {folder}; how to use it: {folder / README}")
