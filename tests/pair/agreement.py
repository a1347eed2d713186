"""Does softdiv compute of a pair what ``model(input_ids=row)`` says, one row at a time?

Nothing here uses softdiv's own forward passes for the right value: only the ids of contexts
(``Layout``) and what softdiv returns.
"""

from __future__ import annotations

import copy
import re
import traceback
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import tiny_tokenizer
from softdiv.config.schema import TrainingConfig
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, rollout
from softdiv.errors import SoftdivError
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.teacher_forcing import response_states
from softdiv.pair.wrapper import ModelWrapper
from softdiv.training.soft_prompt import DivergenceSoftPrompt

TOKENS = 512
TEXTS = ("Name a colour.", "How do I boil an egg, and how long does it take?", "Why?")
PROMPT = "You are a pirate."
ANSWERS = ((40, 41, 300), (7, 250, 99, 12, 401), (88, 19))
LONGEST = 6
STEP = 1e-2

PREAMBLE = re.compile(r"^model_\d( \([^)]*\))? (would be measured wrongly: )?")

LIMITS = {"answers": 1e-4, "decoded": 1e-4, "bits": 1e-4, "gradient": 2e-2, "text": 1e-5}
"""The largest difference that counts as agreement: nats; bits; of a typical slope; nats."""


@attrs.frozen
class Outcome:
    """``right``, ``wrong``, ``refused``, ``traceback`` or ``not built``, and why."""

    kind: str
    largest: float = 0.0
    """Largest difference of a log-probability, nats."""
    remark: str = ""
    line: str = ""
    """All that a user sees of a refusal."""


def compare(model_1: Any, model_2: Any) -> Outcome:
    """What becomes of a pair of loaded models."""
    try:
        pair = ModelPair.of(model_1, model_2, tiny_tokenizer(TOKENS, True))
    except SoftdivError as error:
        said = f"{error.what}: {error.why}" if error.why else error.what
        return Outcome("refused", remark=PREAMBLE.sub("", said), line=str(error))
    except Exception as error:
        return Outcome("traceback", remark=_where(error))
    try:
        found = differences(pair)
    except Exception as error:
        return Outcome("traceback", remark=f"accepted, then {_where(error)}")
    wrong = [f"{name} by {value:.2g}" for name, value in found.items() if not value <= LIMITS[name]]
    largest = max(found["answers"], found["decoded"])
    if wrong:
        return Outcome("wrong", largest, ", ".join(wrong))
    rerun = not (pair.model_1.keeps_cache and pair.model_2.keeps_cache)
    return Outcome("right", largest, "decoded without a cache" if rerun else "")


def differences(pair: ModelPair) -> dict[str, float]:
    """The largest difference of each kind, keys as in :data:`LIMITS`."""
    layout = Layout(pair.tokenizer, "user_start")
    ids = layout.encode(PROMPT)
    settings = TrainingConfig(num_soft_prompt_tokens=len(ids), init="text", init_text=PROMPT)
    prompt = DivergenceSoftPrompt.create(pair.model_1, layout, settings, 0)().detach()
    hard = [layout.hard(text) for text in TEXTS]
    soft = [layout.soft(text) for text in TEXTS]
    told = [Context(before=(*c.before, *ids, *c.after)) for c in soft]
    answers = [
        _answers(pair.model_1, hard, None, hard),
        _answers(pair.model_2, hard, None, hard),
        _answers(pair.model_1, soft, prompt, told),
    ]
    decoded = [_decoded(pair, hard, None, hard), _decoded(pair, soft, prompt, told)]
    return {
        "answers": max(answers),
        "decoded": max(nats for nats, _ in decoded),
        "bits": max(bits for _, bits in decoded),
        "gradient": _gradient(pair.model_1, soft, prompt),
        "text": _distance(_given(pair.model_1, soft, prompt), _given(pair.model_1, told, None)),
    }


def plain(model: Any, ids: Sequence[int]) -> Tensor:
    """``[L, V]`` log-probabilities, fp64, of the transformers model alone."""
    with torch.no_grad():
        return _shown(model(input_ids=torch.tensor([list(ids)])).logits[0])


def _shown(logits: Tensor) -> Tensor:
    """Without the head's rows that no token has."""
    return logits[..., :TOKENS].double().log_softmax(-1)


def _given(wrapper: ModelWrapper, contexts: Sequence[Context], prompt: Tensor | None) -> Tensor:
    """``[N, V]`` of the tokens of :data:`ANSWERS`."""
    with torch.no_grad():
        states = response_states(wrapper, contexts, ANSWERS, prompt)
        return wrapper.log_probs(states).double()


def _answers(
    wrapper: ModelWrapper,
    contexts: Sequence[Context],
    prompt: Tensor | None,
    told: Sequence[Context],
) -> float:
    right = []
    for context, answer in zip(told, ANSWERS, strict=True):
        row = plain(wrapper.model, [*context.before, *answer])
        right.append(row[len(context) - 1 : -1])
    return _distance(_given(wrapper, contexts, prompt), torch.cat(right))


