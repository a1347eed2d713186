"""A stranger's config is data: whatever it holds is one line, soon."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.errors import PROBLEMS_SHOWN, ConfigError, PluginError

DEEP = "a" + ".a" * 1999
LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [" + ", ".join([f"*a{n - 1}"] * 9) + "]\n" for n in range(1, 30)
)

HOSTILE: list[tuple[str, str | bytes, str]] = [
    ("c.toml", f"[{DEEP}]\nb = 1\n", "nested too deeply"),
    ("c.toml", f"{DEEP} = 1\n", "c.toml:1: nested too deeply"),
    ("c.toml", "a = " + "{a = " * 40 + "1" + "}" * 40, "nested too deeply"),
    ("c.toml", f"seed = {'9' * 5000}\n", "not valid TOML: Exceeds the limit (4300 digits)"),
    ("c.toml", f"seed = {'9' * 400}\n", "c.toml:1: seed: must be at most 9,223,372,036"),
    ("c.toml", f"seed = 0x{'f' * 50_000}\n", "one of some 60,000 digits (integer)"),
    ("c.toml", f"[training]\nlearning_rate = {'9' * 400}\n", "c.toml:2: training.learning_rate: "),
    ("c.toml", "[training]\nlearning_rate = 1e999\n", "expected a finite number, got inf"),
    ("c.toml", f"[training]\nbatch_size = {10**20}\n", "training.batch_size: must be at most 9,2"),
    ("c.toml", f"[training]\nbatch_size = {10**15}\n", "'batch_size' must be <= 65536: 10"),
    ("c.toml", '[pair]\nname = "a\\u0000b"\n', "c.toml:2: pair.name: holds a NUL"),
    ("c.toml", f'"{"x" * 201}" = 1\n', "has a key of more than 200 characters"),
    ("c.toml", "# " + "x" * 2**18, "is larger than 256 KB"),
    ("c.toml", "seed = 1\n".encode("utf-16"), "it is UTF-16 (save it as UTF-8)"),
    ("c.toml", b"seed = 1\n# \xff\n", "line 2 is not UTF-8 text"),
    ("c.toml", "[" + " " * 200_000, "not valid TOML"),
    ("c.yaml", "1: 2\n", "a key has to be text, got 1 (integer)"),
    ("c.yaml", "training: {yes: 2}\n", "training: a key has to be text, got True (boolean)"),
    ("c.yaml", "? [1]\n: 2\n", "not valid YAML: found unhashable key"),
    ("c.yaml", LAUGHS, "holds more than 20,000 values"),
    ("c.yaml", MERGES, "holds more than 20,000 values"),
    ("c.yaml", "a: &a {<<: *a}\n", ""),
    ("c.yaml", "a: &a {b: *a}\n", "nested too deeply, or holds itself"),
    ("c.yaml", f"seed: {'9' * 5000}\n", "Exceeds the limit (4300 digits)"),
    ("c.yaml", 'output_dir: "\\ud800"\n', "output_dir: holds half a character"),
    ("c.yaml", "seed: !!binary aGk=\n", "c.yaml:1: seed: expected text, a number"),
    ("c.yaml", "plugins: !!set {a, b}\n", "plugins: expected text, a number"),
    ("c.yaml", "seed: 1\nseed: 2\n", "c.yaml:2: not valid YAML: the key 'seed' is given twice"),
    ("c.yaml", "--- 1\n--- 2\n", "c.yaml:2: not valid YAML: but found another document"),
]


@pytest.mark.parametrize(("name", "content", "said"), HOSTILE)
def test_one_line_and_soon(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.perf_counter()
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_file(path)
    assert time.perf_counter() - began < 5
    text = str(caught.value)
    assert said in text and str(path) in text
    assert "\n" not in text and len(text) < 500 + len(str(path))
    assert caught.value.exit_code == 2


def problems(table: dict[Any, Any], *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_dict(table, overrides)
    return caught.value.problems


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("rank-overlap", '''"rank-overlap"'''),
        ('a"b', r'''"a\"b"'''),
        (3, "3"),
        (True, "true"),
    ],
)
def test_a_list_is_told_how_to_write_it(value: Any, shown: str) -> None:
    (line,) = problems({"plugins": value})
    assert line.startswith("config: plugins: expected a list, got ")
    assert line.endswith(f"; give a list: plugins = [{shown}]")


def test_a_table_or_nothing_is_no_list() -> None:
    assert problems({"plugins": {"a": 1}}) == (
        "config: plugins: expected a list, got {'a': 1} (table)",
    )
    (line,) = problems({"evaluation": {"metrics": "jsd"}})
    assert line.endswith('give a list: metrics = ["jsd"]')
    (line,) = problems({}, "data.categories=cooking")
    assert line == (
        "--set: data.categories: expected a list, got 'cooking' (text); "
        'give a list: categories = ["cooking"]'
    )


def test_many_problems_are_counted() -> None:
    found = problems({"plugins": list(range(10_000))})
    assert len(found) == 20 and found[0].startswith("config: plugins[0]: expected text")
    found = problems({f"k{n}": 1 for n in range(10_000)})
    assert len(found) == 21 and found[-1] == "config: 9980 more unknown keys"
    found = problems(
        {"evaluation": {"metrics": [{"k": n} for n in range(5_000)]}, "plugins": [1] * 99}
    )
    assert len(found) == PROBLEMS_SHOWN + 1 and found[-1] == "and 10 more problems"
    (line,) = problems({"training": {"x" * 200: 1}})
    assert len(line) < 1000


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (DEEP + "=1", "--set: nested too deeply"),
        ("seed=" + "9" * 5000, "--set: seed: expected an integer, got '9999"),
        ("training.loss=" + "[" * 5000, 'this table needs name = "..."'),
        ("seed=1\nnum_threads = 3", "--set: seed: expected an integer, got '1\\nnum"),
        ("pair.name=\udcff", "--set: pair.name: holds half a character"),
        ("training." + "x" * 300 + "=1", "has a key of more than 200 characters"),
    ],
)
def test_hostile_overrides(override: str, said: str) -> None:
    if "loss" in override:  # it is no TOML, so it is the name of a loss
        assert ExperimentConfig.from_dict({}, [override]).training.loss.name == "[" * 5000
        return
    (line,) = problems({}, override)
    assert said in line


def test_a_dictionary_that_holds_itself() -> None:
    table: dict[str, Any] = {}
    table["pair"] = table
    assert problems(table) == ("config: nested too deeply, or holds itself",)


def test_byte_order_marks_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    for name in ("c.toml", "c.yaml"):
        text = "seed = 3\r\n" if name == "c.toml" else "seed: 3\r\n"
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert ExperimentConfig.from_file(tmp_path / name).seed == 3


def test_a_device_is_read_no_further_than_a_config_goes() -> None:
    with pytest.raises(ConfigError, match="is larger than 256 KB"):
        ExperimentConfig.from_file("/dev/zero")
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        ExperimentConfig.from_file("a\0b")


@pytest.mark.parametrize("name", ["evil", "evil.py", "./evil.py", "package:evil", "/tmp/evil.py"])
def test_a_config_names_no_file_to_import(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="is not installed"):
        Prepared.of(ExperimentConfig.from_dict({"plugins": [name]}))
    table = {"processors": [{"name": name, "data_path": "evil.py"}]}
    with pytest.raises(ConfigError, match="no processor"):
        Prepared.of(ExperimentConfig.from_dict({"data": table}))
