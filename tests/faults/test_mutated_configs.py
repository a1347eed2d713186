"""Shipped configs, changed at random: each still works or is refused in a few lines, soon."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from softdiv.cli.main import main
from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import home
from softdiv.errors import PROBLEMS_SHOWN, SoftdivError

LONG = os.environ.get("SOFTDIV_FAULTS") == "long"
TRIED = 500 if LONG else 40
DRY_RUNS = 50 if LONG else 4
SECONDS = 20
"""of one config, on a machine that does other things too"""
CODES = {2, 3, 4, 5, 6, 8}

SOURCES = {
    path.suffix: [
        p.read_text(encoding="utf-8") for p in sorted(path.parent.glob(f"*{path.suffix}"))
    ]
    for path in (home() / "configs" / "x.toml", home() / "configs" / "x.yaml")
}
VALUES = (
    *("0", "-1", "1", "3.5", "1e-4", "1e400", "-inf", "nan", "true", '""', '"x"', '"../../x"'),
    *(str(10**6), str(10**15), str(10**20), "9" * 400, "9" * 5000, "0x" + "f" * 3000, "[]", "{}"),
    *("[1, 2]", '["jsd", "jsd"]', '{ name = "jsd" }', "{ name = 3 }", '"rank-overlap"', "'it''s'"),
    *('"\\u0000"', '"\\u202e\\u2066"', '"ä€😀"', '"' + "x" * 3000 + '"', "2026-01-01", "~", "null"),
    *("[[[[[[]]]]]]", "[" * 3000, "{a = " * 50 + "1" + "}" * 50, "*a", "&a [*a]", "!!set {a, b}"),
    *('["length"]', '[{ name = "jsonl", data_path = "." }]', '[{ name = "csv" }]', "/dev/zero"),
)
NUMBERS = (0, 1, 2, 5, 31, 64, 1000, 65_536, 100_000, 0.5, 1.0, 10**9, 2**31, 2**63 - 1)
WORDS = (
    "tiny",
    "jsd",
    "shipped",
    "length",
    "clusters",
    "cpu",
    "cuda",
    "cuda:9",
    "meta",
    "auto",
    "é",
)
KEY = re.compile(r"^(\s*(?:- )?)([\w.\-]+)(\s*[=:]\s*)(.*)$")

Record = Callable[[str, object], None]
"""pytest's; "counts" are shown at the end of ``make test-faults``"""
Change = Callable[[random.Random, list[str]], None]


def _key_lines(lines: list[str]) -> list[int]:
    return [i for i, line in enumerate(lines) if KEY.match(line)] or [0]


def another_value(rng: random.Random, lines: list[str]) -> None:
    place = rng.choice(_key_lines(lines))
    lines[place] = KEY.sub(lambda m: m[1] + m[2] + m[3] + rng.choice(VALUES), lines[place])


def another_number(rng: random.Random, lines: list[str]) -> None:
    places = [i for i, line in enumerate(lines) if re.search(r"[=:,]\s*\d", line)]
    if places:
        place, number = rng.choice(places), rng.choice(NUMBERS)
        lines[place] = re.sub(r"(?<=[=:,])(\s*)[\d.]+", rf"\g<1>{number}", lines[place], count=1)


def another_word(rng: random.Random, lines: list[str]) -> None:
    places = [i for i, line in enumerate(lines) if '"' in line]
    if places:
        place, word = rng.choice(places), rng.choice(WORDS)
        lines[place] = re.sub(r'"[^"]*"', f'"{word}"', lines[place], count=1)


def another_key(rng: random.Random, lines: list[str]) -> None:
    place = rng.choice(_key_lines(lines))

    def misspelt(m: re.Match[str]) -> str:
        cut = rng.randrange(len(m[2]))
        odd = rng.choice(("", "x", "_", "1", ".", '"', "é", "\u200b", "\x07", "k" * 300))
        return m[1] + m[2][:cut] + odd + m[2][cut + 1 :] + m[3] + m[4]

    lines[place] = KEY.sub(misspelt, lines[place])


def the_key_of_another_line(rng: random.Random, lines: list[str]) -> None:
    one, two = (rng.choice(_key_lines(lines)) for _ in range(2))
    key = KEY.match(lines[two])
    if key:
        lines[one] = KEY.sub(lambda m: m[1] + key[2] + m[3] + m[4], lines[one])


def a_line_twice(rng: random.Random, lines: list[str]) -> None:
    place = rng.randrange(len(lines))
    lines[place:place] = [lines[place]] * rng.choice((1, 2, 500))


