"""DeepSpeed's configuration: ours, and a user's file where it does not contradict the TOML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softdiv.config.limits import out_of_limits
from softdiv.config.schema import TrainingConfig
from softdiv.errors import ConfigError, RunError, did_you_mean
from softdiv.storage.atomic import read_json
from softdiv.storage.plain import dotted

REFUSED: Mapping[str, str] = {
    "scheduler": "softdiv builds the schedule; set training.schedule and training.warmup_steps",
    "fp16": "the prompt is trained in fp32; set training.mixed_precision and training.autocast",
    "bf16": "the prompt is trained in fp32; set training.mixed_precision and training.autocast",
    "amp": "the prompt is trained in fp32; set training.mixed_precision and training.autocast",
}
"""Sections with no meaning here, unless they are switched off by ``"enabled": false``."""

KNOWN = frozenset(
    {
        *("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"),
        *("gradient_clipping", "optimizer", "zero_optimization", "zero_allow_untested_optimizer"),
        *("communication_data_type", "prescale_gradients", "gradient_predivide_factor"),
        *("sparse_gradients", "data_types", "disable_allgather", "aio", "steps_per_print"),
        *("wall_clock_breakdown", "memory_breakdown", "dump_state", "comms_logger"),
        *("flops_profiler", "tensorboard", "wandb", "comet", "csv_monitor"),
        *REFUSED,
    }
)
"""Keys of a DeepSpeed file that mean something for a prompt trained in fp32. DeepSpeed itself
ignores a misspelt one."""
SECTIONS = ("optimizer", "zero_optimization")
"""Those whose values are compared with ours, so they have to be tables."""

AUTO = "auto"
"""Hugging Face's word for "as the trainer says"."""


def deepspeed_config(config: TrainingConfig) -> dict[str, Any]:
    """What ``deepspeed.initialize`` receives.

    Micro-batches are accumulated before DeepSpeed sees a gradient, so its own accumulation is 1.

    Raises:
        ConfigError: the user's file is missing, is not JSON, or contradicts the TOML; every
            contradiction is named with both values.
    """
    zero: dict[str, Any] = {"stage": config.engine.zero_stage}
    if config.engine.zero_stage == 3:
        zero["stage3_param_persistence_threshold"] = 0
    ours: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": config.batch_size,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.gradient_clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }
    if config.engine.deepspeed_config is None:
        return ours
    theirs = _read(Path(config.engine.deepspeed_config))
    _check(theirs, config)
    merged = {k: v for k, v in theirs.items() if k not in {*_OWNED, *REFUSED}}
    merged |= {k: v for k, v in ours.items() if k not in merged or k in _FIXED}
    theirs_zero = theirs.get("zero_optimization", AUTO)
    theirs_zero = {} if theirs_zero == AUTO else theirs_zero
    merged["zero_optimization"] = {**zero, **theirs_zero, "stage": config.engine.zero_stage}
    return _without_auto(merged)


_OWNED = {"train_batch_size", "optimizer"}
_FIXED = {"train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"}


def _read(path: Path) -> dict[str, Any]:
    key = "training.engine.deepspeed_config"
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{key}: {path} is a folder, a pipe or a device, not a file")
        table = read_json(path)
    except (RunError, OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{key}: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{key}: {path} is not a JSON object")
    if problem := out_of_limits(table):
        raise ConfigError(f"{key}: {path}: {problem.path} {problem.message}")
    return table


def _check(theirs: Mapping[str, Any], config: TrainingConfig) -> None:
    file = config.engine.deepspeed_config
    accumulation = config.gradient_accumulation_steps
    same: dict[str, tuple[str, Any]] = {
        "train_micro_batch_size_per_gpu": ("training.batch_size", config.batch_size),
        "gradient_accumulation_steps": ("training.gradient_accumulation_steps", accumulation),
        "train_batch_size": (
            "training.batch_size * training.gradient_accumulation_steps",
            config.batch_size * accumulation,
        ),
        "gradient_clipping": ("training.gradient_clip", config.gradient_clip),
        "zero_optimization.stage": ("training.engine.zero_stage", config.engine.zero_stage),
        "optimizer.type": ("training.optimizer", config.optimizer),
        "optimizer.params.lr": ("training.learning_rate", config.learning_rate),
        "optimizer.params.weight_decay": ("training.weight_decay", config.weight_decay),
    }
    problems = [
        f"{file}: unknown key '{key}'; {did_you_mean(key, KNOWN)}"
        for key in theirs
        if key not in KNOWN
    ]
    problems += [
        f"{file}: {key}: expected a table"
        for key in SECTIONS
        if theirs.get(key, AUTO) != AUTO and not isinstance(theirs[key], dict)
    ]
    for key, value in dotted({k: v for k, v in theirs.items() if k not in REFUSED}).items():
        if value == AUTO:
            continue
        if key in same:
            name, ours = same[key]
            if (value.lower() if isinstance(value, str) else value) != ours:
                problems.append(f"{file}: {key} = {value}, but {name} = {ours}")
        elif key.startswith("optimizer."):
            problems.append(f"{file}: {key} = {value}: softdiv builds the optimizer without it")
    for section, reason in REFUSED.items():
        given = theirs.get(section, {"enabled": False})
        if not isinstance(given, dict) or given.get("enabled", True) not in (
            False,
            AUTO,
        ):
            problems.append(f"{file}: {section}: {reason}")
    if problems:
        raise ConfigError(problems, fix="make both say the same, or remove it from the JSON file")


def _without_auto(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_auto(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != AUTO
    }
