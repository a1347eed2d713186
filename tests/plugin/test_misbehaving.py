"""Twelve plugins that misbehave: each is named, and none changes what training finds.

The first six cannot be loaded, the next six are observers in a real training. Components that
fail in a whole run are in ``test_failing_components.py``.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_site import METRIC, install, observer

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.cli import main as cli
from softdiv.config.load import ExperimentConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import Split
from softdiv.errors import PluginError
from softdiv.pair.manager import ModelPair
from softdiv.plugin.failures import Failures
from softdiv.plugin.hookspecs import lifecycle_hooks
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import Example
from softdiv.storage.run import open_run
from softdiv.training.trainer import DivergenceTrainer, TrainingResult

UNLOADABLE = {
    "import-error": ("import nowhere_to_be_found", "failed to import: ModuleNotFoundError: "),
    "exits": ("raise SystemExit(0)", "failed to import: SystemExit: 0"),
    "hangs": ("import time\ntime.sleep(60)", "is still importing after 0.2 s"),
    "hangs-on": (
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except Exception: pass",
        "is still importing after 0.2 s",
    ),
    "wrong-signature": (
        METRIC.replace("(register):", "(registry):"),
        "softdiv_register_metrics takes (register), not (registry)",
    ),
    "with-default": (
        METRIC.replace("metrics(register):", "metrics(register=None):"),
        "softdiv_register_metrics takes (register), not (register=None)",
    ),
    "misspelt": (
        METRIC.replace("_metrics", "_metrix"),
        "there is no hook softdiv_register_metrix (did you mean 'softdiv_register_metrics'?)",
    ),
    "unmarked": (
        METRIC.replace("@hookimpl", ""),
        "registers nothing (mark softdiv_register_metrics with @softdiv.hookimpl)",
    ),
    "empty": ("", "registers nothing (write e.g. softdiv_register_metrics"),
    "lifecycle": (
        "from softdiv import hookimpl\n@hookimpl\ndef softdiv_step_end(event): ...",
        "softdiv_step_end is told to observers, never to a plugin itself",
    ),
    "future": ("SOFTDIV_API_VERSION = 99\n" + METRIC, "was written for plugin API 99"),
    "registers-a-function": (
        METRIC.replace('"zero", Zero', '"zero", len'),
        "a factory is an attrs class",
    ),
    "fails-registering": (
        METRIC.replace('register("zero", Zero)', "raise KeyError('gone')"),
        "failed in softdiv_register_metrics: KeyError: 'gone'",
    ),
}


@pytest.mark.parametrize("name", UNLOADABLE)
def test_what_cannot_be_loaded_is_named_with_its_distribution(
    name: str, site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOFTDIV_IMPORT_TIMEOUT", "0.2")
    source, message = UNLOADABLE[name]
    install(site, name, source)
    with pytest.raises(PluginError) as caught:
        PluginManager.load([name])
    line = str(caught.value)
    assert f"'{name}' (softdiv-{name} 1.2)" in line and message in line and "\n" not in line
    assert caught.value.exit_code == 3
    monkeypatch.setenv("SOFTDIV_PLUGINS", name)
    with pytest.raises(SystemExit) as ended:
        cli.main(["pairs", "list"])
    assert ended.value.code == 0 and "tiny" in capsys.readouterr().out


def test_two_packages_and_two_components_of_one_name(site: Path) -> None:
    install(site, "one", METRIC)
    install(site, "two", METRIC)
    with pytest.raises(PluginError) as caught:
        PluginManager.load(["one", "two"])
    assert "two plugins register metric 'zero'" in str(caught.value)
    assert "'one' (softdiv-one 1.2) and 'two' (softdiv-two 1.2)" in str(caught.value)
    install(site, "one", METRIC, dist="softdiv-other", version="2.0")
    with pytest.raises(PluginError) as caught:
        PluginManager.load(["one"])
    assert "two packages: softdiv-one 1.2 and softdiv-other 2.0" in str(caught.value)


def test_a_name_that_is_known_or_nearly_known_gets_the_remedy(site: Path) -> None:
    install(site, "bits-two", METRIC)
    known = {"nibbles": "softdiv-nibbles"}
    with pytest.raises(PluginError, match=r"not installed \(pip install softdiv-nibbles\)"):
        PluginManager.load(["nibbles"], packages=known)
    with pytest.raises(PluginError, match="did you mean 'nibbles'"):
        PluginManager.load(["nibblse"], packages=known)


# --- observers in a training -------------------------------------------------------------------

STEP_END = "@hookimpl\ndef softdiv_step_end(self, event):\n    "
GRADIENT = "@hookimpl\ndef softdiv_gradient_ready(self, event):\n    "
MISBEHAVING = {
    "prints": (STEP_END + "print('look at me')", "printed to standard output in step_end"),
    "wanders": (
        STEP_END + "import os; os.chdir('/')",
        "changed the working directory, which was put back, in step_end",
    ),
    "reseeds": (
        STEP_END
        + "import random, numpy, torch; random.seed(1); numpy.random.seed(1); torch.manual_seed(1)",
        "changed torch's random state, which was put back, in step_end",
    ),
    "switches": (
        STEP_END + "import torch; torch.set_grad_enabled(False); "
        "torch.set_default_dtype(torch.float64); torch.set_num_threads(3)",
        "changed torch's default dtype, which was put back, in step_end",
    ),
    "hangs": (
        STEP_END + "import time; time.sleep(60)",
        "failed in step_end: Overdue: no end after",
    ),
    "exits": (STEP_END + "raise SystemExit(3)", "failed in step_end: SystemExit: 3"),
    "forges-metrics": (
        STEP_END + "event.metrics['grad_norm'] = 0.0",
        "failed in step_end: TypeError: 'mappingproxy'",
    ),
    "shadows-metrics": (
        STEP_END + "event.log('grad_norm', 0.0)",
        "failed in step_end: ValueError: 'grad_norm' is softdiv's own number",
    ),
    "lengthens": (
        STEP_END + "event.total_steps = 10**6",
        "failed in step_end: FrozenAttributeError",
    ),
    "writes-prompt": (
        STEP_END + "event.prompt.data.fill_(7.0)",
        "wrote to event.prompt, which is a copy, in step_end",
    ),
    "replaces-prompt": (
        STEP_END + "event.prompt = None",
        "failed in step_end: FrozenAttributeError",
    ),
    "writes-gradient": (
        GRADIENT + "event.prompt.grad.zero_()",
        "wrote to event.prompt, which is a copy, in gradient_ready",
    ),
    "scales-by-nothing": (
        GRADIENT + "event.scale_gradient(0)",
        "failed in gradient_ready: ValueError: gradient factor 0 is not a positive",
    ),
    "scales-too-late": (
        STEP_END + "event.scale_gradient(2.0)",
        "failed in step_end: RuntimeError: scale_gradient is for softdiv_gradient_ready",
    ),
    "keeps-a-set": (
        STEP_END + "pass\ndef state_dict(self):\n    return {'seen': {1, 2}}\n"
        "def load_state_dict(self, state): ...",
        "failed in state_dict: TypeError: state_dict: seen is set",
    ),
    **{
        f"raises-in-{hook.removeprefix('softdiv_')}": (
            f"@hookimpl\ndef {hook}(self, event):\n    raise ValueError('no such column')",
            f"failed in {hook.removeprefix('softdiv_')}: ValueError: no such column",
        )
        for hook in lifecycle_hooks()
        if hook.removeprefix("softdiv_")
        in (
            "train_start",
            "before_step",
            "gradient_ready",
            "step_end",
            "evaluation_end",
            "train_end",
        )
    },
}


def train(folder: Path, name: str | None) -> tuple[TrainingResult, list[str]]:
    config = ExperimentConfig.from_dict(
        {
            "seed": 3,
            "training": {
                "num_soft_prompt_tokens": 3,
                "engine": {"name": "torch"},
                "batch_size": 2,
                "max_steps": 4,
                "validate_every": 2,
                "validation_texts": 2,
                "checkpoint_every": 2,
                "response_tokens": 3,
            },
        }
    )
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.05).load("cpu")
    texts = sorted(user_texts(), key=lambda row: len(row[1]))[:16]
    examples = [Example(id=i, text=t, category=c) for i, t, c in texts]
    split = Split(train=tuple(examples[:10]), val=tuple(examples[10:13]), test=())
    manager = PluginManager.load([name] if name else [])
    watching = [(manager.registry.build("observers", name, {}), f"'{name}'")] if name else []
    with open_run(
        config.to_dict(), config.to_toml(), name="tiny", parent=folder, folder=folder / "run"
    ) as run:
        failures = Failures(
            manager.registry, lambda line, trace: run.event("failure", line=line, trace=trace)
        )
        hub = Observers.of(watching, attribution=failures)
        pair = ModelPair.of(model_1, model_2, tokenizer)
        result = DivergenceTrainer(pair, config, JsdLoss(), split, run, hub).train()
    return result, hub.failures


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return train(tmp_path_factory.mktemp("undisturbed"), None)[0]


@pytest.mark.parametrize("name", MISBEHAVING)
def test_an_observer_is_named_and_cannot_change_the_training(
    name: str,
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undisturbed: TrainingResult,
) -> None:
    monkeypatch.setenv("SOFTDIV_HOOK_TIMEOUT", "0.3")
    monkeypatch.chdir(tmp_path)
    body, message = MISBEHAVING[name]
    install(site, name, observer(name, body))
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    result, failures = train(tmp_path, name)
    assert f"plugin '{name}' (softdiv-{name} 1.2) {message}" in "\n".join(failures)
    assert torch.equal(result.prompt, undisturbed.prompt)
    assert (result.best_bits, result.steps) == (undisturbed.best_bits, undisturbed.steps)
    assert result.stop_reason == undisturbed.stop_reason
    assert capsys.readouterr().out == ""
    assert Path.cwd() == tmp_path and torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32 and torch.get_num_threads() != 3
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    events = (tmp_path / "run" / "events.jsonl").read_text()
    assert f"softdiv-{name} 1.2" in events
    if "failed" in message:
        assert "Traceback" in events
    if name == "prints":
        assert "look at me" in events


def test_a_failure_is_said_once_and_not_at_every_step(site: Path, tmp_path: Path) -> None:
    install(site, "prints", observer("prints", MISBEHAVING["prints"][0]))
    assert len(train(tmp_path, "prints")[1]) == 1
    assert "fake_softdiv_prints" in sys.modules
