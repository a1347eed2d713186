"""The ``[pair]`` table that the command line describes."""

from __future__ import annotations

from typing import Any

from softdiv.errors import ConfigError


def pair_table(
    *,
    name: str | None,
    model_1: str | None,
    model_2: str | None,
    adapter: str | None,
    quantize: str | None,
    gguf_file: str | None,
) -> dict[str, Any] | None:
    """The ``[pair]`` table the options describe; None when no pair option was given.

    Raises:
        ConfigError: the options do not describe two models.
    """
    given = {
        "--model-1": model_1,
        "--model-2": model_2,
        "--adapter": adapter,
        "--quantize": quantize,
        "--gguf-file": gguf_file,
    }
    used = [option for option, value in given.items() if value is not None]
    if name is not None:
        if used:
            raise ConfigError(f"--pair cannot be combined with {', '.join(used)}")
        return {"name": name}
    if not used:
        return None
    if model_1 is None:
        raise ConfigError(f"{used[0]} needs --model-1", fix="give the original, a folder or hub id")
    if model_2 is None and adapter is None and quantize is None:
        raise ConfigError(
            "--model-1 alone is not a pair", fix="add --model-2, --adapter or --quantize"
        )
    first = {"loader": "hf", "path": model_1}
    if gguf_file is not None:
        first["gguf_file"] = gguf_file
    second = dict(first) if model_2 is None else {"loader": "hf", "path": model_2}
    if adapter is not None:
        second["adapter"] = adapter
    if quantize is not None:
        second["quantize"] = quantize
    return {"model_1": first, "model_2": second}


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
