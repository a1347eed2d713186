"""The conformance kit: subclass a class, override ``make``, and pytest runs every check.

    from softdiv.testing import TokenMetricTests

    class TestMyMetric(TokenMetricTests):
        def make(self) -> object:
            return MyMetric()

``softdiv plugins check NAME`` runs the same checks without pytest. No pytest plugin has to be
registered, and importing this does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from softdiv.testing.kit import Check, Kit, Subject, kit_of, run_check

if TYPE_CHECKING:
    from softdiv.plugin.interfaces import Budget
    from softdiv.search.task import SearchTask


def tiny_search(limit: int = 20_000) -> tuple[SearchTask, Budget]:
    """What a searcher is called with, for tests of your own: a task on a tiny random pair with a
    soft prompt and two prompts in ``best``, and a budget of ``limit`` FTE."""
    from softdiv.search.budget import FteBudget
    from softdiv.testing.search_task import make_task

    task = make_task()
    return task, FteBudget(task.pair.ledger, limit)


class ComponentTests:
    """Subclass the class of your component's kind and override :meth:`make`."""

    KIT: ClassVar[Kit]

    def make(self) -> object:
        """A fresh component, with options as a config would give them."""
        raise NotImplementedError(f"{type(self).__name__} must override make()")

    def __init_subclass__(cls, kit: str = "") -> None:
        super().__init_subclass__()
        if kit:
            cls.KIT = kit_of(kit)
            for check in cls.KIT.checks:
                name = "test_" + check.__name__.removeprefix("check_")
                setattr(cls, name, _test(check, name))


def _test(check: Check, name: str) -> Callable[[ComponentTests], None]:
    def test(self: ComponentTests) -> None:
        run_check(check, Subject(self.KIT, self.make))

    test.__name__, test.__doc__ = name, check.__doc__
    return test


class TokenMetricTests(ComponentTests, kit="token_metric"):
    """Token metrics: ``(rows) -> Tensor[N]``."""


class ResponseMetricTests(ComponentTests, kit="response_metric"):
    """Response metrics: ``(pairs) -> one float per pair``."""


class LossTests(ComponentTests, kit="loss"):
    """Losses: ``(rows) -> Tensor[N]``, maximised."""


class ProcessorTests(ComponentTests, kit="processor"):
    """Sources and filters: ``(examples) -> Iterator[Example]``."""


class ModelLoaderTests(ComponentTests, kit="model_loader"):
    """Model loaders: ``load(device) -> (model, tokenizer)``."""


class SearcherTests(ComponentTests, kit="searcher"):
    """Searchers and baselines: ``(task, budget) -> Iterable[HardPrompt]``."""


class AnalyzerTests(ComponentTests, kit="analyzer"):
    """Analyzers: ``(findings) -> Section``."""


class ObserverTests(ComponentTests, kit="observer"):
    """Observers: objects with lifecycle hooks."""