def _decoded(
    pair: ModelPair, contexts: Sequence[Context], prompt: Tensor | None, told: Sequence[Context]
) -> tuple[float, float]:
    """Largest difference in nats, and in bits."""
    rows = [*contexts, contexts[0]]  # a context twice, as when several answers are drawn
    weights = [FROM_MODEL_1, FROM_MODEL_2, FROM_MODEL_1, FROM_MODEL_2]
    uniforms = uniform_rows(["a", "b", "c", "d"], 0, LONGEST)
    sampling = Sampling(temperature=1.0)
    found = rollout(pair, rows, weights=weights, uniforms=uniforms, sampling=sampling, soft=prompt)
    nats, bits = [0.0], [0.0]
    for row, context in enumerate([*told, told[0]]):
        answer = found.answer(row)
        start = len(context) - 1
        one, two = (
            plain(wrapper.model, [*context.before, *answer])[start:-1]
            for wrapper in (pair.model_1, pair.model_2)
        )
        picked = torch.tensor(answer)[:, None]
        log_1, log_2 = one.gather(-1, picked)[:, 0], two.gather(-1, picked)[:, 0]
        size = len(answer)
        nats.append(_distance(found.log_prob_1[row, :size].double(), log_1))
        nats.append(_distance(found.ratio[row, :size].double(), log_2 - log_1))
        for best, log_probs in ((found.best_1, one), (found.best_2, two)):
            chosen = log_probs.gather(-1, best[row, :size, None])[:, 0]
            nats.append(_distance(chosen, log_probs.amax(-1)))  # 0 but where two are as good
        middle = (0.5 * (one.exp() + two.exp())).log()
        divergence = 0.5 * ((one.exp() * (one - middle)) + (two.exp() * (two - middle))).sum(-1)
        bits.append(
            _distance(found.bits[row, :size].double(), divergence / torch.log(torch.tensor(2.0)))
        )
    return max(nats), max(bits)


def _gradient(wrapper: ModelWrapper, contexts: Sequence[Context], prompt: Tensor) -> float:
    """Largest error of the gradient along two directions, of a direction's typical slope."""
    generator = torch.Generator().manual_seed(0)
    scale = float(prompt.norm(dim=-1).mean()) / prompt.shape[1] ** 0.5
    start = prompt + 0.5 * scale * torch.randn(prompt.shape, generator=generator)
    leaf = start.clone().requires_grad_()
    targets = torch.tensor([token for answer in ANSWERS for token in answer])
    log_probs = wrapper.log_probs(response_states(wrapper, contexts, ANSWERS, leaf))
    log_probs.gather(-1, targets[:, None]).sum().backward()
    gradient = leaf.grad
    assert gradient is not None
    here = _plain_with(wrapper, contexts, start)
    errors = []
    typical = float(gradient.norm()) / gradient.numel() ** 0.5
    for _ in range(2):
        direction = torch.randn(prompt.shape, generator=generator)
        direction /= direction.norm()
        slope = float((gradient * direction).sum())
        best = float("inf")
        for step in (STEP * scale, 0.1 * STEP * scale):
            up, down = (
                _plain_with(wrapper, contexts, start + sign * step * direction) for sign in (1, -1)
            )
            # where a token changes its expert a mixture jumps: one side may be spoilt
            slopes = ((up - down) / (2 * step), (up - here) / step, (here - down) / step)
            best = min(best, *(abs(slope - found) / max(typical, 1e-30) for found in slopes))
            if best <= LIMITS["gradient"]:
                break
        errors.append(best)
    return max(errors)


def _plain_with(wrapper: ModelWrapper, contexts: Sequence[Context], prompt: Tensor) -> float:
    """Summed log-probability of the answers by ``model(inputs_embeds=row)``."""
    total = 0.0
    with torch.no_grad():
        for context, answer in zip(contexts, ANSWERS, strict=True):
            before, after = (
                wrapper.embed(torch.tensor(part))
                for part in (context.before, [*context.after, *answer])
            )
            row = torch.cat([before, prompt, after])[None]
            log_probs = _shown(wrapper.model(inputs_embeds=row).logits[0])
            first = len(context) + len(prompt) - 1
            total += float(log_probs[first:-1].gather(-1, torch.tensor(answer)[:, None]).sum())
    return total


def _distance(one: Tensor, two: Tensor) -> float:
    return float((one - two).abs().max())


def _where(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first} ({place.filename.rpartition('/')[2]}:{place.lineno})"


def perturbed(model: Any) -> Any:
    """A copy whose weights differ a little, all but the input embeddings: a soft prompt made of
    one model's is the same text for the other."""
    other = copy.deepcopy(model)
    same = {id(parameter) for parameter in other.get_input_embeddings().parameters()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        for parameter in other.parameters():
            if id(parameter) not in same:
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return other
