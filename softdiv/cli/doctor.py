"""``softdiv doctor``: what is installed and usable on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from softdiv.cli.options import FOLDER, json_option
from softdiv.cli.terminal import only_ours, say_rows

PACKAGES = ("softdiv", "torch", "transformers", "safetensors", "deepspeed", "bitsandbytes", "peft")
TRIED = ("deepspeed", "bitsandbytes")
"""Packages that are often installed and yet cannot be imported; each is tried in its own process,
because importing them prints, compiles and changes global state."""
PATIENCE_SECONDS = 120


@click.command()
@click.option(
    "--plan",
    "config_path",
    metavar="CONFIG",
    type=FOLDER,
    help="Estimate what a run of this config needs; loads no model.",
)
@json_option
def doctor(config_path: Path | None, as_json: bool) -> None:
    """Versions, devices, memory, optional packages, plugins, cache. Imports no plugin."""
    if config_path is not None:
        from softdiv.cli.plan import print_plan
        from softdiv.config.load import ExperimentConfig

        print_plan(ExperimentConfig.from_file(config_path), as_json=as_json)
        return
    with only_ours():
        rows = _rows()
    say_rows(rows, width=20, as_json=as_json)


def _rows() -> list[tuple[str, str]]:
    from softdiv import __version__
    from softdiv.plugin.discovery import installed
    from softdiv.storage.cache import cache_root

    rows = [("python", f"{sys.version.split()[0]}  {sys.executable}")]
    rows += [(p, __version__ if p == "softdiv" else _version(p)) for p in PACKAGES]
    rows.append(("cpus", f"{_cpus()} usable of {os.cpu_count()}"))
    rows.append(("memory", _memory()))
    rows += _torch()
    rows.append(("self-check", _self_check()))
    rows += [(f"{p} usable", _tried(p)) for p in TRIED if find_spec(p) is not None]
    plugins = [("plugin", f"{p.name}  {p.distribution} {p.version}") for p in installed()]
    rows += plugins or [("plugin", "none installed (built-in components need none)")]
    root = cache_root()
    rows.append(("cache", f"{root}  {_folder_size(root) / 1e6:.0f} MB"))
    rows.append(("disk free", f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB here"))
    return rows


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    """As a run sees it: in a container, what its limit leaves."""
    from softdiv.pair.free_memory import free_memory

    free = free_memory("cpu")
    if free is None:
        return "unknown on this system"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{free / 1e9:.1f} GB available of {total / 1e9:.1f} GB"


def _torch() -> list[tuple[str, str]]:
    import torch

    lines = [("torch threads", str(torch.get_num_threads()))]
    if not torch.cuda.is_available():
        lines.append(("devices", "cpu (torch finds no CUDA GPU)"))
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        lines.append((f"cuda:{index}", f"{facts.name}, {facts.total_memory / 1e9:.0f} GB"))
    return lines


def _self_check() -> str:
    """Of a tiny random model: whether this machine's torch and transformers are right together."""
    from softdiv.errors import PairError
    from softdiv.pair.self_check import self_check
    from softdiv.pair.wrapper import ModelWrapper
    from softdiv.plugin.manager import PluginManager

    tiny = PluginManager.load().registry.build("models", "tiny", {})
    try:
        return self_check(ModelWrapper("a tiny model", *tiny.load("cpu"))).line
    except PairError as error:
        return f"failed: {error}"


def _tried(package: str) -> str:
    command = [sys.executable, "-c", f"import {package}"]
    try:
        done = subprocess.run(  # noqa: S603 (a fixed name, our own interpreter)
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no: importing it took over {PATIENCE_SECONDS} s"
    if done.returncode == 0:
        return "yes"
    lines = done.stderr.strip().splitlines()
    return f"no: {lines[-1] if lines else f'exit code {done.returncode}'}"


def _folder_size(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)
