"""Checks every kind of component must pass."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import attrs

from softdiv.errors import ConfigError, PluginError
from softdiv.plugin.registry import Registry
from softdiv.testing.kit import Subject, checks_in, require
from softdiv.testing.process import changed_by, seed_all
from softdiv.testing.snapshot import snapshot

_NO_OPTION = "no_such_option"
_OF_EVERY_TYPE: tuple[Any, ...] = (True, "text", 7, 1.5, [["nested"]], {"a": {"table": 1}})


def check_fits_the_registry(subject: Subject) -> None:
    """Its class can be registered: an attrs class, whose fields are its options."""
    try:
        _registry(subject)
    except PluginError as error:
        require(False, f"{error.why}: {error.fix}")


def check_unknown_option_is_refused(subject: Subject) -> None:
    """An option it does not have is a mistake, not a wish to be ignored."""
    problems = _problems(subject, {_NO_OPTION: 1})
    require(
        any(_NO_OPTION in problem for problem in problems),
        f"option '{_NO_OPTION}' was accepted: options are the attrs fields, nothing else",
    )


def check_wrong_type_is_refused(subject: Subject) -> None:
    """Each option has a type that some value of TOML does not have."""
    factory = type(subject.make())
    if not attrs.has(factory):
        return  # check_fits_the_registry says so
    for field in attrs.fields(factory):
        if not field.init:
            continue
        key = f"{field.alias}:"
        refused = any(
            any(key in problem for problem in _problems(subject, {field.alias: value}))
            for value in _OF_EVERY_TYPE
        )
        require(
            refused,
            f"option '{field.alias}' accepts {', '.join(map(repr, _OF_EVERY_TYPE))} alike: "
            "annotate it with the type it needs",
        )


def check_deterministic(subject: Subject) -> None:
    """Equal input, equal answer: from one component twice, and from two built alike."""
    first = subject.make()
    again = subject.make() if subject.kit.stateful else first
    answers = []
    for component in (first, again, subject.make()):
        seed_all(0)  # what draws from the global generators is check_no_global_rng's to find
        answers.append(snapshot(subject.kit.call(component, subject.kit.inputs())))
    require(answers[0] == answers[1], "the second answer to equal input differs from the first")
    require(answers[0] == answers[2], "two components built alike give different answers")


def check_no_global_rng(subject: Subject) -> None:
    """The global generators of random, numpy and torch stay as they are."""
    seed_all(1)
    moved = [name for name in changed_by(subject.use) if _is_random(name)]
    require(
        not moved,
        f"it moves {', '.join(moved)}, on which training may depend; "
        "use a generator of its own, e.g. torch.Generator().manual_seed(...)",
    )


def check_no_output(subject: Subject) -> None:
    """Nothing is printed: the command line is the core's, and other ranks run it too."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning is not a print
        subject.use()
    require(not out.getvalue(), f"it prints {out.getvalue()[:80]!r}")


def check_process_unchanged(subject: Subject) -> None:
    """Working folder and torch's global switches stay as they are."""
    changed = [name for name in changed_by(subject.use) if not _is_random(name)]
    require(not changed, f"it changes {', '.join(changed)}")


def check_inputs_unchanged(subject: Subject) -> None:
    """What it is given is as before afterwards; other components get the same objects."""
    inputs = subject.kit.inputs()
    before = snapshot(subject.kit.watched(inputs))
    subject.kit.call(subject.make(), inputs)
    require(
        snapshot(subject.kit.watched(inputs)) == before,
        "it modifies what it is given: work on a copy",
    )


def _registry(subject: Subject) -> Registry:
    registry = Registry()
    registry.add(subject.kit.kind, "checked", type(subject.make()), "under test")
    return registry


def _problems(subject: Subject, options: Mapping[str, Any]) -> tuple[str, ...]:
    """What the core says to these options; an option left out may be reported as missing too."""
    try:
        _registry(subject).build(subject.kit.kind, "checked", options)
    except ConfigError as error:
        return error.problems
    except PluginError:
        return tuple(f"{key}: not registered" for key in options)  # check_fits_the_registry's
    return ()


def _is_random(name: str) -> bool:
    return name.endswith("random state")


EVERY_KIND = checks_in(globals())
