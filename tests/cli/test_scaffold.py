"""``softdiv plugins new``: each kind is complete, passes its tests, runs, and shows in the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from softdiv import DivergencePipeline, ExperimentConfig
from softdiv.cli.main import softdiv
from softdiv.cli.scaffold import SCAFFOLD_KINDS, Names, scaffold
from softdiv.errors import ConfigError
from softdiv.storage.atomic import read_json_lines
from tests.cli.installed import distribution

COMPONENTS = {kind: f"my_{kind.replace('-', '_')}" for kind in SCAFFOLD_KINDS}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One package per kind."""
    folder = tmp_path_factory.mktemp("packages")
    return {kind: scaffold(f"my-{kind}", kind, folder) for kind in SCAFFOLD_KINDS}


@pytest.fixture(scope="module")
def own_tests(
    packages: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[str]]:
    """Kind -> outcome of each of the package's own tests, all run in one interpreter."""
    report = tmp_path_factory.mktemp("report") / "junit.xml"
    options = ("-W", "error", "--import-mode=importlib", f"--junitxml={report}")
    path = os.pathsep.join(map(str, [*packages.values(), *filter(None, sys.path)]))
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, packages.values())],
        env={**os.environ, "PYTHONPATH": path},
        cwd=report.parent,
        check=False,
        capture_output=True,
        timeout=280,
    )
    outcomes: dict[str, list[str]] = {kind: [] for kind in packages}
    for case in ElementTree.parse(report).iter("testcase"):
        (kind,) = [k for k, c in COMPONENTS.items() if case.get("classname", "").count(f"_{c}.")]
        bad = [child.get("message") for child in case if child.tag in ("failure", "error")]
        outcomes[kind].append(f"{case.get('name')}: {bad[0]}" if bad else "passed")
    return outcomes


@pytest.mark.parametrize("kind", SCAFFOLD_KINDS)
def test_its_own_tests_pass(kind: str, own_tests: Mapping[str, list[str]]) -> None:
    assert len(own_tests[kind]) >= 3
    assert set(own_tests[kind]) == {"passed"}


def _metric(folder: Path, report: dict[str, Any]) -> None:
    for prompt in (*report["prompts"], *report["baselines"]):
        assert "my_metric" in prompt["metrics"]
    assert "my_metric" in (folder / "report.html").read_text()


def _response_metric(folder: Path, report: dict[str, Any]) -> None:
    for prompt in (*report["prompts"], *report["baselines"]):
        assert "my_response_metric" in prompt["metrics"]


def _loss(folder: Path, report: dict[str, Any]) -> None:
    lines = [line for line in read_json_lines(folder / "metrics.jsonl") if "loss" in line]
    assert lines
    assert report["config"]["training"]["loss"] == {"name": "my_loss"}
    assert all(line["loss"] != pytest.approx(-line["divergence"], rel=1e-3) for line in lines)


def _processor(folder: Path, report: dict[str, Any]) -> None:
    assert {"name": "my_processor"} in report["config"]["data"]["processors"]
    texts = [line["user_text"] for line in read_json_lines(folder / "generations.jsonl")]
    assert texts and not [text for text in texts if "poem" in text.lower()]


def _model(folder: Path, report: dict[str, Any]) -> None:
    assert report["pair"]["model_1"]["loader"] == "my_model"
    assert report["pair"]["model_2"] == {"loader": "my_model", "noise": 0.05}


def _searcher(folder: Path, report: dict[str, Any]) -> None:
    assert report["prompts"]
    assert {prompt["searcher"] for prompt in report["prompts"]} == {"my_searcher"}
    assert all(prompt["text"].startswith("Tell me about") for prompt in report["prompts"])


def _analyzer(folder: Path, report: dict[str, Any]) -> None:
    assert "my_analyzer" in [section["title"] for section in report["sections"]]
    assert "The user text on which the models differ most" in (folder / "report.html").read_text()


def _observer(folder: Path, report: dict[str, Any]) -> None:
    steps = [line for line in read_json_lines(folder / "metrics.jsonl") if "divergence" in line]
    assert steps and all(line["my_observer"] > 0 for line in steps)


SHOWS: dict[str, Callable[[Path, dict[str, Any]], None]] = {
    "metric": _metric,
    "response-metric": _response_metric,
    "loss": _loss,
    "processor": _processor,
    "model": _model,
    "searcher": _searcher,
    "analyzer": _analyzer,
    "observer": _observer,
}


@pytest.mark.parametrize("kind", SCAFFOLD_KINDS)
def test_its_example_runs_and_the_component_shows(
    kind: str, packages: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = packages[kind].name.replace("my-", "softdiv_my_").replace("-", "_")
    distribution(tmp_path, f"my-{kind}", dist=module, module=module, source=None)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(packages[kind]))
    config = ExperimentConfig.from_file(packages[kind] / "example.toml")
    DivergencePipeline(config=config, run_dir=tmp_path / "run").run()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    SHOWS[kind](tmp_path / "run", report)
    assert not [line for line in report["warnings"] if "failed" in line]


