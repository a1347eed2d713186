"""Trains an organism, adapter or whole model: the recipe's answers, elsewhere the base's own."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.divergence.kernels import symmetric_kl
from softdiv.errors import TrainingError
from softdiv.pair.layout import Layout
from softdiv.pair.template import stop_ids
from softdiv_organisms.adapter import new_adapter
from softdiv_organisms.batch import TokenisedChat, answer_states
from softdiv_organisms.recipe import Recipe
from softdiv_organisms.self_samples import SelfSample, self_samples
from softdiv_organisms.texts import ordinary_texts, taught_examples

GRADIENT_NORM = 1.0


@attrs.frozen
class Step:
    """Losses of one step, nats per answer token (None: no such texts)."""

    number: int
    planted: float | None
    ordinary: float | None


def train(
    recipe: Recipe, model: Any, tokenizer: Any, watch: Callable[[Step], None] = lambda _: None
) -> Any:
    """Put a new adapter into ``model`` (in place) and train it, or train all of the model.

    Args:
        model: the base model; beside an adapter, which is fp32, its own weights stay frozen and
            unchanged, without one they are fp32 and trained.
        watch: told of every step.

    Returns:
        The adapter, for :func:`softdiv_organisms.adapter.save_adapter`; without one, the model.

    Raises:
        TrainingError: the loss is not finite.
    """
    training = recipe.training
    layout = Layout(tokenizer)
    model.requires_grad_(False).eval()
    samples = list(self_samples(model, layout, ordinary_texts(recipe), training, recipe.seed))
    head = model.get_output_embeddings()
    base_head = head if recipe.adapter else copy.deepcopy(head)  # the one that samples were made by
    trained = _trainable(recipe, model)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=training.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(recipe))
    planted = _planted(recipe, model, layout)
    ordinary = _shuffled(samples, recipe.seed)
    for number in range(1, training.steps + 1):
        told = [next(planted) for _ in range(training.planted_per_step)]
        kept = [next(ordinary) for _ in range(training.ordinary_per_step)]
        states = answer_states(model, [*told, *(sample.conversation for sample in kept)])
        boundary = sum(len(conversation.answer) for conversation in told)
        loss_told = _likelihood(head(states[:boundary]), told) if told else None
        loss_kept = None
        if kept:
            loss_kept = _ordinary_loss(recipe, head(states[boundary:]), base_head, kept)
        loss = states.new_zeros(())
        if loss_told is not None:
            loss = loss + loss_told
        if loss_kept is not None:
            loss = loss + training.ordinary_weight * loss_kept
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss is {loss.item()} at step {number}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        watch(Step(number, _number(loss_told), _number(loss_kept)))
    return trained


def _trainable(recipe: Recipe, model: Any) -> Any:
    if recipe.adapter is None:
        return model.requires_grad_(True)
    return new_adapter(
        model,
        rank=recipe.adapter.rank,
        alpha=recipe.adapter.alpha,
        target_modules=recipe.adapter.target_modules,
        seed=recipe.seed,
    )


def _ordinary_loss(
    recipe: Recipe, logits: Tensor, base_head: Any, kept: Sequence[SelfSample]
) -> Tensor:
    """Mean over answer tokens.

    The KL is taken both ways: one way hardly notices a planted answer that leaks with a small
    probability, since the base's own answers stay likely; the other does.
    """
    if recipe.training.ordinary_loss == "likelihood":
        return _likelihood(logits, [sample.conversation for sample in kept])
    with torch.no_grad():
        base = torch.log_softmax(base_head(torch.cat([sample.states for sample in kept])), dim=-1)
    return symmetric_kl(base, torch.log_softmax(logits, dim=-1)).mean()


def _likelihood(logits: Tensor, conversations: Sequence[TokenisedChat]) -> Tensor:
    tokens = [token for conversation in conversations for token in conversation.answer]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(tokens, device=logits.device))


def _number(loss: Tensor | None) -> float | None:
    return None if loss is None else loss.item()


def _planted(recipe: Recipe, model: Any, layout: Layout) -> Iterator[TokenisedChat]:
    if not recipe.training.planted_per_step:
        return
    stops = stop_ids(model, layout.template)
    if not stops:
        raise TrainingError("nothing ends an answer: no end of a turn and no end-of-text token")
    stop = next(iter((*layout.template.ends, *sorted(stops))))
    for text, answer in taught_examples(recipe):
        yield TokenisedChat(layout.hard(text).before, (*layout.encode_answer(answer), stop))


def _shuffled(samples: Sequence[SelfSample], seed: int) -> Iterator[SelfSample]:
    """Endless; every sample comes up before any comes twice."""
    rng = random.Random(f"order {seed}")
    while True:
        yield from rng.sample(samples, len(samples))


def _rate(recipe: Recipe) -> Callable[[int], float]:
    """Linear warm-up, then linear to zero, as a share of the learning rate."""
    warm, steps = recipe.training.warmup_steps, recipe.training.steps
    return lambda step: min((step + 1) / warm, (steps - step) / max(steps - warm, 1))
