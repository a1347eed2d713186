"""Estimates made before anything is loaded, against what is then loaded."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
import torch
from click.testing import CliRunner

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.cli.main import main, softdiv
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.errors import PairError
from softdiv.pair.free_memory import free_memory
from softdiv.plugin.records import Example, Message
from softdiv.stages.plan import conversation_tokens, kept_for_backward, plan
from softdiv.stages.room import refuse_too_large

TEXTS = [Example(id=str(n), text=f"text {n}") for n in range(30)]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_kept_bytes_are_counted_without_memory(architecture: str, checkpointing: bool) -> None:
    loader = TinyLoader(architecture=architecture, layers=6)  # type: ignore[arg-type]
    skeleton, (model, _) = loader.skeleton(), loader.load("cpu")
    assert {p.device.type for p in skeleton.parameters()} == {"meta"}
    planned, real = (kept_for_backward(m, 3, 40, checkpointing) for m in (skeleton, model))
    # attention on meta tensors keeps its weights, a CPU's fused kernel does not
    assert real <= planned <= 2 * real
    assert kept_for_backward(skeleton, 6, 40, checkpointing) == pytest.approx(2 * planned, rel=0.2)


def test_checkpointing_keeps_less() -> None:
    skeleton = TinyLoader(layers=6).skeleton()
    assert kept_for_backward(skeleton, 3, 40, True) < kept_for_backward(skeleton, 3, 40, False) / 2


def test_weights_are_those_of_the_loaded_model() -> None:
    loader = TinyLoader()
    model, _ = loader.load("cpu")
    expected = sum(p.nbytes for p in model.parameters())
    assert loader.weight_bytes(loader.skeleton()) == expected


def test_compute_follows_the_settings() -> None:
    config = ExperimentConfig.from_file(config_path("smoke"))
    loaders = (TinyLoader(), TinyLoader(noise=0.1))
    found = plan(config, loaders, TEXTS, "cpu")
    generation = attrs.evolve(config.generation, budget_fte=2 * config.generation.budget_fte)
    more = plan(attrs.evolve(config, generation=generation), loaders, TEXTS, "cpu")
    stage = "search and baselines"
    for end in (0, 1):
        assert found.fte[stage][end] < more.fte[stage][end] < 2 * found.fte[stage][end]
    assert more.fte["training"] == found.fte["training"]
    assert found.memory > found.least_memory > sum(found.weights) > 0
    low, high = found.seconds(found.total_fte)
    assert 0 < low < high


def test_ranks_share_the_layers_of_sharded_models() -> None:
    loaders = (TinyLoader(layers=12), TinyLoader(layers=12, noise=0.1))
    config = ExperimentConfig.from_file(config_path("smoke"))
    engine = attrs.evolve(config.training.engine, shard_models=True)
    shards = attrs.evolve(config, training=attrs.evolve(config.training, engine=engine))
    whole = plan(config, loaders, TEXTS, "cpu", ranks=4)
    parts = plan(shards, loaders, TEXTS, "cpu", ranks=4)
    model, _ = loaders[0].load("cpu")
    layers = sum(p.nbytes for p in model.base_model.layers.parameters())
    assert parts.weights[0] == pytest.approx(whole.weights[0] - layers * (3 / 4 - 1 / 12), rel=1e-3)
    assert parts.kept < whole.kept
    assert plan(shards, loaders, TEXTS, "cpu").weights == whole.weights  # one rank has it all


def test_a_loader_that_cannot_say_is_named() -> None:
    class Mute:
        def load(self, device: str) -> tuple[torch.nn.Module, object]:
            raise AssertionError("nothing may be loaded")

    with pytest.raises(PairError, match="model_2: loader Mute cannot say how large"):
        plan(ExperimentConfig(), (TinyLoader(), Mute()), TEXTS, "cpu")


def test_a_conversation_before_a_text_takes_memory_and_time() -> None:
    config = ExperimentConfig.from_file(config_path("smoke"))
    loaders = (TinyLoader(), TinyLoader(noise=0.1))
    before = (Message("system", "word " * 300), Message("assistant", "word " * 300))
    assert 600 < conversation_tokens(Example(id="x", text="x", context=before)) < 1000
    plain = plan(config, loaders, TEXTS, "cpu")
    one = plan(config, loaders, [attrs.evolve(TEXTS[0], context=before), *TEXTS[1:]], "cpu")
    every = plan(config, loaders, [attrs.evolve(e, context=before) for e in TEXTS], "cpu")
    assert plain.kept * 5 < one.kept == every.kept, "the longest text decides"
    for end in (0, 1):
        assert plain.fte["training"][end] < one.fte["training"][end]
    assert plain.fte["training"][0] == every.fte["training"][0], "what all share is read once"
    assert plain.fte["training"][1] < every.fte["training"][1] / 5, "where rows can share it"


@pytest.mark.parametrize("command", [["run", "--dry-run"], ["doctor", "--plan"]])
def test_the_command_line_says_what_stands_before_the_texts(
    command: list[str], tmp_path: Path
) -> None:
    system = {"role": "system", "content": "s"}
    lines = [{"messages": [system, {"role": "user", "content": f"text {n}"}]} for n in range(20)]
    lines += [{"messages": [{"role": "user", "content": f"alone {n}"}]} for n in range(20)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = tmp_path / "c.toml"
    source = f'processors = [{{ name = "chat", data_path = "{tmp_path}/t.jsonl" }}]'
    config.write_text(f'[pair]\nname = "tiny"\n[data]\n{source}\n')
    result = CliRunner().invoke(softdiv, [*command, str(config)])
    assert result.exit_code == 0, result.output
    assert "\n                      20 with a system message\n" in result.output


@pytest.mark.parametrize("organism", ["c.toml", "nowhere"])
def test_an_organism_that_is_none_is_refused_beforehand(
    organism: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[pair]\nname = "tiny"\norganism = "{tmp_path / organism}"\n')
    here = ["--output-dir", str(tmp_path / "out")]
    for arguments in (["run", str(config), "--dry-run"], ["run", str(config), "--quiet", *here]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert f"error: no organism at {tmp_path / organism}" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "--dry-run"], ["doctor", "--plan"]])
def test_the_command_line_loads_nothing(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(TinyLoader, "load", never)
    result = CliRunner().invoke(softdiv, [*command, str(config_path("smoke"))])
    assert result.exit_code == 0, result.output
    for word in ("model_1", "backward pass", "at most", "training", "all stages"):
        assert word in result.output


@pytest.mark.parametrize("command", [["run", "--dry-run"], ["doctor", "--plan"]])
@pytest.mark.parametrize(
    ("room", "message"),
    [
        (500_000, "the run cannot fit into memory: it needs 0.00 GB with one text at a time"),
        (3_000_000, "it needs up to 0.01 GB, 0.00 GB are free on cpu (lower training.batch_size"),
    ],
)
def test_what_does_not_fit_is_refused_with_exit_code_4(
    command: list[str],
    room: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("softdiv.pair.free_memory.free_memory", lambda _: room)
    with pytest.raises(SystemExit) as stopped:
        main([*command, str(config_path("smoke"))])
    assert stopped.value.code == 4
    told = capsys.readouterr()
    assert "all stages" in told.out, "the estimate is shown all the same"
    assert message in told.err


def test_a_gpu_halves_what_does_not_fit_at_once() -> None:
    config = ExperimentConfig.from_file(config_path("smoke"))
    found = plan(config, (TinyLoader(), TinyLoader(noise=0.1)), TEXTS, "cpu")
    assert found.least_memory < found.memory
    between = (found.least_memory + found.memory) // 2
    refuse_too_large(attrs.evolve(found, device="cuda"), between)
    for device, room in (("cpu", between), ("cuda", found.least_memory - 1)):
        with pytest.raises(PairError):
            refuse_too_large(attrs.evolve(found, device=device), room)


def test_free_memory_is_what_the_system_and_its_container_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 10**6 < (free_memory("cpu") or 0) < 10**15
    monkeypatch.setattr("softdiv.pair.free_memory.CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 2000000\n")
    assert free_memory("cpu") == 4_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert (free_memory("cpu") or 0) > 4_000_000


def test_missing_weights_are_refused_beforehand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in TinyLoader().load("cpu"):
        part.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path), str(tmp_path), "--dry-run"])
    assert stopped.value.code == 4
    assert f"{tmp_path} holds no weights" in capsys.readouterr().err
