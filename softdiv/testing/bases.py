"""One pytest class per kind; each test runs one check of the kit and is named after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from softdiv.testing import analyzer, loss, model_loader, observer, processor, searcher
from softdiv.testing import response_metric as response
from softdiv.testing import token_metric as token
from softdiv.testing.kit import Check, Kit, Subject, run_check


class ComponentTests:
    """Subclass the class of your component's kind and override :meth:`make`."""

    KIT: ClassVar[Kit]

    def make(self) -> object:
        """A fresh component, with options as a config would give them."""
        raise NotImplementedError(f"{type(self).__name__} must override make()")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "KIT" in vars(cls):
            for check in cls.KIT.checks:
                name = "test_" + check.__name__.removeprefix("check_")
                setattr(cls, name, _test(check, name))


def _test(check: Check, name: str) -> Callable[[ComponentTests], None]:
    def test(self: ComponentTests) -> None:
        run_check(check, Subject(self.KIT, self.make))

    test.__name__, test.__doc__ = name, check.__doc__
    return test


class TokenMetricTests(ComponentTests):
    """Token metrics: ``(rows) -> Tensor[N]``."""

    KIT = token.KIT


class ResponseMetricTests(ComponentTests):
    """Response metrics: ``(pairs) -> one float per pair``."""

    KIT = response.KIT


class LossTests(ComponentTests):
    """Losses: ``(rows) -> Tensor[N]``, maximised."""

    KIT = loss.KIT


class ProcessorTests(ComponentTests):
    """Sources and filters: ``(examples) -> Iterator[Example]``."""

    KIT = processor.KIT


class ModelLoaderTests(ComponentTests):
    """Model loaders: ``load(device) -> (model, tokenizer)``."""

    KIT = model_loader.KIT


class SearcherTests(ComponentTests):
    """Searchers and baselines: ``(task, budget) -> Iterable[HardPrompt]``."""

    KIT = searcher.KIT


class AnalyzerTests(ComponentTests):
    """Analyzers: ``(findings) -> Section``."""

    KIT = analyzer.KIT


class ObserverTests(ComponentTests):
    """Observers: objects with lifecycle hooks."""

    KIT = observer.KIT
