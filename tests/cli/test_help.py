"""Help of every command, without a heavy import."""

from __future__ import annotations

import json
import subprocess
import sys

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
