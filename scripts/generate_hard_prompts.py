"""Turn trained soft prompts into text prompts."""

from __future__ import annotations

from pathlib import Path

import click

from softdiv.cli.main import main
from softdiv.cli.terminal import say

PATH = click.Path(path_type=Path)


@click.command("generate_hard_prompts.py")
@click.option("--config", "config_path", required=True, type=PATH)
@click.option("--checkpoints", required=True, type=PATH, help="Soft prompts, or run folders.")
@click.argument("more", nargs=-1, type=PATH)
@click.option("--output-dir", required=True, type=PATH, help="Where prompts.jsonl goes.")
@click.option(
    "--min-divergence", default=0.0, type=click.FloatRange(0, 1), show_default=True, help="Bits."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="generation.top_p=0.9")
def generate(
    config_path: Path,
    checkpoints: Path,
    more: tuple[Path, ...],
    output_dir: Path,
    min_divergence: float,
    settings: tuple[str, ...],
) -> None:
    """Search text prompts from each of CHECKPOINTS and write the best to OUTPUT_DIR/prompts.jsonl.

    Of the config's user texts those for training and for choosing are used: the held-out ones
    stay unseen for the evaluation. For a .pt file the .safetensors beside it is taken.
    """
    from softdiv import ExperimentConfig, HardPromptGenerator
    from softdiv.components import Prepared
    from softdiv.errors import RunError
    from softdiv.pair.manager import ModelPairManager
    from softdiv.search.generator import SearchResult
    from softdiv.stages.load import load_texts
    from softdiv.storage.atomic import write_json_lines
    from softdiv.storage.locate import as_safetensors
    from softdiv.stored import prompt_records

    def note(line: str) -> None:
        say(f"note: {line}", err=True)

    prepared = Prepared.of(ExperimentConfig.from_file(config_path, settings))
    files = as_safetensors([checkpoints, *more], note)
    texts = load_texts(prepared.parts, prepared.config.data, note)
    pair = ModelPairManager(prepared.config.pair, prepared.registry, prepared.config.device).load()
    generator = HardPromptGenerator(
        model_1=pair.model_1, model_2=pair.model_2, config=prepared.config
    )
    prompts = generator.batch_generate(
        checkpoint_paths=files,
        input_texts=[*texts.train, *texts.val],
        min_divergence=min_divergence,
    )
    for line in generator.notes:
        note(line)
    path = output_dir / "prompts.jsonl"
    if not prompts:
        raise RunError(f"no prompt reaches {min_divergence} bits", why=f"{path} was not written")
    write_json_lines(path, prompt_records(SearchResult(tuple(prompts), ())))
    say(f"{len(prompts)} prompts: {path}")


if __name__ == "__main__":
    main(command=generate)
