"""Command lines put together at random: each ends with a code that is documented, soon."""

from __future__ import annotations

import io
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from softdiv.cli.main import main, softdiv
from softdiv.config.shipped import home

LONG = os.environ.get("SOFTDIV_FAULTS") == "long"
TRIED = 300 if LONG else 40
SECONDS = 30
CODES = {0, 2, 3, 4, 5, 6, 7, 8}

WORDS = (
    *("", " ", "x", "-", "--", "-1", "0", "1", "1e400", "nan", "9" * 30, "é😀", "a\nb", "\x1b[2J"),
    *(
        "\udcff",
        "a" * 300,
        "a/b" * 2000,
        ".",
        "..",
        "/",
        "/dev/null",
        "~",
        "*",
        "%s",
        "{}",
        "$HOME",
    ),
    *(
        "bad.toml",
        "good.toml",
        "bad.yaml",
        "binary",
        "folder",
        "run",
        "pipe/x",
        "dangling",
        "t.jsonl",
    ),
    *("jsd", "tiny", "rank-overlap", "metric", "hf", "-h", "--help", "--version", "int8", "max"),
)
SETTINGS = (
    *("seed=1", "seed", "=", "=1", "a.b.c=1", "seed.x=1", "training.num_epochs=-1", "plugins=x"),
    *("training.loss=[[[", "pair.name=tiny", "pair.model_1={}", "pair.model_1.path=x", "é=é"),
    *('data.processors=[{name="jsonl",data_path="t.jsonl"}]', 'data.processors=["x"]', "\x1b=\x07"),
    *('data.processors=[{name="csv",data_path="folder"}]', "device=cuda:99", "output_dir=\udcff"),
    *("a" + ".a" * 500 + "=1", "seed=" + "9" * 5000, "training.batch_size=999999999999999999999"),
)
HARMLESS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("run",): ("--dry-run", "--pair", "tiny"),
    **dict.fromkeys([("train",), ("evaluate",), ("chat",), ("pairs", "check")], ("--pair", "none")),
}
"""Appended, so that no random line loads a real model or trains one."""


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from leaves(inner, (*path, name))
    else:
        yield path


def parameters(path: tuple[str, ...]) -> list[click.Parameter]:
    command: click.Command = softdiv
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command.params


def random_line(rng: random.Random, paths: list[tuple[str, ...]]) -> list[str]:
    path = rng.choice(paths)
    line: list[str] = []
    for parameter in parameters(path):
        if rng.random() > (0.9 if parameter.required else 0.25):
            continue
        if isinstance(parameter, click.Option):
            line.append(rng.choice(parameter.opts))
            if parameter.is_flag:
                continue
        choices = getattr(parameter.type, "choices", None)
        settings = parameter.name == "settings"
        pool = SETTINGS if settings else tuple(choices) if choices and rng.random() < 0.7 else WORDS
        line.append(rng.choice(pool))
    if rng.random() < 0.1:
        line.insert(rng.randrange(len(line) + 1), rng.choice(WORDS))
    if rng.random() < 0.05 and path:
        path = (*path[:-1], path[-1][1:] + "x")
    return [*path, *line, *HARMLESS.get(path, ())]


def prepare(folder: Path) -> None:
    """Files that the words above name."""
    (folder / "bad.toml").write_text("seed = 'x'\n[training]\nbatch = 1\n")
    (folder / "good.toml").write_text((home() / "configs" / "smoke.toml").read_text())
    (folder / "bad.yaml").write_text("seed: [1\n")
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "folder").mkdir()
    (folder / "run").mkdir()
    (folder / "run" / "manifest.json").write_text('{"stages": null}')
    (folder / "dangling").symlink_to("nowhere")
    (folder / "t.jsonl").write_text('{"goal": "a"}\n{"goal": "b"}\n')


def test_random_command_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    prepare(work)
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path))
    rng, codes, slow = random.Random(14), Counter[int](), list[list[str]]()
    # doctor takes seconds: it imports what is installed (tests/cli/test_doctor.py)
    paths = [path for path in leaves(softdiv, ()) if LONG or path != ("doctor",)]
    for number in range(TRIED):
        line = random_line(rng, paths)
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        began = time.perf_counter()
        try:
            main(line)
            raise AssertionError("it returned")
        except SystemExit as stopped:
            assert isinstance(stopped.code, int)
            codes[stopped.code] += 1
            code = stopped.code
        except Exception as error:
            raise AssertionError(f"line {number}: {line}: {error!r}") from error
        if time.perf_counter() - began > SECONDS:
            slow.append(line)
        said = capsys.readouterr()
        where = f"line {number}: {line}: exit {code}: {said.err[-2000:]}"
        assert "Traceback" not in said.err, where
        assert code in CODES, where
        assert code in (0, 7) or "error: " in said.err or "Usage: " in said.err, where
        assert "\x1b[2J" not in said.err + said.out, where
    record_property("counts", f"command lines: {codes.total()} of {TRIED} survived: {dict(codes)}")
    assert codes.total() == TRIED and slow == []
    assert min(codes[0], codes[2]) > TRIED / 20 and len(codes) >= 3, "the mix is no test"
    assert {path.name for path in tmp_path.iterdir()} <= {"work", ".cache", ".config"}
