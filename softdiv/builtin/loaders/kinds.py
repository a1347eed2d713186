"""Which of transformers' classes a configuration calls for: a causal language model, or the
language model of one that reads images too. All others are refused."""

from __future__ import annotations

from typing import Any

from softdiv.errors import PairError

FIX = "compare decoder-only models: softdiv continues texts token by token"


def auto_class(config: Any, path: str, notes: list[str]) -> Any:
    """``AutoModelForCausalLM``, or ``AutoModelForImageTextToText``.

    Args:
        config: of transformers.
        path: what the user calls the model.
        notes: extended by what a reader should know.

    Raises:
        PairError: an encoder, an encoder-decoder, a classifier, or anything else that writes no
            text token by token.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto import modeling_auto as auto

    listed = config.architectures if isinstance(config.architectures, list) else []
    named = {name for name in listed if isinstance(name, str)}
    causal = _classes(auto.MODEL_FOR_CAUSAL_LM_MAPPING, config)
    seeing = _classes(auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, config)
    what = f"{path} ({config.model_type})"
    if config.is_encoder_decoder and not named & causal:
        raise PairError(f"{what} is an encoder-decoder", fix=FIX)
    if seeing - causal and (named & seeing or not causal):
        notes.append("it reads images too: its language model is compared, on text alone")
        return AutoModelForImageTextToText
    if not causal:
        raise PairError(f"{what} is no causal language model", fix=FIX)
    if _looks_both_ways(config):
        raise PairError(f"{what} is an encoder: each token sees those after it", fix=FIX)
    if named and not named & (causal | seeing) and _of_transformers(named):
        raise PairError(f"{what} is a {min(named)}, no causal language model", fix=FIX)
    return AutoModelForCausalLM


def _looks_both_ways(config: Any) -> bool:
    """Encoders that transformers can turn into decoders, as long as they are not turned."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

    turned = getattr(config, "is_decoder", False) or getattr(config, "causal", False)
    has_decoder = getattr(type(config), "is_encoder_decoder", False)  # Bart's is always causal
    return bool(_classes(MODEL_FOR_MASKED_LM_MAPPING, config)) and not (turned or has_decoder)


def _classes(mapping: Any, config: Any) -> set[str]:
    """Names of the classes that a mapping of transformers has for this configuration."""
    if type(config) not in mapping:
        return set()
    found = mapping[type(config)]
    return {kind.__name__ for kind in (found if isinstance(found, tuple) else (found,))}


def _of_transformers(names: set[str]) -> bool:
    import transformers

    return any(hasattr(transformers, name) for name in names)
