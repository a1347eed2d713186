"""What the core calls: one protocol per kind of component.

A component's factory is an attrs class whose fields are its TOML keys; the core
builds it from the config, strictly, and then calls it as described here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from softdiv.plugin.records import (
        Example,
        Finding,
        HardPrompt,
        ResponsePair,
        Rows,
        Section,
        TextAnswer,
        TextContext,
    )

Kind = Literal["models", "processors", "losses", "metrics", "searchers", "analyzers", "observers"]

KINDS: tuple[Kind, ...] = (
    "models",
    "processors",
    "losses",
    "metrics",
    "searchers",
    "analyzers",
    "observers",
)


class ModelLoader(Protocol):
    """Loads one model of a pair."""

    def load(self, device: str) -> tuple[Any, Any]:
        """``(model, tokenizer)``: a transformers causal model in eval mode, and its tokenizer."""


@runtime_checkable
class SharingLoader(Protocol):
    """A loader that can build its model on another loaded model's weights (optional)."""

    def load_beside(self, other: ModelLoader, model: Any, tokenizer: Any) -> tuple[Any, Any] | None:
        """A second model sharing ``model``'s tensors, or None if they have none in common."""


@runtime_checkable
class PlannableLoader(Protocol):
    """A loader that knows its model's size before loading it (optional; for ``--dry-run``)."""

    def skeleton(self, device: str) -> Any:
        """The model on the ``meta`` device: its shapes and number format on ``device``, no
        weights."""

    def weight_bytes(self, skeleton: Any, other: ModelLoader | None = None) -> int:
        """Memory its weights will take, beside ``other`` where they share some."""


class TextSubject(Protocol):
    """A model that is asked in text: in this process, or behind an API."""

    @property
    def scores(self) -> Literal["texts", "own", "none"]:
        """Whose log-likelihoods it gives: those of any text, of what it wrote itself, or none."""

    @property
    def spent(self) -> int:
        """Tokens read and written so far, where nothing else counts them."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader should know of it by now."""

    def size(self, context: TextContext) -> int:
        """About how many tokens it reads."""

    def shown(self, context: TextContext) -> str:
        """The context as the model gets it, as far as that is known."""

    def check_plain(self, text: str) -> None:
        """Raises DataError for a text that it would not read as text."""

    def answers(
        self,
        contexts: Sequence[TextContext],
        keys: Sequence[str],
        *,
        tokens: int,
        counted: int,
        temperature: float,
        top_p: float,
        seed: int,
    ) -> list[TextAnswer]:
        """One for each context.

        Args:
            keys: names of the random streams, one for each context.
            tokens: of an answer, at most.
            counted: of its first tokens, that likelihoods are of.
            temperature: 0 = greedy.
        """

    def log_likelihoods(
        self, contexts: Sequence[TextContext], answers: Sequence[TextAnswer]
    ) -> list[float]:
        """Nats of each answer's ``counted`` behind its context, and of its end where ``closed``."""


@runtime_checkable
class SubjectLoader(Protocol):
    """A loader of a model that is only asked in text (optional; for ``pair.by = "text"``)."""

    def subject(self) -> TextSubject:
        """The model, ready to be asked."""


class Processor(Protocol):
    """A source (ignores what it is given) or a filter of user texts."""

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The texts that go on, lazily."""


class Loss(Protocol):
    """Maximised: the core means over tokens, negates, and differentiates through it."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` values, differentiable with respect to both log-probability tensors."""


class TokenMetric(Protocol):
    """A number per response token; the core averages over tokens, then over user texts."""

    level: ClassVar[Literal["token"]]

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` values; a row's value may not depend on other rows."""


class ResponseMetric(Protocol):
    """A number per pair of answers.

    A metric with a class attribute ``resamples = n`` finds n further samples of each model in
    every pair's ``again_1`` and ``again_2``. They cost as much as the answers themselves and are
    only drawn when a configured metric asks for them.
    """

    level: ClassVar[Literal["response"]]

    def __call__(self, pairs: Sequence[ResponsePair]) -> Sequence[float]:
        """One value per pair, in order."""


class Budget(Protocol):
    """What a searcher may still spend, in forward-token equivalents (FTE)."""

    @property
    def spent(self) -> int:
        """FTE spent so far."""

    @property
    def remaining(self) -> int:
        """FTE left, at least 0."""


class Searcher(Protocol):
    """Proposes hard prompts, lazily; every forward pass it makes is charged to the budget."""

    @property
    def role(self) -> Literal["proposer", "refiner", "baseline"]:
        """A class attribute: proposers run first; refiners start from ``task.best``; baselines are
        what a search must beat, run apart at equal FTE."""

    def __call__(self, task: Any, budget: Budget) -> Iterable[HardPrompt]:
        """``task`` is a :class:`softdiv.search.task.SearchTask`."""


class Analyzer(Protocol):
    """Explains the findings in one section of the report."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        """One section of the report.

        ``findings`` are those of every prompt and baseline, the best prompt's first; see
        :func:`softdiv.analysis.selection.of_best_prompt`.
        """


@runtime_checkable
class ModelAnalyzer(Protocol):
    """An analyzer that must run the models once more (optional); called in place of the call."""

    def with_models(self, findings: Sequence[Finding], pair: Any, layout: Any) -> Section:
        """``pair`` is a :class:`softdiv.pair.manager.ModelPair`, ``layout`` its prompt's place."""
