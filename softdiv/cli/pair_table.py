"""The ``[pair]`` table that the command line describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softdiv.errors import ConfigError

_PAIR = (
    *("model_1", "model_2", "adapter", "quantize"),
    *("gguf_file", "revision_1", "revision_2"),
)


def flag(parameter: str) -> str:
    """The option of a command's parameter."""
    return "--set" if parameter == "settings" else f"--{parameter.replace('_', '-')}"


def pair_table(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ``[pair]`` table the options describe; None when no pair option was given.

    Raises:
        ConfigError: the options do not describe two models.
    """
    used = [flag(name) for name in _PAIR if options[name] is not None]
    if options["pair"] is not None:
        if used:
            raise ConfigError(f"--pair cannot be combined with {', '.join(used)}")
        return {"name": options["pair"]}
    model_1, model_2, adapter, quantize, gguf_file, revision_1, revision_2 = (
        options[name] for name in _PAIR
    )
    if not used:
        return None
    if model_1 is None:
        raise ConfigError(f"{used[0]} needs --model-1", fix="give the original, a folder or hub id")
    if all(value is None for value in (model_2, adapter, quantize, revision_2)):
        raise ConfigError(
            "--model-1 alone is not a pair",
            fix="add --model-2, --adapter, --quantize or --revision-2",
        )
    first = {"loader": "hf", **_located("1", model_1, revision_1)}
    if gguf_file is not None:
        first["gguf_file"] = gguf_file
    second = dict(first)
    if model_2 is not None:
        second = {"loader": "hf", **_located("2", model_2, revision_2)}
    elif revision_2 is not None:
        second |= _located("2", first["path"], revision_2)
    if adapter is not None:
        second["adapter"] = adapter
    if quantize is not None:
        second["quantize"] = quantize
    return {"model_1": first, "model_2": second}


def _located(which: str, path: str, revision: str | None) -> dict[str, str]:
    """``id@revision`` in two; a hub id holds no ``@``, a folder may and has no revisions."""
    name, at, written = path.rpartition("@")
    here = Path(path).exists()
    if revision is not None and here:
        raise ConfigError(
            f"--revision-{which} {revision}: {path} is on this machine and has no revisions",
            fix="give a hub id, or the folder of that revision",
        )
    if at and name and written and not here:
        if revision not in (None, written):
            raise ConfigError(f"--model-{which} {path} and --revision-{which} {revision} differ")
        path, revision = name, written
    return {"path": path, **({} if revision is None else {"revision": revision})}


def with_models(pair: dict[str, Any]) -> dict[str, Any]:
    """A ``[pair]`` table by name with its models written out, so that options can change one.

    Raises:
        ConfigError: no pair has this name.
    """
    from softdiv.config.catalogue import ModelRegistry

    if pair.get("name") is None or ("model_1" in pair and "model_2" in pair):
        return pair
    known = ModelRegistry.load().pair(pair["name"])
    models = {"model_1": known.model_1, "model_2": known.model_2}
    table: dict[str, Any] = {key: model.to_dict() for key, model in models.items() if model}
    if known.organism is not None:
        table["organism"] = known.organism
    return {**table, **pair}
