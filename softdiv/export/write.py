"""``softdiv export``: one run folder, one format, one folder of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from softdiv import __version__
from softdiv.errors import RunError, did_you_mean
from softdiv.export.card import card
from softdiv.export.cases import Evaluated
from softdiv.export.lm_eval import lm_eval
from softdiv.export.promptfoo import promptfoo
from softdiv.export.texts import DATASET_HEADER, dataset, inspect, jsonl
from softdiv.storage.atomic import read_json, write_json, write_text
from softdiv.storage.names import EVALUATION
from softdiv.storage.run_files import RunFiles

README, MARK = "README.md", "softdiv_export.json"
TEXTS: Mapping[str, Callable[[Evaluated, Path], str]] = {
    "inspect": inspect,
    "lm-eval": lm_eval,
    "promptfoo": promptfoo,
    "jsonl": jsonl,
    "dataset": dataset,
}
"""Formats of prompts and answers; they load no model."""
SOFT = ("peft", "vllm")
"""Formats of the soft prompt; they load both models."""


def export(
    run_dir: Path,
    form: str,
    folder: Path | None = None,
    *,
    plugins: Sequence[str] = (),
    plugin_files: Sequence[Path] = (),
) -> Path:
    """Write an evaluated run in another tool's format; returns the folder.

    Args:
        folder: ``RUN/exports/FORMAT`` by default.
        plugins: what a run that was made elsewhere may import, where models are loaded.

    Raises:
        RunError: it is no evaluated run, the format cannot express it, or ``folder`` holds
            something else.
        SoftdivError: a model cannot be loaded.
    """
    if form not in (*SOFT, *TEXTS):
        raise RunError(f"no format '{form}'", fix=did_you_mean(form, (*SOFT, *TEXTS)))
    run = Evaluated.of(RunFiles.of(run_dir))
    target = folder or run_dir / "exports" / form
    _refuse_other(target, form)
    write = TEXTS.get(form)
    about = write(run, target) if write else _soft(run, form, target, plugins, plugin_files)
    header = DATASET_HEADER if form == "dataset" else None
    write_text(target / README, card(run, about, header))
    facts: dict[str, Any] = {
        "format": form,
        "softdiv": __version__,
        "pair": run.pair,
        "evaluation_sha256": run.files.stage("evaluate")["files"][EVALUATION],
    }
    write_json(target / MARK, facts)
    return target


def _soft(
    run: Evaluated, form: str, target: Path, plugins: Sequence[str], files: Sequence[Path]
) -> str:
    from softdiv.components import Prepared
    from softdiv.config.of_run import config_of_run
    from softdiv.export.loaded import SoftRun
    from softdiv.export.peft import peft
    from softdiv.export.vllm import vllm

    config = config_of_run(run.files.path, plugins)
    soft = SoftRun.of(run.files, Prepared.of(config, files))
    return (peft if form == "peft" else vllm)(soft, target)


def _refuse_other(target: Path, form: str) -> None:
    """Raises RunError for a folder that holds anything but an export of this format."""
    if target.is_file():
        raise RunError(f"{target} is a file", fix="choose another --output-dir")
    if not target.is_dir() or not any(target.iterdir()):
        return
    known = read_json(target / MARK) if (target / MARK).is_file() else None
    if not isinstance(known, dict) or known.get("format") != form:
        raise RunError(
            f"{target} is not empty and holds no {form} export", fix="choose another --output-dir"
        )
