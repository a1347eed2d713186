"""``softdiv plugins check``: the conformance kit on everything a plugin registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from softdiv.cli.options import json_option
from softdiv.cli.terminal import say, say_json

if TYPE_CHECKING:
    from softdiv.testing.plugin_under_test import Checked


@click.command("check")
@click.argument("target", metavar="NAME|PATH")
@json_option
@click.pass_context
def check(ctx: click.Context, target: str, as_json: bool) -> None:
    """Does a plugin keep its contract? Runs every check on every component it registers.

    NAME is an installed plugin or a built-in one such as `metrics`; PATH is a package's folder or
    a .py file. The plugin is imported and its code is run. Exit code 1 where a check fails.
    """
    from softdiv.cli.main import COMMANDS
    from softdiv.cli.plugin_commands import commands_of
    from softdiv.plain_text import one_line
    from softdiv.testing.plugin_under_test import plugins_at

    plugins = plugins_at(target)
    checked = {plugin.label: list(plugin.check()) for plugin in plugins}
    commands = [c for p in plugins for c in commands_of(p.module, p.label, COMMANDS)]
    if as_json:
        _print_json(checked)
    else:
        for label, components in checked.items():
            _print(label, components)
        for command in commands:
            say(f"command {one_line(command)}")
    failed = any(one.failures for components in checked.values() for one in components)
    ctx.exit(1 if failed or not (commands or any(checked.values())) else 0)


def _print(label: str, components: list[Checked]) -> None:
    from softdiv.plain_text import one_line

    say(f"plugin {one_line(label)}: {len(components)} component{'s'[: len(components) != 1]}")
    width = max((len(o.check) for one in components for o in one.outcomes), default=0)
    for one in components:
        passed = len(one.outcomes) - len(one.failures)
        title = f"{one.entry.name} ({one.entry.kind})"
        say()
        say(f"{one_line(title)}: {passed} of {len(one.outcomes)} checks passed")
        named: dict[str, str] = {}  # one cause fails many checks and is said once
        for outcome in one.outcomes:
            reason = "" if outcome.reason is None else one_line(outcome.reason)
            first = named.setdefault(reason, outcome.check)
            if reason and first != outcome.check:
                reason = f"as {first}"
            word = "pass" if outcome.passed else "FAIL"
            say(f"  {word}  {outcome.check:<{width}}  {reason}".rstrip())


def _print_json(checked: dict[str, list[Checked]]) -> None:
    say_json(
        [
            {
                "plugin": label,
                "kind": one.entry.kind,
                "component": one.entry.name,
                "passed": not one.failures,
                "checks": {o.check: o.reason or "pass" for o in one.outcomes},
            }
            for label, components in checked.items()
            for one in components
        ],
        indent=2,
    )
