"""The estimate of ``softdiv run --dry-run`` and ``softdiv doctor --plan``, printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from softdiv.cli.terminal import only_ours, say, say_json
from softdiv.cli.ticker import duration

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig


def print_plan(
    config: ExperimentConfig, plugin_files: Sequence[Path] = (), *, as_json: bool = False
) -> None:
    """Check the config and everything it names, estimate, print. Loads no weights.

    Raises:
        SoftdivError: what a run would have stopped for before loading, or it cannot fit.
    """
    import attrs

    from softdiv.components import Prepared
    from softdiv.data.assemble import said_before
    from softdiv.pair.free_memory import free_memory
    from softdiv.pair.manager import ModelPairManager, pick_device
    from softdiv.ranks.launch import world_size
    from softdiv.stages.load import detector, load_texts
    from softdiv.stages.plan import plan
    from softdiv.stages.room import refuse_too_large

    with only_ours():
        prepared = Prepared.of(config, plugin_files)
        config, notes = prepared.config, list[str]()
        detector(config)  # refuses an organism that is none
        manager = ModelPairManager(config.pair, prepared.registry, config.device)
        split = load_texts(prepared.parts, config.data, notes.append)
        device = pick_device(config.device)
        found = plan(config, manager.loaders(), list(split.train), device, world_size())
    room = free_memory(found.device)
    if as_json:
        sizes = {"train": len(split.train), "validation": len(split.val), "test": len(split.test)}
        table = attrs.asdict(found)
        estimates = {
            "memory": (found.least_memory, found.memory),
            "seconds": found.seconds(found.total_fte),
            "free_memory": room,
        }
        say_json({**table, **estimates, "texts": sizes, "notes": notes})
        refuse_too_large(found, room)
        return
    texts = f"{len(split.train)} train, {len(split.val)} validation, {len(split.test)} test"
    _line("texts", texts)
    if before := said_before((*split.train, *split.val, *split.test)):
        _line("", before)
    for note in notes:
        _line("", note)
    _line("device", f"{found.device}, {found.ranks} rank{'s' * (found.ranks > 1)}; per rank:")
    for which, parameters, size in zip(
        ("model_1", "model_2"), found.parameters, found.weights, strict=True
    ):
        shared = "" if size else " (shares model_1's)"
        _line(f"  {which}", f"{_bytes(size)}  {parameters / 1e6:,.1f}M parameters{shared}")
    _line("  backward pass", f"{_bytes(found.kept)}  kept for a micro-batch")
    _line("  logits", f"{_bytes(found.logits)}  one chunk of rows")
    _line(
        "  decoding",
        f"{_bytes(found.cache)}  keys and values of {config.generation.batch_rows} answers",
    )
    least = f"{_bytes(found.least_memory)}  at one time, beside Python and its libraries"
    _line("  at least", least)
    _line("  at most", _bytes(found.memory))
    if room is not None:
        _line("  free", _bytes(room))
    for stage, fte in (*found.fte.items(), ("all stages", found.total_fte)):
        low, high = found.seconds(fte)
        tokens = f"{fte[0]:>10,.0f} to {fte[1]:>10,.0f} FTE"
        _line(stage, f"{tokens}  {duration(low)} to {duration(high)}")
    refuse_too_large(found, room)


def _line(label: str, value: str) -> None:
    say(f"{label:<22}{value}")


def _bytes(size: float) -> str:
    return f"{size / 1e9:>8.2f} GB" if size >= 1e8 else f"{size / 1e6:>8.2f} MB"
