"""``softdiv plugins``: what is installed, what it registers, which hooks there are, a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from softdiv.cli.options import json_option
from softdiv.cli.plugins_check import check
from softdiv.cli.scaffold import SCAFFOLD_KINDS, scaffold
from softdiv.cli.terminal import say, say_json, stream

if TYPE_CHECKING:
    from softdiv.cli.plugin_listing import Listed
    from softdiv.plugin.registry import Entry


@click.group()
def plugins() -> None:
    """Plugins: list, show, write and check them."""


@plugins.command("list")
@click.option("--all", "everything", is_flag=True, help="Also built-ins, and known packages.")
@json_option
@click.option("--config", type=click.Path(path_type=Path), help="Whose plugins are declared.")
def list_plugins(everything: bool, as_json: bool, config: Path | None) -> None:
    """Installed and declared plugins, read from package metadata; none is imported.

    Declared are those in SOFTDIV_PLUGINS and in the config.
    """
    from softdiv.cli.plugin_listing import declared_names, listing

    rows = listing(declared_names(config))
    if not everything:
        rows = tuple(r for r in rows if r.declared or (r.version is not None and not r.builtin))
    if as_json:
        import attrs

        say_json([attrs.asdict(row) | {"status": row.status} for row in rows], indent=2)
    elif rows:
        _print_listing(rows)
    else:
        say("no plugin is installed (built-in components need none); --all shows known ones")


def _print_listing(rows: tuple[Listed, ...]) -> None:
    from softdiv.cli.table import print_table

    print_table(
        ("name", "package", "status", "summary", "provides"),
        [
            (
                row.name,
                f"{row.package} {row.version or ''}".strip(),
                row.status,
                row.summary,
                ", ".join(row.provides) or "?",
            )
            for row in rows
        ],
    )


@plugins.command("show")
@click.argument("name")
def show(name: str) -> None:
    """What the plugin or component NAME registers, with every option. Imports the plugin.

    NAME is an installed plugin, a built-in one such as `metrics`, or a built-in component.
    """
    from softdiv.cli.plugin_show import commands_of, components_of

    label, entries = components_of(name)
    say(f"{label}: {len(entries)} component{'' if len(entries) == 1 else 's'}")
    for entry in entries:
        _print_component(entry)
    for command in commands_of(name):
        say()
        say(f"command softdiv --plugin {name} {command}")


def _print_component(entry: Entry) -> None:
    import inspect

    from softdiv.cli.component_options import options_of
    from softdiv.config.catalogue import singular
    from softdiv.plain_text import one_line, strip_hidden

    level = getattr(entry.factory, "level", None) or getattr(entry.factory, "role", None)
    say()
    say(f"{singular(entry.kind)} {one_line(entry.name)}{f' ({level})' if level else ''}")
    for line in strip_hidden(inspect.getdoc(entry.factory) or "no description").splitlines():
        say(f"    {line}".rstrip())
    options = options_of(entry.factory)
    if not options:
        say("    no options")
    for option in options:
        say(f"  {option.name} = {one_line(option.default)}   # {option.type}")
        if option.meaning:
            say(f"    {one_line(option.meaning)}")


@plugins.command("hooks")
@click.option("--markdown", is_flag=True, help="The reference, as in docs/hooks.md.")
def show_hooks(markdown: bool) -> None:
    """Every hook, in the order in which a run calls them."""
    from softdiv.cli import hook_reference
    from softdiv.cli.table import print_table

    if markdown:
        stream(hook_reference.markdown())
        return
    rows = [(hook.signature, hook.doc.partition("\n")[0]) for hook in hook_reference.hooks()]
    print_table(("hook", "when"), rows)


@plugins.command("new")
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(SCAFFOLD_KINDS), help="What it adds.")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where the folder NAME goes [.].",
)
def new(name: str, kind: str, output_dir: Path) -> None:
    """Write a plugin package to start from: one module, its tests, a config that runs it."""
    folder = scaffold(name, kind, output_dir)
    say(f"{folder} is a complete plugin. Next:")
    for command in (
        f"pip install -e {folder}",
        f"python -m pytest {folder}",
        f"softdiv run {folder / 'example.toml'}",
    ):
        say(f"  {command}")


plugins.add_command(check)
