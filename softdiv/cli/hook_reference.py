"""The hook reference, from ``softdiv/plugin/hookspecs.py`` itself: signature, docstring, event."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import attrs

from softdiv.cli.component_options import field_docs, summary_of
from softdiv.plugin import events, hookspecs

INTRODUCTION = """\
# Hooks

Written by `softdiv plugins hooks --markdown` from `softdiv/plugin/hookspecs.py`; a test fails
when the two differ. Plugin API version {version}: a plugin may state it as
`SOFTDIV_API_VERSION = {version}`.

An implementation is marked with `softdiv.hookimpl` and may leave out arguments that it does not
use. No hook returns a value. Registration hooks are functions of the plugin's module; lifecycle
hooks are methods of an observer, which a config names under `observers`. How to
write one: [write-a-plugin.md](write-a-plugin.md). How plugins are found and declared:
[plugins.md](plugins.md).
"""

_BANNER = re.compile(r"^\s*# --- (?P<title>.*?) -*$")
_HOOK = re.compile(r"^\s*def (?P<name>softdiv_\w+)\(")


@attrs.frozen
class Hook:
    """One hook as the contract states it."""

    name: str
    section: str
    """The banner of hookspecs.py it stands under."""
    signature: str
    """As an implementation writes it, e.g. ``softdiv_run_start(event: RunEvent) -> None``."""
    doc: str
    event: type | None
    """Class of its ``event`` argument."""


def hooks() -> tuple[Hook, ...]:
    """Every hook, in the order of the source, which is the order of a run."""
    return tuple(_hooks())


def _hooks() -> Iterator[Hook]:
    section = ""
    for line in inspect.getsource(hookspecs.Hooks).splitlines():
        if banner := _BANNER.match(line):
            section = banner["title"]
        elif found := _HOOK.match(line):
            function = getattr(hookspecs.Hooks, found["name"])
            yield Hook(
                name=found["name"],
                section=section,
                signature=_signature(function),
                doc=inspect.getdoc(function) or "",
                event=_event(function),
            )


def _signature(function: object) -> str:
    given = inspect.signature(function)  # type: ignore[arg-type]
    arguments = [
        f"{name}: {str(p.annotation).removeprefix('events.')}"
        for name, p in given.parameters.items()
        if name != "self"
    ]
    name = getattr(function, "__name__", "")
    return f"{name}({', '.join(arguments)}) -> {given.return_annotation}"


def _event(function: object) -> type | None:
    argument = inspect.signature(function).parameters.get("event")  # type: ignore[arg-type]
    if argument is None:
        return None
    event: type = getattr(events, str(argument.annotation).removeprefix("events."))
    return event


def markdown() -> str:
    """The whole of ``docs/hooks.md``."""
    lines = [INTRODUCTION.format(version=hookspecs.API_VERSION)]
    section = ""
    for hook in hooks():
        if hook.section != section:
            section = hook.section
            title, _, when = section.partition(":")
            lines.append(f"## {title[:1].upper()}{title[1:]}\n")
            if when:
                lines.append(f"{when.strip()[:1].upper()}{when.strip()[1:]}.\n")
        lines.append(f"### {hook.name}\n\n```python\ndef {hook.signature}: ...\n```\n")
        lines.append(f"{_prose(hook.doc)}\n")
        if hook.event is not None:
            name = hook.event.__name__
            lines.append(f"Event: [{name}](#{name.lower()}).\n")
    lines.append("## Events\n")
    for event in dict.fromkeys(hook.event for hook in hooks() if hook.event):
        lines += _event_section(event)
    return "\n".join(lines).rstrip() + "\n"


def _event_section(event: type) -> Iterator[str]:
    yield f"### {event.__name__}\n\n{_prose(inspect.getdoc(event) or '')}\n"
    docs = field_docs(event)
    members = {name: m for name, m in vars(event).items() if not name.startswith("_")}
    rows = [
        (field.name, str(field.type), docs.get(field.name, ""))
        for field in attrs.fields(event)
        if not field.name.startswith("_")
    ]
    rows += [
        (name, inspect.signature(member.fget).return_annotation, summary_of(member))
        for name, member in members.items()
        if isinstance(member, property) and member.fget
    ]
    yield "| attribute | type | meaning |\n| --- | --- | --- |"
    for row in rows:
        name, kind, meaning = (_prose(cell).replace("|", "\\|") for cell in row)
        yield f"| `{name}` | `{kind}` | {meaning} |"
    yield ""
    methods = [member for member in members.values() if inspect.isfunction(member)]
    for method in methods:
        yield f"- `{_signature(method)}`: {_prose(summary_of(method))}"
    if methods:
        yield ""


def _prose(doc: str) -> str:
    """reStructuredText marks as Markdown ones."""
    doc = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", doc)
    return doc.replace("``", "`")
