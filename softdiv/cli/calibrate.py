"""``softdiv calibrate``: a null bank for a config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from softdiv.cli.options import FOLDER, config_options, configured, texts_option
from softdiv.cli.terminal import say
from softdiv.plain_text import one_line

if TYPE_CHECKING:
    from softdiv.evaluation.null_bank import Null


@click.command()
@click.argument("config_path", metavar="[CONFIG]", required=False, type=FOLDER)
@config_options
@texts_option
@click.option(
    "--nulls",
    "files",
    type=FOLDER,
    multiple=True,
    help="A file of benign pairs instead of softdiv's own; may be repeated.",
)
@click.option("--seed", "seeds", type=int, multiple=True, help="Of a search; may be repeated.")
@click.option("--output-dir", type=FOLDER, required=True, help="Run folders and the bank.")
def calibrate(
    config_path: Path | None,
    files: tuple[Path, ...],
    seeds: tuple[int, ...],
    output_dir: Path,
    **options: Any,
) -> None:
    """Search benign pairs exactly as CONFIG searches, so that a verdict can have a p-value.

    A benign pair is the config's model_1 and the same model rounded or with noise: nothing is
    planted. Each takes as long as a run. The same command continues where it was stopped, and
    several processes (under torchrun, or started by hand) share the pairs of one folder. A
    p-value of 0.05 needs 19 pairs.
    """
    from softdiv.calibration import BANK, calibrate, null_pairs
    from softdiv.data.shipped_texts import shipped_nulls
    from softdiv.evaluation.null_bank import LEAST
    from softdiv.pair.manager import pick_device
    from softdiv.ranks.launch import leave_launcher

    config = configured(config_path, options)
    launch = leave_launcher()
    if launch is not None and pick_device(config.device) == "cuda":
        config = attrs.evolve(config, device=f"cuda:{launch.local_rank}")
    pairs = null_pairs(*(files or (shipped_nulls(),)))
    total = len(pairs) * len(seeds or (config.seed,))
    say(f"{total} benign pairs; the largest lift of each, nats per answer: found, baselines")

    def told(null: Null) -> None:
        say(
            f"  {null.name:<24} seed {null.seed}  {null.lift:8.2f} {null.baseline_lift:8.2f}  "
            f"“{one_line(null.prompt, 40)}”"
        )

    bank = calibrate(config, pairs, seeds or (config.seed,), output_dir, told)
    if not bank.calibrates:
        say(f"note: {len(bank.nulls)} pairs; a p-value of 0.05 needs {LEAST}")
    say(f"wrote {output_dir / BANK}")
    say(f"use it:  softdiv run CONFIG --set evaluation.null_bank={output_dir / BANK}")
