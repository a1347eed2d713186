"""What a run will need, before anything is loaded: memory by purpose, and compute.

Shapes come from the models' configurations. What a backward pass keeps is counted by running the
forward pass on ``meta`` tensors, which have shapes and no memory.
"""

from __future__ import annotations

import time
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.config.load import ExperimentConfig
from softdiv.errors import PairError
from softdiv.pair.foreign import translated
from softdiv.pair.layers import body_of, decoder_layers
from softdiv.plugin.interfaces import ModelLoader, PlannableLoader
from softdiv.plugin.records import Example
from softdiv.training.schedule import Schedule

CONTEXT_TOKENS = 64
"""A chat template, a prompt and a user text; the shipped texts take 40 to 70 tokens."""
FIX = "load it once with 'softdiv pairs check', which says how much memory its weights take"
CHUNK_ROWS = 64
"""Rows of logits alive at once, see :mod:`softdiv.divergence.chunked`."""


@attrs.frozen(kw_only=True)
class Plan:
    """Estimates for one rank. Bytes, and forward-token equivalents (FTE)."""

    device: str
    ranks: int
    parameters: tuple[int, int]
    weights: tuple[int, int]
    """model_2's beside model_1: tensors they share count once; this rank's, where sharded"""
    kept: int
    """for the backward pass of a micro-batch, both models"""
    logits: int
    """of one chunk of rows, both models, and their gradients"""
    cache: int
    """keys and values while ``generation.batch_rows`` answers are decoded"""
    rows: tuple[int, int]
    """of a micro-batch, and of answers decoded together"""
    fte: dict[str, int]
    """by stage, over all ranks"""
    seconds_per_fte: float
    """from the speed of a matrix product of the model's size, measured now"""

    @property
    def memory(self) -> int:
        """Largest need at one time: weights and the larger of training and decoding."""
        return sum(self.weights) + max(self.kept + self.logits, self.cache)

    @property
    def least_memory(self) -> int:
        """With one row at a time: what does not fit even so cannot be run."""
        micro_batch, answers = self.rows
        return sum(self.weights) + max(
            self.kept // micro_batch + self.logits, self.cache // answers
        )

    @property
    def seconds(self) -> float:
        """Of all stages, without loading and without the costs of small batches."""
        return sum(self.fte.values()) * self.seconds_per_fte


def plan(
    config: ExperimentConfig,
    loaders: tuple[ModelLoader, ModelLoader],
    examples: list[Example],
    device: str,
    ranks: int = 1,
) -> Plan:
    """Estimate without loading a model.

    Args:
        loaders: of model_1 and model_2.
        examples: the training texts.

    Raises:
        PairError: a loader cannot say what it will load.
    """
    if config.pair.by == "text":
        raise PairError("a pair that is compared by text cannot be planned", fix="run it")
    skeletons = []
    for which, loader in zip(("model_1", "model_2"), loaders, strict=True):
        if not isinstance(loader, PlannableLoader):
            raise PairError(
                f"{which}: loader {type(loader).__name__} cannot say how large its model is",
                fix="a loader with skeleton() and weight_bytes() can be planned",
            )
        skeletons.append(loader.skeleton(device))
    one, two = skeletons
    first, second = loaders
    assert isinstance(first, PlannableLoader) and isinstance(second, PlannableLoader)
    training, generation = config.training, config.generation
    sharded = ranks if training.engine.shard_models else 1
    recompute = training.gradient_checkpointing or sharded > 1
    before = [conversation_tokens(example) for example in examples]
    longest = CONTEXT_TOKENS + max(before, default=0)
    typical = CONTEXT_TOKENS + sum(before) // max(len(before), 1)
    length = longest + training.num_soft_prompt_tokens + training.response_tokens
    kept = [
        kept_for_backward(model, training.batch_size, length, recompute) for model in (one, two)
    ]
    vocab = int(one.get_output_embeddings().weight.shape[0])
    parameters = tuple(sum(p.numel() for p in m.parameters()) for m in (one, two))
    return Plan(
        device=device,
        ranks=ranks,
        parameters=(parameters[0], parameters[1]),
        weights=(
            int(first.weight_bytes(one) * _held(one, sharded)),
            int(second.weight_bytes(two, first) * _held(two, sharded)),
        ),
        kept=sum(kept),
        logits=2 * 2 * CHUNK_ROWS * vocab * 4,
        cache=sum(
            _cache_bytes(m, generation.batch_rows, longest + generation.max_length)
            for m in (one, two)
        ),
        rows=(training.batch_size, generation.batch_rows),
        fte=_compute(config, examples, typical),
        seconds_per_fte=2 * max(parameters) / _flops_per_second(one, device),
    )


