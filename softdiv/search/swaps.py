"""Prompts changed one token at a time: their answers, and what the gradient of D says of a swap.

Ids here are a prompt's tokens in their place in the conversation. Only prompts whose text encodes
to the same ids again are made, so that what is scored is what a user can type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor

from softdiv.divergence.sampler import in_turn, streams
from softdiv.pair.input_space import CHUNK, vectors
from softdiv.pair.layout import Context
from softdiv.pair.teacher_forcing import prompt_states
from softdiv.pair.words import token_texts, word_beginnings
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example
from softdiv.search.task import SearchTask


@attrs.frozen(eq=False)
class AnsweredPrompt:
    """A prompt with an answer to each of a few user texts, model_2's and model_1's in turn."""

    ids: tuple[int, ...]
    slots: Sequence[Context]
    """The conversations, with a slot where the prompt's tokens go."""
    responses: Sequence[Sequence[int]]
    bits: float
    """D of these answers."""


def answered(
    task: SearchTask,
    prompts: Sequence[Sequence[int]],
    examples: Sequence[Example],
    tokens: int,
    salt: str,
) -> list[AnsweredPrompt]:
    """Fresh answers beside each prompt; all prompts meet the same texts and random numbers."""
    slots = [task.layout.soft(example) for example in examples]
    found: list[list[int]] = []
    bits: list[float] = []
    for result in task.sample(
        [filled(slot, ids) for ids in prompts for slot in slots],
        in_turn(len(slots), first=2) * len(prompts),
        streams(salt, examples) * len(prompts),
        tokens,
    ):
        found += [result.answer(row) for row in range(len(result.lengths))]
        bits += result.mean_bits().tolist()
    size = len(slots)
    return [
        AnsweredPrompt(tuple(ids), slots, found[n : n + size], sum(bits[n : n + size]) / size)
        for n, ids in zip(range(0, len(found), size), prompts, strict=True)
    ]


def filled(slot: Context, ids: Sequence[int]) -> Context:
    """The conversation with a prompt's tokens in its slot."""
    return Context(before=(*slot.before, *ids, *slot.after))


def bits_gradient(task: SearchTask, prompt: AnsweredPrompt) -> Tensor:
    """``[k, H]`` gradient of the answers' mean D with respect to the prompt's embeddings."""
    soft = _embedded(task.pair.model_1, prompt.ids)
    return task.sampler.bits_gradient(prompt.slots, prompt.responses, soft)


def swap_gains(model: ModelWrapper, gradient: Tensor, ids: Sequence[int], tokens: Tensor) -> Tensor:
    """``[k, W]`` first-order change, by a ``[k, H]`` gradient, if ``tokens[w]`` replaced each."""
    gain = torch.cat([gradient @ vectors(model, part).T for part in tokens.split(CHUNK)], dim=1)
    return gain - (gradient * vectors(model, torch.tensor(ids))).sum(-1)[:, None]


def surprises(
    task: SearchTask, before: Sequence[int], prompts: Sequence[Sequence[int]]
) -> list[float]:
    """Nats per token by which model_1 is surprised at each prompt behind ``before``."""
    logs = task.sampler.prompt_log_likelihoods(task.pair.model_1, before, prompts)
    return [-float(part.mean()) if len(part) else 0.0 for part in logs]


def surprise_gains(
    model: ModelWrapper, before: Sequence[int], ids: Sequence[int], tokens: Tensor
) -> Tensor:
    """``[k, W]`` first-order change of :func:`surprises` if ``tokens[w]`` replaced each token.

    Exact in how likely the new token itself is, first-order in what it does to those behind it.
    """
    soft = _embedded(model, ids)
    logs = model.log_probs(prompt_states(model, before, soft))
    predicted = torch.tensor(ids[len(ids) - len(logs) :], device=model.device)
    if len(predicted) == 0:  # one token with nothing before it
        return torch.zeros(len(ids), len(tokens), device=model.device)
    own = logs.gather(-1, predicted[:, None])
    (-own.mean()).backward()
    assert soft.grad is not None
    change = swap_gains(model, soft.grad, ids, tokens)
    change[len(ids) - len(logs) :] += (own - logs[:, tokens]).detach() / len(logs)
    return change


def likely_swaps(
    task: SearchTask,
    ids: Sequence[int],
    gains: Tensor,
    tokens: Tensor,
    top_k: int,
    count: int,
    beside: Example,
    salt: str,
) -> list[list[int]]:
    """``count`` prompts one token away: any position, any of its ``top_k`` best replacements.

    Args:
        gains: ``[k, W]``, of replacing each token by each of ``tokens [W]``.
        salt: names the stream of random numbers.
    """
    width = min(top_k, len(tokens))
    best = tokens[gains.topk(width, dim=1).indices].tolist()
    order = torch.randperm(len(ids) * width, generator=stream(task, salt)).tolist()
    places = (divmod(pick, width) for pick in order)
    swapped = ([*ids[:at], best[at][rank], *ids[at + 1 :]] for at, rank in places)
    return typeable(task, (trial for trial in swapped if trial != list(ids)), count, beside)


def random_prompt(
    task: SearchTask, tokens: Tensor, length: int, beside: Example, salt: str
) -> list[int] | None:
    """``length`` random ``tokens`` that make a text; None if a hundred draws make none."""
    if len(tokens) == 0:
        return None
    picks = torch.randint(len(tokens), (100, length), generator=stream(task, salt))
    return next(iter(typeable(task, tokens.cpu()[picks].tolist(), 1, beside)), None)


def typeable(
    task: SearchTask, prompts: Iterable[list[int]], count: int, beside: Example
) -> list[list[int]]:
    """The first ``count`` different prompts whose text can be used and encodes to their ids."""
    found: list[list[int]] = []
    for ids in prompts:
        if ids in found or not task.usable(task.layout.prompt_of(ids)):
            continue
        if task.layout.retokenises(ids, beside):
            found.append(ids)
        if len(found) == count:
            break
    return found


def stream(task: SearchTask, salt: str) -> torch.Generator:
    """Random numbers of the search's seed and this name."""
    digest = hashlib.sha256(f"{task.seed}:{salt}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def word_tokens(task: SearchTask) -> Tensor:
    """``[W]`` ids of tokens that begin a word and consist of ASCII letters."""
    tokenizer = task.pair.tokenizer
    barred = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    size = min(task.pair.model_1.vocab_size or 0, len(tokenizer))
    ordinary = [i for i in range(size) if i not in barred]
    found = [i for i, text in word_beginnings(tokenizer, ordinary).items() if text.isascii()]
    return torch.tensor(found, dtype=torch.long, device=task.pair.model_1.device)


def printable_tokens(task: SearchTask) -> Tensor:
    """``[W]`` ids of tokens of printable ASCII, pieces of words and signs among them."""
    model = task.pair.model_1
    ids = model.ordinary_ids()
    texts = token_texts(task.pair.tokenizer, ids)
    found = [i for i, t in zip(ids, texts, strict=True) if t and t.isascii() and t.isprintable()]
    return torch.tensor(found, dtype=torch.long, device=model.device)


def _embedded(model: ModelWrapper, ids: Sequence[int]) -> Tensor:
    soft = model.embed(torch.tensor(ids, device=model.device)).detach().float()
    return soft.requires_grad_(True)