@pytest.mark.parametrize("kind", SCAFFOLD_KINDS)
def test_the_code_is_tidy_and_short(kind: str, packages: Mapping[str, Path]) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--select=E,F,I,UP,B,SIM,C4"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--isolated", "--no-cache", "."],
            capture_output=True,
            text=True,
            check=False,
            cwd=packages[kind],  # in softdiv's checkout, softdiv would be first-party
        )
        assert done.returncode == 0, done.stdout
    (module,) = packages[kind].glob("*.py")
    assert len(module.read_text().splitlines()) <= 75


@pytest.mark.parametrize("kind", SCAFFOLD_KINDS)
def test_its_files_name_the_same_things(kind: str, tmp_path: Path) -> None:
    folder, component = scaffold(f"my-{kind}", kind, tmp_path), COMPONENTS[kind]
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert set(files) == {
        "pyproject.toml",
        "README.md",
        "example.toml",
        f"softdiv_{component}.py",
        f"tests/test_{component}.py",
    }
    assert f'my-{kind} = "softdiv_{component}"' in files["pyproject.toml"].read_text()
    readme = files["README.md"].read_text()
    assert f'plugins = ["my-{kind}"]' in readme
    toml = readme.partition("```toml\n")[2].partition("```")[0]
    assert component in str(ExperimentConfig.from_dict(_parsed(toml)).to_dict())


def _parsed(text: str) -> dict[str, Any]:
    import tomlkit

    return tomlkit.parse(text).unwrap()


def test_the_next_three_commands_are_printed(tmp_path: Path) -> None:
    arguments = ["plugins", "new", "softdiv-other", "--kind", "metric", "--output-dir"]
    result = CliRunner().invoke(softdiv, [*arguments, str(tmp_path)])
    folder = tmp_path / "softdiv-other"
    assert result.exit_code == 0
    assert [line.strip() for line in result.output.splitlines()[1:]] == [
        f"pip install -e {folder}",
        f"python -m pytest {folder}",
        f"softdiv run {folder}/example.toml",
    ]
    assert (folder / "softdiv_other.py").is_file()


@pytest.mark.slow
def test_installed_by_pip_it_is_found_and_runs(
    packages: Mapping[str, Path], tmp_path: Path
) -> None:
    """The README's four commands, in an environment of its own."""
    venv, package = tmp_path / "venv", packages["metric"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    (site,) = (venv / "lib").glob("python*/site-packages")
    (site / "shared.pth").write_text("\n".join(filter(None, sys.path)))  # torch, and softdiv itself

    def call(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    command = (python, "-c", "from softdiv.cli.main import main; main()")
    assert "my-metric" not in call(*command, "plugins", "list")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    call(*pip, "--no-deps", "--no-build-isolation", "-e", str(package))
    rows = json.loads(call(*command, "plugins", "list", "--json"))
    (row,) = [row for row in rows if row["name"] == "my-metric"]
    assert row["provides"] == ["metric:my_metric"]
    assert (row["package"], row["version"]) == ("softdiv-my-metric", "0.1.0")
    assert row["problems"] == []
    assert " passed" in call(python, "-m", "pytest", str(package))
    call(*command, "run", str(package / "example.toml"), "--output-dir", "run", "--quiet")
    _metric(tmp_path / "run", json.loads((tmp_path / "run" / "report.json").read_text()))


def test_names_follow_from_one() -> None:
    names = Names.of("softdiv-my-metric2")
    assert (names.folder, names.plugin, names.package) == (
        "softdiv-my-metric2",
        "my-metric2",
        "softdiv-my-metric2",
    )
    assert (names.module, names.component, names.class_name) == (
        "softdiv_my_metric2",
        "my_metric2",
        "MyMetric2",
    )
    assert Names.of("my-metric2").package == "softdiv-my-metric2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Metric", "lower-case.*try 'my-metric'"),
        ("2fast", "try 'fast'"),
        ("a--b", "try 'a-b'"),
        ("../up", "try 'up'"),
        ("x/../../y", "try 'x-y'"),
        ("é", "e.g. 'my-metric'"),
        ("softdiv", "choose|core's own"),
        ("rank-overlap", "known plugin: softdiv-rank-overlap"),
        ("softdiv-rank-overlap", "known plugin"),
        ("losses", "known plugin: softdiv "),
        ("jsd", "metric 'jsd' is provided by 'token_metrics'"),
        ("rank--overlap", "try 'rank-overlap'"),
        ("rows", "would be called Rows"),
        ("none", "would be called None"),
    ],
)
def test_a_name_that_will_not_do_is_refused_and_nothing_written(
    name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        scaffold(name, "metric", tmp_path / "here")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        scaffold("mine", "metric", tmp_path)
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="exists already"):
        scaffold("dangling", "metric", tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_name_of_an_installed_plugin_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "theirs", source=None)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="'theirs' is a known plugin: dist_a"):
        scaffold("theirs", "loss", tmp_path / "here")
