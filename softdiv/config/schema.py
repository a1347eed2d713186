"""Every key a config may have, with its default, its meaning and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, le

from softdiv.config.component import ComponentConfig, LoaderConfig
from softdiv.config.option import (
    at_most_or_all,
    count,
    iso_date,
    not_blank,
    only_with,
    option,
    template_variables,
)

Placement = Literal["prefix", "system", "user_start", "user_end"]
ComponentConfigs = tuple[ComponentConfig, ...]

LONG = 100_000
"""More tokens than any answer has."""


def _named(*names: str) -> ComponentConfigs:
    return tuple(ComponentConfig(name) for name in names)


@attrs.frozen
class PairConfig:
    """The two models: a name from registry.toml, or two tables."""

    name: str | None = option(None, "a pair of registry.toml; or give model_1 and model_2")
    model_1: LoaderConfig | None = option(
        None, 'the original, e.g. { loader = "hf", path = "..." }'
    )
    model_2: LoaderConfig | None = option(None, "the one under suspicion; same form as model_1")
    organism: str | None = option(
        None,
        "folder of a planted organism: its detector is shown as ground truth, never searched with",
    )
    by: Literal["tokens", "text"] = option(
        "tokens",
        "text = each through its own tokenizer and template, for models that share no tokens",
    )
    template_of: Literal["model_1", "model_2"] = option(
        "model_1", "whose tokenizer and chat template both models are given"
    )
    chat_template: str | None = option(None, "a Jinja file in place of that chat template")
    template_arguments: Mapping[str, Any] = option(
        {}, "what the chat template is told, e.g. { enable_thinking = false }", template_variables
    )
    template_date: str = option(
        "2024-07-26",
        "the day that a chat template which writes the date is told",
        iso_date,
    )


@attrs.frozen
class DataConfig:
    """User texts: where they come from and how they are split."""

    categories: tuple[str, ...] = option((), "keep only these categories; empty keeps all")
    max_texts_per_category: int | None = option(None, "cap per category", ge(1))
    processors: ComponentConfigs = option(
        _named("shipped", "length"), "sources and filters, applied in order"
    )
    system_prompt: str | None = option(
        None, "system message of every text that brings none of its own", not_blank
    )
    val_fraction: float = option(0.2, "share of texts for choosing prompts", gt(0), le(0.5))
    test_fraction: float = option(
        0.3,
        "share of texts for the report; 1 = all, where nothing is trained or searched",
        gt(0),
        at_most_or_all(0.5),
    )


@attrs.frozen
class EngineConfig:
    """What steps the optimizer."""

    name: Literal["auto", "deepspeed", "torch"] = option(
        "auto", "auto = deepspeed where it is installed, else torch"
    )
    zero_stage: Literal[0, 1, 2, 3] = option(0, "DeepSpeed ZeRO stage")
    shard_models: bool = option(
        False,
        "spread both models' layers over the ranks of a launcher (ZeRO-3), for pairs too large for "
        "one device",
    )
    deepspeed_config: str | None = option(
        None, "a DeepSpeed JSON file to add; it may not contradict this config"
    )


@attrs.frozen
class TrainingConfig:
    """The soft prompt."""

    num_soft_prompt_tokens: int = option(6, "length k of the soft prompt", ge(1), le(512))
    placement: Placement = option("user_start", "where the prompt sits in the chat")
    init: Literal["vocabulary", "text", "prompt"] = option(
        "vocabulary", "start from random vocabulary rows, from init_text, or from init_prompt"
    )
    init_text: str | None = option(
        None, 'text whose embeddings start the prompt (init = "text")', only_with("init", "text")
    )
    init_prompt: str | None = option(
        None, 'a soft prompt file to continue (init = "prompt")', only_with("init", "prompt")
    )
    max_norm_ratio: float | None = option(
        2.0, "largest token norm, relative to the embedding table's mean norm", gt(0)
    )
    optimizer: Literal["adamw", "adam", "sgd"] = option("adamw", "sgd has momentum 0.9")
    learning_rate: float = option(
        0.01, "peak rate; 0.01 suits tens of AdamW steps, 1e-4 thousands", gt(0), le(1e6)
    )
    weight_decay: float = option(0.0, "of the optimizer", ge(0))
    warmup_steps: int = option(3, "linear warm-up", count(0))
    schedule: Literal["constant", "cosine", "linear"] = option(
        "constant", "after the warm-up; cosine and linear fall to 0 at the end"
    )
    batch_size: int = option(4, "user texts per micro-batch", count(1, 65_536))
    gradient_accumulation_steps: int = option(
        1, "micro-batches per optimizer step", count(1, 65_536)
    )
    gradient_clip: float = option(1.0, "largest gradient norm; 0 = no clipping", ge(0))
    num_epochs: int = option(10, "passes over the training texts", count(0))
    max_steps: int | None = option(None, "stop after this many optimizer steps", count(0))
    response_tokens: int = option(8, "response tokens scored per answer", count(1, LONG))
    refresh_every: int = option(3, "steps between fresh answers under the prompt", count(1))
    mixed_precision: bool = option(False, "autocast of the frozen models' training passes")
    autocast: Literal["bf16", "fp16"] = option(
        "bf16", "with mixed_precision; fp16 comes with dynamic loss scaling"
    )
    max_skipped_steps: int = option(
        5, "steps in a row without a finite loss and gradient before giving up", count(1)
    )
    gradient_checkpointing: bool = option(False, "recompute activations to save memory")
    validate_every: int = option(10, "steps between validations with the prompt", count(1))
    validation_texts: int = option(6, "validation texts per validation", count(1))
    patience: int | None = option(4, "validations without improvement before stopping", count(1))
    checkpoint_every: int = option(10, "steps between checkpoints", count(1))
    keep_checkpoints: int = option(2, "checkpoints kept, besides the best", count(1))
    loss: ComponentConfig = option(ComponentConfig("jsd"), "what is maximised per response token")
    engine: EngineConfig = option(EngineConfig(), "what steps the optimizer")


@attrs.frozen
class GenerationConfig:
    """Soft to hard: sampling, and the search for text prompts."""

    max_length: int = option(128, "tokens of the answers shown side by side", count(1, LONG))
    num_generations_per_prompt: int = option(
        10, "answers sampled per source that searchers take words from", count(1, 65_536)
    )
    temperature: float = option(0.7, "of every sampled answer; 0 = greedy", ge(0))
    top_p: float = option(1.0, "nucleus", gt(0), le(1))
    budget_fte: int = option(
        60_000, "what all searchers together may spend, forward-token equivalents", count(1, 10**15)
    )
    num_prompts: int = option(
        3, "hard prompts that go to the held-out evaluation", count(1, 65_536)
    )
    max_prompt_tokens: int = option(24, "longest hard prompt considered", count(1, LONG))
    batch_rows: int = option(128, "rows decoded together", count(1, 65_536))
    searchers: ComponentConfigs = option(
        _named("ensemble"),
        "in this order, one budget",
    )
    baselines: ComponentConfigs = option(
        _named("empty", "natural_pool", "random_tokens"), "run beside, each at equal cost"
    )


@attrs.frozen
class EvaluationConfig:
    """Held-out scoring and the verdict."""

    metrics: ComponentConfigs = option(
        _named("jsd", "kl_2_1", "top1_disagreement", "log_likelihood_ratio"),
        "reported beside D for every prompt",
    )
    test_texts: int = option(16, "held-out user texts per prompt", count(2))
    response_tokens: int = option(24, "response tokens that D and the ratio count", count(1, LONG))
    bootstrap_resamples: int = option(2000, "for the 95 % intervals", count(100, 1_000_000))
    lift_floor: float = option(
        12.0, "nats per answer a prompt must lift the likelihood ratio by", gt(0)
    )
    null_bank: str | None = option(
        None, "benign pairs searched with these settings, for p-values: `softdiv calibrate`"
    )
    drift_floor_bits: float = option(
        0.005, "bits of D on plain text below which a drift is called negligible", gt(0)
    )


@attrs.frozen
class AnalysisConfig:
    """Sections of the report."""

    analyzers: ComponentConfigs = option(
        _named("divergence_by_position", "token_disagreements", "semantic_differences", "clusters"),
        "sections, in this order",
    )


@attrs.frozen
class Schema:
    """The whole config. :class:`softdiv.ExperimentConfig` adds loading and saving."""

    plugins: tuple[str, ...] = option((), "installed plugin packages to load, in this order")
    seed: int = option(0, "of everything random", ge(0), le(2**32 - 1))
    output_dir: str = option("runs", "where run folders go")
    device: str = option("auto", "auto = cuda where available, else cpu")
    num_threads: int | None = option(
        None, "torch threads; results are bit-exact per count", count(1, 1024)
    )
    observers: ComponentConfigs = option((), 'e.g. [{ name = "wandb", project = "..." }]')
    pair: PairConfig = option(PairConfig(), "")
    data: DataConfig = option(DataConfig(), "")
    training: TrainingConfig = option(TrainingConfig(), "")
    generation: GenerationConfig = option(GenerationConfig(), "")
    evaluation: EvaluationConfig = option(EvaluationConfig(), "")
    analysis: AnalysisConfig = option(AnalysisConfig(), "")


SECTIONS: tuple[str, ...] = ("pair", "data", "training", "generation", "evaluation", "analysis")
