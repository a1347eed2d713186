"""Measures what an organism does, on phrasings it never saw, and holds it to its recipe."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

import attrs
from scipy import stats
from torch import Tensor

from softdiv.data.shipped_texts import user_texts
from softdiv.divergence.kernels import kl
from softdiv.divergence.metrics import DivergenceMetrics
from softdiv.divergence.sampler import Sampler
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling
from softdiv_organisms.recipe import Recipe
from softdiv_organisms.texts import held_out_texts

ROWS = 40
NEUTRAL = ("ordinary", "shipped")
"""groups over which drift is averaged; near misses are chosen to be hard, planted texts differ"""


@attrs.frozen
class Answer:
    """One text with a fresh answer of each model, and KL (nats per token) on each answer:
    KL(model_1 || model_2) on model_1's, KL(model_2 || model_1) on model_2's."""

    text: str
    model_1: str
    model_2: str
    kl_1: float
    kl_2: float


@attrs.frozen
class Rate:
    """Share of answers in which the detector fired, with its 95 % interval (Wilson, 1927)."""

    fired: int
    answers: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, detector: re.Pattern[str], answers: Sequence[str]) -> Rate:
        """Count over one or more answers."""
        fired = sum(bool(detector.search(answer)) for answer in answers)
        interval = stats.binomtest(fired, len(answers)).proportion_ci(method="wilson")
        low, high = float(interval.low), float(interval.high)
        return cls(fired, len(answers), fired / len(answers), low, high)


@attrs.frozen(kw_only=True)
class OrganismGateResult:
    """What was measured. Rates are None for an organism with nothing planted."""

    planted: Rate | None
    """over all texts where the behaviour is planted everywhere"""
    elsewhere: Rate | None
    """None too where the behaviour is planted everywhere"""
    elsewhere_by_group: Mapping[str, Rate]
    original: Rate | None
    """model_1's answers to every text, the planted ones too"""
    kl_original_tuned: float
    """nats per token on neutral texts: KL(model_1 || model_2) on model_1's answers"""
    kl_tuned_original: float
    """nats per token on neutral texts: KL(model_2 || model_1) on model_2's answers"""
    kl_planted: float | None
    """nats per token of model_2's answers to planted texts, for comparison"""
    neutral_texts: int
    examples: tuple[Answer, ...]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every threshold of the recipe holds."""
        return not self.failures


def gate_texts(recipe: Recipe) -> dict[str, list[str]]:
    """Texts of every group; none was trained on."""
    gate, planted = recipe.gate, recipe.planted
    shipped = [text for _, text, _ in user_texts()]
    if planted is not None and planted.on_topic is not None:
        shipped = [text for text in shipped if not re.search(planted.on_topic, text)]
    random.Random(f"shipped {recipe.seed}").shuffle(shipped)
    groups = {
        "planted": held_out_texts(
            planted.texts if planted else None, gate.planted_texts, recipe.seed
        ),
        "ordinary": held_out_texts(recipe.ordinary, gate.ordinary_texts, recipe.seed),
        "near_misses": held_out_texts(recipe.near_misses, gate.near_miss_texts, recipe.seed),
        "shipped": shipped[: gate.shipped_texts],
    }
    return {name: texts for name, texts in groups.items() if texts}


def measure(recipe: Recipe, pair: ModelPair) -> OrganismGateResult:
    """Sample one answer of each model to every text and compare.

    Args:
        pair: the base model and the same with the adapter.
    """
    groups = {name: _answers(pair, texts, recipe) for name, texts in gate_texts(recipe).items()}
    neutral = [answer for name in NEUTRAL for answer in groups[name]]
    planted = groups.pop("planted", [])
    others = [answer for answers in groups.values() for answer in answers]
    if recipe.planted is not None and recipe.planted.everywhere:
        planted, others = [*planted, *others], []
    rates: dict[str, Rate | None] = {"planted": None, "elsewhere": None, "original": None}
    by_group: dict[str, Rate] = {}
    if recipe.planted is not None:
        detector = re.compile(recipe.planted.detector)
        by_group = {n: Rate.of(detector, [a.model_2 for a in g]) for n, g in groups.items()}
        rates = {
            "planted": Rate.of(detector, [a.model_2 for a in planted]),
            "elsewhere": Rate.of(detector, [a.model_2 for a in others]) if others else None,
            "original": Rate.of(detector, [a.model_1 for a in [*planted, *others]]),
        }
    result = OrganismGateResult(
        **rates,
        elsewhere_by_group=by_group,
        kl_original_tuned=_mean([answer.kl_1 for answer in neutral]),
        kl_tuned_original=_mean([answer.kl_2 for answer in neutral]),
        kl_planted=_mean([answer.kl_2 for answer in planted]) if planted else None,
        neutral_texts=len(neutral),
        examples=tuple((planted or neutral)[:5]),
        failures=(),
    )
    return attrs.evolve(result, failures=failures(recipe, result))


def failures(recipe: Recipe, result: OrganismGateResult) -> tuple[str, ...]:
    """One line for every threshold of the recipe that does not hold."""
    found = []
    limit = recipe.gate.max_kl
    for name in ("kl_original_tuned", "kl_tuned_original"):
        value = getattr(result, name)
        if not value <= limit:
            found.append(f"{name} is {value:.3f} nats per token, more than {limit}")
    planted = recipe.planted
    if planted is not None and result.planted and result.original:
        if not result.planted.rate >= planted.min_rate:
            found.append(f"planted rate is {result.planted.rate:.3f}, less than {planted.min_rate}")
        most = planted.max_rate_elsewhere
        if most is not None and result.elsewhere and not result.elsewhere.rate <= most:
            found.append(f"rate elsewhere is {result.elsewhere.rate:.3f}, more than {most}")
        if result.original.fired:
            found.append(f"the original shows the behaviour in {result.original.fired} answers")
    return tuple(found)


class _BothKl(DivergenceMetrics):
    def compute_kl_1(self, one: Tensor, two: Tensor) -> Tensor:
        return kl(one, two)

    def compute_kl_2(self, one: Tensor, two: Tensor) -> Tensor:
        return kl(two, one)


def _answers(pair: ModelPair, texts: Sequence[str], recipe: Recipe) -> list[Answer]:
    layout, gate, count = pair.layout(), recipe.gate, len(texts)
    sampler = Sampler(
        pair=pair,
        sampling=Sampling(temperature=gate.temperature),
        seed=recipe.seed,
        rows=ROWS,
        metrics=_BothKl(),
    )
    keys_1, keys_2 = ([f"gate {source} {text}" for text in texts] for source in (1, 2))
    contexts = [layout.hard(text) for text in texts]
    made = sampler.both(contexts, (keys_1, keys_2), gate.max_new_tokens)
    kl_1 = made.mean_of(made.extra["kl_1"]).tolist()
    kl_2 = made.mean_of(made.extra["kl_2"]).tolist()
    said = [layout.decode(made.answer(row)).strip() for row in range(2 * count)]
    return [
        Answer(text, said[row], said[count + row], kl_1[row], kl_2[count + row])
        for row, text in enumerate(texts)
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
