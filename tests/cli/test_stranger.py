"""A run folder that somebody sent: its words, its names and its links do nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from softdiv.storage.atomic import sha256_file
from softdiv.storage.manifest import read_manifest, write_manifest

from .conftest import Call

ESCAPES = "\x1b]52;c;AAAA\x07\x1b[2J\x9b31m\u202e\r"
WORDS = "text|searcher|title|summary|headline|stop_reason|engine|name|response_1|response_2|note"
COMMANDS = (
    ("runs", "show", "RUN"),
    ("runs", "verify", "RUN"),
    ("runs", "list", "--dir", "PARENT"),
    ("runs", "prune", "--dir", "PARENT", "--older-than", "0", "--dry-run"),
    ("train", "RUN"),
    ("generate", "RUN"),
    ("evaluate", "RUN"),
    ("evaluate", "RUN", "--json"),
    ("evaluate", "RUN/hard_prompts.jsonl", "--config", "RUN/config.toml"),
    ("analyze", "RUN"),
    ("report", "RUN"),
    ("report", "RUN", "--force"),
    ("run", "RUN/config.toml", "--output-dir", "RUN"),
    ("compare", "RUN", "RUN"),
    ("compare", "RUN", "RUN", "--json"),
    ("chat", "RUN", "--message", "hi"),
    ("chat", "RUN/none"),
)


@pytest.fixture
def hostile(run: Path) -> Path:
    """The run as a stranger would send it, every hash right, under a name of the same kind."""
    folder = run.rename(run.parent / f"r\x1b]0;title\x07\x1b[31m\n{'x'}")
    manifest, words = read_manifest(folder), json.dumps(ESCAPES)[1:-1]
    for name in ("evaluation.json", "hard_prompts.jsonl", "analysis.json", "training.json"):
        text = (folder / name).read_text()
        changed = re.sub(rf'"({WORDS})": "', lambda found: found[0] + words, text)
        (folder / name).write_text(changed)
    report = json.loads((folder / "report.json").read_text())
    report["verdict"]["outcome"] = report["pair"]["name"] = ESCAPES
    (folder / "report.json").write_text(json.dumps(report))
    for entry in manifest["stages"].values():
        entry["notes"], entry["finished"] = [ESCAPES], ESCAPES
        entry["files"] = {name: sha256_file(folder / name) for name in entry["files"]}
    manifest["facts"][f"x{ESCAPES}"] = ESCAPES
    manifest["stages"][ESCAPES] = {"finished": ESCAPES, "files": {}, "notes": [ESCAPES]}
    write_manifest(folder, manifest)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_escape_sequence_reaches_the_terminal(
    command: tuple[str, ...], hostile: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(hostile), "PARENT": str(hostile.parent)}
    call(*(re.sub("RUN|PARENT", lambda m: places[m[0]], word) for word in command))
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert said and all(line.isprintable() for line in said.split("\n"))
    assert "Traceback" not in said


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a link": lambda run: (run / "report.md").unlink() or (run / "report.md").symlink_to("/etc"),
    "a pipe": lambda run: os.mkfifo(run / "events.pipe"),
    "a folder in place of a file": lambda run: (
        (run / "evaluation.json").unlink() or (run / "evaluation.json").mkdir()
    ),
    "no config": lambda run: (run / "config.toml").unlink(),
    "another config": lambda run: (run / "config.toml").write_text("seed = 5\n"),
    "null for a manifest": lambda run: (run / "manifest.json").write_text("null"),
    "another verdict": lambda run: (run / "evaluation.json").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("command", ["report --force", "compare", "chat", "generate --force"])
def test_what_is_not_as_it_was_is_one_line(
    damage: str, command: str, run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGE[damage](run)
    name, *options = command.split()
    if damage in ("a folder in place of a file", "another verdict") and name == "generate":
        return  # it reads neither
    arguments = (run, run) if name == "compare" else (run, *options)
    assert call(name, *arguments) == 5
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1


def test_a_damaged_neighbour_keeps_no_list_from_being_shown(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for damage, harm in DAMAGE.items():
        harm(Path(shutil.copytree(run, run.parent / damage)))
    (run.parent / "linked").symlink_to("/etc")
    (run.parent / "linked-run").symlink_to(run)
    assert call("runs", "list", "--dir", run.parent) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == len(DAMAGE) + 2
    assert re.search(rf"(?m)^finished .*{run}$", shown)
    assert re.search(r"(?m)^link .*linked-run$", shown)
    assert call("runs", "prune", "--dir", run.parent, "--older-than", "0", "--yes") == 0
    assert {path.name for path in run.parent.iterdir()} == {"linked", "linked-run"}


def test_a_run_made_elsewhere_imports_no_plugin(
    run: Path,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path / "cache"))
    config = run / "config.toml"
    config.write_text(config.read_text().replace("plugins = []", 'plugins = ["no-such-plugin"]'))
    manifest = read_manifest(run)
    write_manifest(run, {**manifest, "config": {"config.toml": sha256_file(config)}})
    for command in (("report", run, "--force"), ("chat", run), ("evaluate", run), ("train", run)):
        assert call(*command) == 3
        error = capsys.readouterr().err
        assert "was not made here" in error and "(if you trust it: --plugin no-such-plug" in error
    assert call("report", run, "--force", "--plugin", "no-such-plugin") == 3
    assert "plugin 'no-such-plugin' is not installed" in capsys.readouterr().err
    assert call("compare", run, run) == 0  # reads files only
