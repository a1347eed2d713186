"""What a run will need, before anything is loaded: memory by purpose, and compute.

Shapes come from the models' configurations. What a backward pass keeps is counted by running the
forward pass on ``meta`` tensors, which have shapes and no memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import TrainingConfig
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

Range = tuple[float, float]
"""At least, at most."""
OF_A_BUDGET: Mapping[str, Range] = {"searcher": (0.7, 1.0), "baseline": (0.6, 1.0)}
"""What one spends: it may run out of candidates, and never spends more."""
FREE = "empty"
"""The baseline that searches nothing."""
TOKENS_PER_WORD = (4 / 3, 1.6)
AFTER_A_TEXT = (2, 16)
"""Tokens of the template that are not in every row alike, whose keys and values rows share."""
PROMPT_TOKENS = (2, 8)
ROWS = 64
"""Positions multiplied at once to measure the speed: between a step of decoding and a prefill."""
OF_THE_PRODUCT = (0.9, 1.1)
"""A run's seconds per FTE beside those of the products alone: `benchmarks/dry_run.py` compares."""


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
    fte: dict[str, Range]
    """by stage, over all ranks"""
    seconds_per_fte: Range
    """around the speed of a layer's matrix products, measured now; ranks share the work"""

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
    def total_fte(self) -> Range:
        """Of all stages."""
        return sum(low for low, _ in self.fte.values()), sum(high for _, high in self.fte.values())

    def seconds(self, fte: Range) -> Range:
        """Of that much compute, without loading."""
        return fte[0] * self.seconds_per_fte[0], fte[1] * self.seconds_per_fte[1]


def plan(
    config: ExperimentConfig,
    loaders: tuple[ModelLoader, ModelLoader],
    examples: list[Example],
    device: str,
    ranks: int = 1,
    flops_per_second: float | None = None,
) -> Plan:
    """Estimate without loading a model.

    Args:
        loaders: of model_1 and model_2.
        examples: the training texts.
        flops_per_second: of another machine's rank, in place of this one's, measured now.

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
    length = longest + training.num_soft_prompt_tokens + training.response_tokens
    kept = [
        kept_for_backward(model, training.batch_size, length, recompute) for model in (one, two)
    ]
    vocab = int(one.get_output_embeddings().weight.shape[0])
    parameters = tuple(sum(p.numel() for p in m.parameters()) for m in (one, two))
    with _threads_of(ranks):
        product = max(_seconds_per_fte(model, device, flops_per_second) for model in (one, two))
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
        fte=_compute(config, examples),
        seconds_per_fte=(
            OF_THE_PRODUCT[0] * product / ranks,
            OF_THE_PRODUCT[1] * product / max(1, ranks / 2),
        ),
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


def _compute(config: ExperimentConfig, examples: Sequence[Example]) -> dict[str, Range]:
    """FTE by stage; both models count."""
    training, generation, evaluation = config.training, config.generation, config.evaluation
    schedule = Schedule(examples, training, config.seed)
    most = schedule.total_steps
    # the first validation is a gain; so many without one end the training
    least = min(most, training.validate_every * (1 + (training.patience or most)))
    steps = (least, most)
    row = _row(examples)
    soft = training.num_soft_prompt_tokens + training.response_tokens
    trained = (row[0] + soft, row[1] + soft)
    # an answer is sampled with both models at it, then scored by both, forward and backward
    passes = 2 + 2 * (4 if training.gradient_checkpointing else 3)
    rows = [(passes * schedule.texts_per_step * n, 2 * _validated(n, training)) for n in steps]
    training_cost = (trained[0] * rows[0][0], trained[1] * rows[1][0])
    validation_cost = (trained[0] * rows[0][1], trained[1] * rows[1][1])
    searched = [0.0, 0.0]
    for end in (0, 1):
        found = generation.budget_fte * OF_A_BUDGET["searcher"][end] * bool(generation.searchers)
        # each may spend what training, validation and search have cost together
        equal = training_cost[end] + validation_cost[end] + found
        baselines = sum(component.name != FREE for component in generation.baselines)
        searched[end] = found + baselines * equal * OF_A_BUDGET["baseline"][end]
    prompts = generation.num_prompts + len(generation.baselines)
    answer = max(generation.max_length, evaluation.response_tokens)
    scored = (row[0] + PROMPT_TOKENS[0] + answer / 2, row[1] + PROMPT_TOKENS[1] + answer)
    each = 2 * 2 * evaluation.test_texts
    return {
        "training": training_cost,
        "validation": validation_cost,
        "search and baselines": (searched[0], searched[1]),
        "evaluation and analysis": (each * prompts * scored[0], each * (prompts + 1) * scored[1]),
    }


def _row(examples: Sequence[Example]) -> Range:
    """Tokens before an answer, beside those that all rows share."""
    words = [len(example.text.split()) for example in examples] or [0]
    before = [conversation_tokens(example) for example in examples] or [0]
    mean, shared = sum(words) / len(words), min(before)
    padded = (mean + max(words)) / 2  # as long as the longest of its batch
    more = sum(before) / len(before) - shared
    return (
        AFTER_A_TEXT[0] + TOKENS_PER_WORD[0] * mean + more,
        AFTER_A_TEXT[1] + TOKENS_PER_WORD[1] * padded + more + shared,
    )


def _validated(steps: int, training: TrainingConfig) -> int:
    return -(-steps // training.validate_every) * training.validation_texts


@contextmanager
def _threads_of(ranks: int) -> Iterator[None]:
    """A rank's share of this process's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // ranks))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _seconds_per_fte(model: Any, device: str, speed: float | None) -> float:
    """Of the matrix products of one position: all weights of the body, and half of the head's,
    which reads answers alone, at the speed of one layer's own products."""
    table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    inside = sum(parameter.numel() for parameter in body_of(model).parameters()) - table.numel()
    if speed is None:
        layer = decoder_layers(model)[0]
        shapes = [tuple(p.shape) for p in layer.parameters() if p.ndim == 2] or [tuple(head.shape)]
        speed = _flops_per_second(shapes, table.dtype, device)
    return float(2 * (inside + head.numel() / 2) / speed)


def _flops_per_second(shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, device: str) -> float:
    """Of ROWS positions through linear layers of these shapes."""
    weights = {shape: torch.ones(shape, dtype=dtype, device=device) for shape in set(shapes)}
    inputs = {shape: torch.ones(ROWS, shape[1], dtype=dtype, device=device) for shape in weights}
    for _ in range(2):  # the first round is the libraries' start
        flops, start = 0, time.perf_counter()
        while not flops or time.perf_counter() - start < 0.2:
            for shape in shapes:
                torch.nn.functional.linear(inputs[shape], weights[shape])
                flops += 2 * ROWS * shape[0] * shape[1]
            if device.startswith("cuda"):
                torch.cuda.synchronize()
    return flops / (time.perf_counter() - start)