def conversation_tokens(example: Example) -> int:
    """About how many tokens stand before a user text: four for three words, six a message."""
    return sum(len(m.content.split()) * 4 // 3 + 6 for m in example.context)


def kept_for_backward(model: Any, rows: int, length: int, checkpointing: bool) -> int:
    """Bytes that autograd keeps of one forward pass of ``[rows, length, H]`` embeddings.

    Args:
        model: a transformers causal model, on any device; ``meta`` costs nothing.
        checkpointing: by decoder layer: only each layer's input, and one whole layer.

    Raises:
        PairError: the architecture cannot be run without values.
    """
    table = model.get_input_embeddings().weight
    model.requires_grad_(False).eval()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("batched_mm")  # the default has no shapes on meta
    # a finished mask: most read values to make one, and meta tensors have none; others take none
    finished = table.new_zeros(rows, 1, length, length)
    with translated(f"the memory of a {model.config.model_type} model cannot be estimated", FIX):
        try:
            total = _saved_bytes(model, rows, length, finished)
        except Exception:  # whatever an architecture does with a mask it does not expect
            total = _saved_bytes(model, rows, length, None)
    if not checkpointing:
        return total
    layers = int(model.config.get_text_config().num_hidden_layers)
    inputs: int = layers * rows * length * int(table.shape[1]) * table.element_size()
    return inputs + total // layers


def _saved_bytes(model: Any, rows: int, length: int, mask: Tensor | None) -> int:
    """Of one forward pass, beside the weights and the mask."""
    table = model.get_input_embeddings().weight
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    if mask is not None:
        own.add(mask.untyped_storage()._cdata)
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    start = table.new_empty((rows, length, table.shape[1]), requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        body_of(model)(inputs_embeds=start.clone(), attention_mask=mask, use_cache=False)
    sizes: list[int] = [tensor.untyped_storage().nbytes() for tensor in kept.values()]
    return sum(sizes)


def _held(model: Any, ranks: int) -> float:
    """Share of the weights that one of ``ranks`` holds: its part of the layers, one whole layer
    while it runs, and the rest."""
    total: int = sum(parameter.numel() for parameter in model.parameters())
    layers = decoder_layers(model)
    inside = sum(p.numel() for layer in layers for p in layer.parameters())
    held = total - inside + inside / ranks + (inside / len(layers) if ranks > 1 else 0)
    return min(1.0, held / total)


def _cache_bytes(model: Any, rows: int, length: int) -> int:
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    element = next(model.parameters()).element_size()
    return int(2 * config.num_hidden_layers * rows * length * heads * width * element)


def _compute(config: ExperimentConfig, examples: list[Example], context: int) -> dict[str, int]:
    """FTE by stage; both models count. ``context``: tokens before a typical answer."""
    training, generation, evaluation = config.training, config.generation, config.evaluation
    length = context + training.num_soft_prompt_tokens + training.response_tokens
    schedule = Schedule(examples, training, config.seed)
    texts = schedule.total_steps * schedule.texts_per_step
    backward = 4 if training.gradient_checkpointing else 3
    validations = 1 + schedule.total_steps // training.validate_every
    searches = 1 if generation.searchers else 0
    prompts = generation.num_prompts + len(generation.baselines) + 2
    answer = context + max(generation.max_length, evaluation.response_tokens)
    return {
        "training": 2 * texts * length * (1 + backward),
        "validation": 2 * validations * training.validation_texts * length,
        "search and baselines": generation.budget_fte * (searches + len(generation.baselines)),
        "evaluation": 2 * 2 * prompts * evaluation.test_texts * answer,
    }


def _flops_per_second(model: Any, device: str) -> float:
    """Of a product of ``[256, H]`` with ``[H, 4H]``, the commonest shape of a forward pass."""
    size = int(model.get_input_embeddings().weight.shape[1])
    dtype = next(model.parameters()).dtype
    left = torch.ones(256, size, dtype=dtype, device=device)
    right = torch.ones(size, 4 * size, dtype=dtype, device=device)
    rounds, start = 0, time.perf_counter()
    while rounds < 3 or time.perf_counter() - start < 0.2:
        left @ right
        rounds += 1
        if left.is_cuda:
            torch.cuda.synchronize()
    return rounds * 2 * 256 * size * 4 * size / (time.perf_counter() - start)
