"""What a conformance kit is: the checks of one kind, and how they are run.

The models are scikit-learn's ``check_estimator`` (plain functions named ``check_*``, run with or
without pytest) and pandas' extension tests (base classes an author subclasses).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from softdiv.plain_text import one_line
from softdiv.plugin.interfaces import Kind
from softdiv.testing.process import contained

LONGEST = 300
"""Characters of a reason."""
HOSTILE = (
    "<script>alert('x')</script> & \"quoted\"",
    "| a | table | row |\n|---|\n```",
    "{{ template }} {0} %s %(x)s \\n",
    "\x1b[31mred\x07\x00",
    "\u202eback to front\u2028next line",
    "a lone surrogate \ud800",
    " \t\n",
    "🧵" * 40,
)
"""Texts a model may write that break careless code."""


class CheckFailed(AssertionError):
    """A component breaks its kind's contract; the message says how."""


def require(condition: object, message: str) -> None:
    """Raise :class:`CheckFailed` unless ``condition`` holds (``python -O`` keeps it)."""
    if not condition:
        raise CheckFailed(message)


def _as_given(inputs: Any) -> Any:
    return inputs


@attrs.frozen(kw_only=True)
class Kit:
    """One kind's ordinary input, how its components are called, and its checks."""

    kind: Kind
    inputs: Callable[[], Any]
    """Fresh ordinary input."""
    call: Callable[[Any, Any], Any]
    """``(component, inputs)`` to the component's whole answer."""
    checks: tuple[Callable[[Subject], None], ...]
    watched: Callable[[Any], Any] = _as_given
    """The part of the input that a component may not change."""
    stateful: bool = False
    """Whether a component may remember earlier calls."""


@attrs.frozen
class Subject:
    """A component under test: ``make`` returns a fresh one."""

    kit: Kit
    make: Callable[[], Any]

    def use(self) -> Any:
        """The answer of a fresh component to ordinary input."""
        return self.kit.call(self.make(), self.kit.inputs())


Check = Callable[[Subject], None]


def checks_in(module: Mapping[str, Any]) -> tuple[Check, ...]:
    """The functions ``check_...`` that a module's ``globals()`` define so far, in their order."""
    own = (v for v in module.values() if getattr(v, "__module__", "") == module["__name__"])
    return tuple(v for v in own if getattr(v, "__name__", "").startswith("check_"))


def kit_for(kind: Kind, factory: Any) -> Kit:
    """The kit of a registered component; metrics are told apart by their ``level``."""
    names: dict[Kind, str] = {
        "models": "model_loader",
        "processors": "processor",
        "losses": "loss",
        "searchers": "searcher",
        "analyzers": "analyzer",
        "observers": "observer",
        "metrics": "response_metric"
        if getattr(factory, "level", None) == "response"
        else "token_metric",
    }
    return kit_of(names[kind])


def kit_of(module: str) -> Kit:
    """The kit in a module of this package."""
    kit: Kit = importlib.import_module(f"softdiv.testing.{module}").KIT
    return kit


@attrs.frozen
class CheckResult:
    """One check on one component; ``reason`` is None where it passed."""

    check: str
    reason: str | None

    @property
    def passed(self) -> bool:
        """Whether the component does what the check asks."""
        return self.reason is None


def run_check(check: Check, subject: Subject) -> None:
    """Run one check; the process is as before afterwards, whatever the component did to it."""
    with contained():
        check(subject)


def run_checks(kit: Kit, make: Callable[[], Any]) -> tuple[CheckResult, ...]:
    """Every check of the kit on the components ``make`` returns, each failure as one line."""
    subject = Subject(kit, make)
    outcomes = []
    for check in kit.checks:
        reason = None
        try:
            run_check(check, subject)
        except CheckFailed as failure:
            reason = str(failure)
        except (Exception, SystemExit) as error:  # foreign code may fail in any way; it is named
            reason = f"{type(error).__name__}: {error}"
        outcomes.append(
            CheckResult(check.__name__, None if reason is None else one_line(reason, LONGEST))
        )
    return tuple(outcomes)
