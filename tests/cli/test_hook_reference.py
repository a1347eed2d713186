"""docs/hooks.md is what hookspecs.py says."""

from __future__ import annotations

import inspect
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from softdiv.cli.hook_reference import hooks, markdown
from softdiv.cli.main import softdiv
from softdiv.plugin.hookspecs import Hooks

DOC = Path(__file__).parents[2] / "docs" / "hooks.md"
NAMES = [name for name in vars(Hooks) if name.startswith("softdiv_")]


def test_the_reference_is_up_to_date() -> None:
    """Otherwise: softdiv plugins hooks --markdown > docs/hooks.md"""
    assert DOC.read_text(encoding="utf-8") == markdown()


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(softdiv, ["plugins", "hooks", "--markdown"]).output == markdown()


@pytest.mark.parametrize("name", NAMES)
def test_every_hook_is_documented_with_its_exact_signature(name: str) -> None:
    parameters = list(inspect.signature(getattr(Hooks, name)).parameters.values())
    arguments = ", ".join(str(p).replace("events.", "").replace("'", "") for p in parameters[1:])
    section = DOC.read_text(encoding="utf-8").partition(f"### {name}\n")[2].partition("\n#")[0]
    assert f"\ndef {name}({arguments}) -> None: ...\n" in section
    (hook,) = [hook for hook in hooks() if hook.name == name]
    assert hook.doc
    if hook.event:
        events = DOC.read_text(encoding="utf-8").partition("## Events")[2]
        table = events.partition(f"### {hook.event.__name__}\n")[2].partition("\n#")[0]
        for field in attrs.fields(hook.event):
            assert f"| `{field.name}` |" in table or field.name.startswith("_")


def test_plain_output_has_a_line_per_hook() -> None:
    output = CliRunner().invoke(softdiv, ["plugins", "hooks"]).output.splitlines()
    assert [line.partition("(")[0] for line in output] == NAMES