def a_line_less(rng: random.Random, lines: list[str]) -> None:
    del lines[rng.randrange(len(lines))]


def lines_in_another_order(rng: random.Random, lines: list[str]) -> None:
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]


def a_deep_header(rng: random.Random, lines: list[str]) -> None:
    lines.append(rng.choice(("[a" + ".a" * 1999 + "]", "[[a]]" * 5, "a" + ".a" * 99 + " = 1")))


def odd_characters(rng: random.Random, lines: list[str]) -> None:
    place = rng.randrange(len(lines))
    cut = rng.randrange(len(lines[place]) + 1)
    odd = rng.choice(("\x00", "\x1b[2J", "\t", "\r", "\u2028", "\ufeff", "'", '"""', "}", "]", "#"))
    lines[place] = lines[place][:cut] + odd + lines[place][cut:]


CHANGES: tuple[Change, ...] = (
    *((another_number,) * 8 + (another_word,) * 3 + (another_value,) * 3 + (another_key,)),
    *(the_key_of_another_line, a_line_twice, a_line_less, lines_in_another_order),
    *(a_deep_header, odd_characters),
)


def mutated(rng: random.Random, suffix: str) -> bytes:
    lines = rng.choice(SOURCES[suffix]).split("\n")
    for change in rng.choices(CHANGES, k=rng.choice((1, 1, 1, 2, 4))):
        change(rng, lines)
    content = "\n".join(lines).encode("utf-8")
    if rng.random() < 0.05:
        content = content[: rng.randrange(len(content))]
    if rng.random() < 0.05:
        place = rng.randrange(len(content) + 1)
        content = content[:place] + rng.randbytes(rng.choice((1, 1, 20))) + content[place + 1 :]
    return content


def check(path: Path) -> str:
    """``works``, or the class of the error; whatever else comes out fails the test."""
    try:
        config = ExperimentConfig.from_file(path)
        Prepared.of(config)
    except SoftdivError as error:
        lines = str(error).split("\n")
        assert len(lines) <= PROBLEMS_SHOWN + 1 and max(map(len, lines)) <= 1500
        assert error.exit_code in CODES
        return type(error).__name__
    again = path.with_name("again.toml")
    again.write_text(config.to_toml(), encoding="utf-8")
    assert ExperimentConfig.from_file(again) == config
    return "works"


def test_mutated_configs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(14)
    found, slow = Counter[str](), list[bytes]()
    for number in range(TRIED):
        suffix = rng.choice((".toml", ".toml", ".yaml"))
        path = tmp_path / f"c{suffix}"
        content = mutated(rng, suffix)
        path.write_bytes(content)
        began = time.perf_counter()
        try:
            found[check(path)] += 1
        except Exception as error:
            error.args = (f"config {number}: {content[:3000]!r}: {error!r}",)
            raise
        if time.perf_counter() - began > SECONDS:
            slow.append(content)
    record_property("counts", f"configs: {found.total()} of {TRIED} survived: {dict(found)}")
    assert found.total() == TRIED and slow == []
    assert found["works"] > TRIED / 20 and found["ConfigError"] > TRIED / 5, "the mix is no test"


def test_dry_runs_of_mutated_configs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(15)
    codes = Counter[int]()
    # the tiny pair: models that are only described cost nothing
    monkeypatch.setitem(SOURCES, ".toml", [(home() / "configs" / "smoke.toml").read_text()])
    for number in range(DRY_RUNS):
        content = mutated(rng, ".toml")
        (tmp_path / "c.toml").write_bytes(content)
        began = time.perf_counter()
        with pytest.raises(SystemExit) as stopped:
            main(["run", "c.toml", "--dry-run"])
        taken = time.perf_counter() - began
        captured = capsys.readouterr()
        where = f"config {number}: {content!r}: {captured.err}"
        assert isinstance(stopped.value.code, int) and taken < SECONDS, where
        codes[stopped.value.code] += 1
        assert "Traceback" not in captured.err, where
        lines = captured.err.splitlines()
        assert stopped.value.code == 0 or (lines and len(lines) <= PROBLEMS_SHOWN + 1), where
        assert all(line.isprintable() for line in lines if line.startswith("error: ")), where
    record_property("counts", f"dry runs: {codes.total()} of {DRY_RUNS} survived: {dict(codes)}")
    assert codes.total() == DRY_RUNS and set(codes) <= {0, *CODES}
    assert not list(tmp_path.glob("runs")), "a dry run writes nothing"
