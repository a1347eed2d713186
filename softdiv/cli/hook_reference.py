"""The hook reference, from ``softdiv/plugin/hookspecs.py`` itself: signature, docstring, event."""

from __future__ import annotations

import inspect
import re
from typing import Any

import attrs

from softdiv.cli.component_options import field_docs, summary_of
from softdiv.cli.scaffold import environment
from softdiv.plugin import events
from softdiv.plugin.hookspecs import API_VERSION, Hooks, lifecycle_hooks, registration_hooks


@attrs.frozen
class Hook:
    """One hook as the contract states it."""

    name: str
    signature: str
    """As an implementation writes it, e.g. ``softdiv_run_start(event: RunEvent) -> None``."""
    doc: str
    event: type | None
    """Class of its ``event`` argument; registration hooks have none."""


def hooks() -> tuple[Hook, ...]:
    """Every hook, in the order of a run."""
    return tuple(map(_hook, (*registration_hooks(), *lifecycle_hooks())))


def markdown() -> str:
    """The whole of ``docs/hooks.md``."""
    found = hooks()
    templates = environment("templates")
    templates.filters.update(prose=_prose, cell=_cell)
    text = templates.get_template("hooks.md.j2").render(
        version=API_VERSION,
        hooks=found,
        events=[_event(event) for event in dict.fromkeys(h.event for h in found if h.event)],
    )
    return text.rstrip() + "\n"


def _hook(name: str) -> Hook:
    function = getattr(Hooks, name)
    argument = inspect.signature(function).parameters.get("event")
    kind = str(argument.annotation).removeprefix("events.") if argument else None
    event = getattr(events, kind) if kind else None
    return Hook(name, _signature(function), inspect.getdoc(function) or "", event)


def _signature(function: Any) -> str:
    given = inspect.signature(function)
    arguments = [
        f"{name}: {str(p.annotation).removeprefix('events.')}"
        for name, p in given.parameters.items()
        if name != "self"
    ]
    return f"{function.__name__}({', '.join(arguments)}) -> {given.return_annotation}"


def _event(event: type) -> dict[str, Any]:
    docs, members = field_docs(event), vars(event)
    fields = [f for f in attrs.fields(event) if not f.name.startswith("_")]
    public = [member for name, member in members.items() if not name.startswith("_")]
    return {
        "name": event.__name__,
        "doc": inspect.getdoc(event) or "",
        "attributes": [(f.name, str(f.type), docs.get(f.name, "")) for f in fields]
        + [
            (m.fget.__name__, inspect.signature(m.fget).return_annotation, summary_of(m))
            for m in public
            if isinstance(m, property) and m.fget
        ],
        "methods": [(_signature(m), summary_of(m)) for m in public if inspect.isfunction(m)],
    }


def _prose(doc: str) -> str:
    """reStructuredText marks as Markdown ones."""
    doc = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", doc)
    return doc.replace("``", "`")


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")
