"""``softdiv run [CONFIG] [MODEL_1 MODEL_2]``: which word is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softdiv.errors import ConfigError

CONFIGS = (".toml", ".yaml", ".yml")
ADVICE = "softdiv run [CONFIG] MODEL_1 MODEL_2, or --model-1, --model-2, --adapter, --quantize"


def what_is_meant(
    words: Sequence[str], options: Mapping[str, Any]
) -> tuple[Path | None, dict[str, str]]:
    """The config, and the models as values of the options ``model_1`` and ``model_2``.

    One model is enough where an option says how the other differs from it.

    Raises:
        ConfigError: there are too many, too few, or one is given twice.
    """
    config = Path(words[0]) if words and _is_config(words[0]) else None
    models = list(words[1:] if config else words)
    changed = any(options[key] for key in ("adapter", "quantize", "model_2", "revision_2"))
    if len(models) > 2 or (len(models) == 1 and not changed):
        one = len(models) == 1
        found = f"'{models[0]}' alone is no config and" if one else f"{len(models)} models are"
        raise ConfigError(f"{found} no pair", fix=ADVICE)
    given = dict(zip(("model_1", "model_2"), models, strict=False))
    for key in given:
        if options[key] is not None:
            raise ConfigError(
                f"{key} is given twice: '{given[key]}' and --{key.replace('_', '-')}",
                fix="give it once",
            )
    return config, given


def _is_config(word: str) -> bool:
    path = Path(word)
    return path.suffix in CONFIGS or (path.is_file() and path.suffix != ".gguf")
