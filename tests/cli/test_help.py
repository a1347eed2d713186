"""Help of every command, without a heavy import."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from softdiv.cli.main import softdiv

ROOT = Path(__file__).parents[2]

CODE = """
import json, sys
import click
from softdiv.cli.main import main, softdiv

HEAVY = {"torch", "transformers", "jinja2", "deepspeed", "scipy", "wandb"}
seen, guilty = [], []

def walk(command, path):
    try:
        main([*path, "--help"])
    except SystemExit as done:
        assert done.code == 0, path
    seen.append(path)
    if HEAVY & set(sys.modules):
        guilty.append((path, sorted(HEAVY & set(sys.modules))))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            walk(command.get_command(context, name), [*path, name])

walk(softdiv, [])
print("\\n" + json.dumps({"seen": seen, "guilty": guilty}), file=sys.stderr)
"""


def test_no_command_imports_torch_for_its_help() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stderr.splitlines()[-1])
    assert result["guilty"] == []
    assert ["plugins", "new"] in result["seen"]
    assert ["metrics", "list"] in result["seen"]
    assert ["run"] in result["seen"]


def commands(document: str) -> list[str]:
    """Every ``softdiv ...`` in a shell block or in backticks, without placeholders' values."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", document, flags=re.S | re.M))
    return [line.partition("#")[0].strip() for line in lines if line.startswith("softdiv ")]


@pytest.mark.parametrize("path", ["README.md", "docs/plugins.md"])
def test_the_documents_name_only_commands_and_options_there_are(path: str) -> None:
    found = commands((ROOT / path).read_text(encoding="utf-8"))
    assert len(found) >= 5
    for line in found:
        command: click.Command = softdiv
        context = click.Context(softdiv)
        for word in line.split()[1:]:
            if word.startswith("--"):
                known = {option for p in command.get_params(context) for option in p.opts}
                assert word in known, line
            elif isinstance(command, click.Group) and word.islower():
                inner = command.get_command(context, word)
                assert inner is not None, line
                command = inner
