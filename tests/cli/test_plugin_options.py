from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from softdiv.cli.main import main
from softdiv.plugin import trace

sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))
from fake_site import install, observer

SMOKE = Path(__file__).parents[2] / "configs" / "smoke.toml"
SMALL = [
    "--quiet",
    *("--set", "plugins=[]"),
    *("--set", 'evaluation.metrics=["jsd"]'),
    *("--set", "training.engine.name=torch"),
    *("--set", "training.max_steps=1"),
    *("--set", "generation.budget_fte=500"),
    *("--set", 'generation.baselines=["empty"]'),
]
LOGS = "@hookimpl\ndef softdiv_step_end(self, event):\n    event.log('{name}', 1)"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    for name in "abc":
        install(folder, name, observer(name, LOGS.replace("{name}", name)))
    yield folder
    for name in [name for name in sys.modules if name.startswith(("fake_", "softdiv_plugin_"))]:
        del sys.modules[name]
    for handler in list(trace.logger.handlers):
        trace.logger.removeHandler(handler)
    trace.logger.propagate = True
    trace.logger.setLevel(logging.NOTSET)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def manifest(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return found


def test_where_plugins_come_from_is_kept_and_is_the_runs_identity(
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    local = tmp_path / "mine.py"
    local.write_text(observer("mine", LOGS.replace("{name}", "mine")))
    folder = tmp_path / "run"
    command = ["run", str(SMOKE), *SMALL, "--output-dir", str(folder), "--plugin", "b"]
    command += ["--set", 'observers=["a", "mine"]', "--plugin-file", str(local)]
    monkeypatch.setenv("SOFTDIV_PLUGINS", "a")
    monkeypatch.setenv(trace.TRACE, "1")
    assert call("--plugin", "c", *command) == 0
    shown = capsys.readouterr()
    assert "softdiv_step_end  plugin 'a' (softdiv-a 1.2)  " in shown.err
    assert "softdiv_register_observers  'mine' (file " in shown.err
    plugins = manifest(folder)["facts"]["plugins"]  # type: ignore[index]
    assert [plugin["name"] for plugin in plugins] == ["a", "c", "b", "mine"]
    assert plugins[-1]["distribution"] == "file" and plugins[-1]["path"] == str(local)
    (line,) = (folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["a"] == json.loads(line)["mine"] == 1
    report = json.loads((folder / "report.json").read_text())
    assert f"--plugin-file {local}" in report["reproduce"]
    assert 'plugins = ["a", "c", "b"]' in (folder / "config.toml").read_text()
    # the same run again is the same run; without a plugin, or with another file, it is not
    assert call("--plugin", "c", *command) == 0
    assert call(*command) == 5
    assert "another configuration" in capsys.readouterr().err
    local.write_text(local.read_text() + "\n")
    assert call("--plugin", "c", *command) == 5
    assert "another configuration" in capsys.readouterr().err


def test_a_component_of_a_plugin_that_is_switched_off_says_so(
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOFTDIV_DISABLE_PLUGINS", "1")
    command = ["run", str(SMOKE), *SMALL, "--plugin", "a", "--set", 'observers=["a"]']
    assert call(*command, "--output-dir", str(tmp_path / "run")) != 0
    error = capsys.readouterr().err
    assert "no observer 'a' (SOFTDIV_DISABLE_PLUGINS is set" in error
    assert "fake_softdiv_a" not in sys.modules
