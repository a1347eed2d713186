"""Each broken component fails the one check that is there for its bug, and no other."""

from __future__ import annotations

import pytest

from softdiv.testing import (
    analyzer,
    loss,
    model_loader,
    observer,
    processor,
    response_metric,
    searcher,
    token_metric,
)
from softdiv.testing.every_kind import EVERY_KIND
from softdiv.testing.kit import Kit, run_checks
from tests.testing import broken

FAMILIES: list[tuple[Kit, dict[str, type]]] = [
    (token_metric.KIT, broken.TOKEN_METRICS),
    (loss.KIT, broken.LOSSES),
    (response_metric.KIT, broken.RESPONSE_METRICS),
    (processor.KIT, broken.PROCESSORS),
    (model_loader.KIT, broken.MODELS),
    (searcher.KIT, broken.SEARCHERS),
    (analyzer.KIT, broken.ANALYZERS),
    (observer.KIT, broken.OBSERVERS),
]
CASES = [
    pytest.param(kit, check, factory, id=f"{kit.kind}-{check}")
    for kit, bugs in FAMILIES
    for check, factory in bugs.items()
]


@pytest.mark.parametrize(("kit", "check", "factory"), CASES)
def test_the_bug_is_found_by_its_check_alone(kit: Kit, check: str, factory: type) -> None:
    failed = [outcome for outcome in run_checks(kit, factory) if not outcome.passed]
    assert [outcome.check for outcome in failed] == [check], [o.reason for o in failed]


def test_a_figure_that_a_run_could_not_read_is_found_before() -> None:
    (failed,) = [o for o in run_checks(analyzer.KIT, broken.Columns) if not o.passed]
    assert failed.check == "check_json"
    assert "scatters.groups['a']" in failed.reason


@pytest.mark.parametrize(
    ("kit", "factory"),
    [
        (token_metric.KIT, broken.Sound),
        (loss.KIT, broken.Sound),
        (response_metric.KIT, broken.Length),
        (processor.KIT, broken.Keeps),
        (searcher.KIT, broken.Proposes),
        (analyzer.KIT, broken.Counts),
        (observer.KIT, broken.Watches),
    ],
)
def test_without_the_bug_every_check_passes(kit: Kit, factory: type) -> None:
    assert [o for o in run_checks(kit, factory) if not o.passed] == []


def test_every_check_has_a_bug_that_fails_it() -> None:
    shared = {check.__name__ for check in EVERY_KIND} | set(broken.TOKEN_METRICS)
    for kit, bugs in FAMILIES:
        assert {check.__name__ for check in kit.checks} - shared <= set(bugs)
    assert {check.__name__ for check in token_metric.KIT.checks} == set(broken.TOKEN_METRICS)
