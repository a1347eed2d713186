"""Every block of docs/soft_prompting_usage.md, run verbatim: on tiny models, and on SmolLM2 (slow).

A block runs in a folder that holds configs/ and scripts/, with the variables it names supplied.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

import softdiv
from softdiv.config.schema import PairConfig
from softdiv.data.assemble import assemble_examples
from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import split_examples

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "soft_prompting_usage.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning:deepspeed.*"
    ),
    pytest.mark.timeout(1200),
]

# the pair, and numbers small enough for a test; every other setting is the default
SMALL = """
num_threads: 1
output_dir: outputs/runs
pair: {name: PAIR}
data: {categories: [persona, ethics]}
training: {num_epochs: 2, max_steps: 2, batch_size: 2, response_tokens: 4, validation_texts: 2}
generation:
  max_length: 8
  budget_fte: 1500
  num_prompts: 2
  searchers: [{name: soft_answers, words: 3, answer_tokens: 4}]
  baselines: [empty]
evaluation: {test_texts: 4, response_tokens: 4, bootstrap_resamples: 100}
"""


def block(language: str, containing: str) -> str:
    """The one block of this language that holds these words."""
    (found,) = [text for kind, text in BLOCKS if kind == language and containing in text]
    return found


@attrs.frozen
class World:
    """A folder as the document assumes it, and the objects of its first example."""

    folder: Path
    names: dict[str, Any]

    def run(self, containing: str, **variables: Any) -> dict[str, Any]:
        names = {**self.names, **variables}
        exec(block("python", containing), names)
        return names


PAIRS = ["tiny", pytest.param("smollm2-vs-seafarer", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=PAIRS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The first Python block of the document has been run here."""
    folder = tmp_path_factory.mktemp("document")
    (folder / "configs").mkdir()
    for name in ("experiment", "eval"):
        config = SMALL.replace("PAIR", request.param)
        (folder / "configs" / f"{name}.yaml").write_text(config)
    (folder / "scripts").symlink_to(ROOT / "scripts")
    names = {name: getattr(softdiv, name) for name in softdiv.__all__}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(block("python", "# Load configuration"), names)
    return World(folder, names)


@pytest.fixture(autouse=True)
def in_the_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "world" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("world").folder)


def shell(world: World, containing: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", block("bash", containing)],
        capture_output=True,
        text=True,
        cwd=world.folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        check=False,
    )


def test_basic_training_flow(world: World) -> None:
    results, report = world.names["results"], world.names["report"]
    assert {finding.prompt for finding in results["dataset"]} == set(report.prompts)
    assert all("jsd" in values for values in report.prompts.values())
    assert not [s for s in report.sections if "not available: analyzer" in s.summary]
    written = Path("outputs/runs/analysis.md").read_text()
    assert all(section.title in written.replace("\\", "") for section in report.sections)
    # the four outputs of "Analyzing Results"
    assert (results["run_dir"] / "checkpoints" / "best.safetensors").is_file()
    assert (results["run_dir"] / "hard_prompts.jsonl").is_file()
    assert (results["run_dir"] / "report.html").is_file()


def test_scripts_in_a_row(world: World) -> None:
    trained = shell(world, "train_divergence_soft_prompts.py")
    assert trained.returncode == 0, trained.stderr
    assert Path("outputs/experiment1/checkpoints/best.safetensors").is_file()
    generated = shell(world, "generate_hard_prompts.py")
    assert generated.returncode == 0, generated.stderr
    assert generated.stderr.count("never pickles") == 1  # of checkpoints/*.pt
    evaluated = shell(world, "evaluate_hard_prompts.py")
    assert evaluated.returncode == 0, evaluated.stderr
    assert evaluated.stderr.count("never pickles") == 1  # of prompts.pt
    assert Path("outputs/evaluation/report.html").is_file()
    assert "outputs/evaluation/report.html" in evaluated.stdout


def test_configuration(world: World) -> None:
    pair = world.names["config"].pair.name
    Path("doc.yaml").write_text(
        block("yaml", "# Training settings") + f"\npair: {{name: {pair}}}\n"
    )
    config = softdiv.ExperimentConfig.from_yaml("doc.yaml")
    assert (config.training.learning_rate, config.training.mixed_precision) == (1e-4, True)
    assert type(config.training.learning_rate) is float
    assert (config.data.categories, config.data.max_texts_per_category) == (
        ("persona", "ethics"),
        1000,
    )
    assert config.num_epochs == config.training.num_epochs == 10
    short = config.with_overrides(
        "training.max_steps=1",
        "generation.max_length=8",
        "generation.budget_fte=1500",
        'generation.searchers=[{ name = "soft_answers", words = 2, answer_tokens = 4 }]',
        'generation.baselines=["empty"]',
        "evaluation.test_texts=2",
        "evaluation.response_tokens=4",
    )
    result = softdiv.DivergencePipeline(config=short, run_dir=Path("outputs/doc")).run()
    assert {f.example.category for f in result.dataset} <= {"persona", "ethics"}


def test_shipped_configs_say_what_the_document_says(tmp_path: Path) -> None:
    (tmp_path / "doc.yaml").write_text(block("yaml", "# Training settings"))
    document = softdiv.ExperimentConfig.from_yaml(tmp_path / "doc.yaml")
    shipped = softdiv.ExperimentConfig.from_yaml(ROOT / "configs" / "experiment.yaml")
    assert (shipped.generation, shipped.data) == (document.generation, document.data)
    # the rate is the one departure: the document's suits thousands of steps
    assert attrs.evolve(shipped.training, learning_rate=1e-4) == document.training
    evaluated = softdiv.ExperimentConfig.from_yaml(ROOT / "configs" / "eval.yaml")
    assert evaluated.pair == shipped.pair
    assert evaluated.pair.name and softdiv.ModelRegistry.load().pair(evaluated.pair.name)


def test_adding_a_model(world: World) -> None:
    from softdiv.builtin.loaders.tiny import TinyLoader

    Path("model_registry.yaml").write_text(block("yaml", "new-model-name"))
    for name, noise in (("base-model-name", 0.0), ("new-model-name", 0.1)):
        model, tokenizer = TinyLoader(noise=noise).load("cpu")
        model.save_pretrained(name)
        tokenizer.save_pretrained(name)
    entry = softdiv.ModelRegistry.load().pair("new-model-name")
    assert entry.model_1 and entry.model_1.options["path"] == "base-model-name"
    pair = softdiv.ModelPairManager(PairConfig(name="new-model-name")).load()
    assert not pair.report.identical
    assert softdiv.ModelRegistry.load().pair("tiny")  # the shipped ones are still there


def test_adding_a_metric(world: World) -> None:
    made = world.run("def compute_new_metric", metric_value=0.25)

    class Extended(softdiv.DivergenceMetrics):
        compute_new_metric = made["compute_new_metric"]

    trainer = softdiv.DivergenceTrainer(
        model_1=world.names["pipeline"].trainer.pair.model_1,
        model_2=world.names["pipeline"].trainer.pair.model_2,
        config=world.names["config"],
        metrics=Extended(),
    )
    assert trainer.compute_all_metrics(["Hello."])["new_metric"] == 0.25


def test_custom_data_processing(world: World) -> None:
    texts = [f"Tell me about number {n}." for n in range(20)]
    made = world.run("class CustomProcessor", texts=texts)
    processor = made["CustomProcessor"](data_path="anything")
    found = assemble_examples([processor], softdiv.ExperimentConfig().data, lambda note: None)
    assert [example.text for example in found] == texts
    assert split_examples(found, val_fraction=0.2, test_fraction=0.3).train


def test_debugging_tools(world: World) -> None:
    trainer = world.names["pipeline"].trainer
    world.run("log_metrics(metrics, step)", trainer=trainer, metrics={"jsd": 0.5}, step=3)
    assert trainer.history[-1] == {"step": 3, "jsd": 0.5}
    made = world.run("generate_examples", trainer=trainer, prompts=["Who are you?", "Why?"])
    assert [e.text for e in made["examples"]] == ["Who are you?", "Why?"] * 2 + ["Who are you?"]


def test_attention(world: World) -> None:
    pair = world.names["pipeline"].trainer.pair
    ids = pair.tokenizer("Tell me about the sea.")["input_ids"]
    outputs = {"model_1": pair.model_1.attentions(ids), "model_2": pair.model_2.attentions(ids)}
    world.run("visualize_attention_patterns", model_outputs=outputs)
    assert Path("attention.png").read_bytes().startswith(b"\x89PNG")
    assert Path("attention.json").is_file()


def test_custom_training_loop(world: World) -> None:
    from torch.utils.data import DataLoader

    pair = world.names["pipeline"].trainer.pair
    texts = [text for _, text, _ in user_texts()[:4]]
    made = world.run(
        "for epoch in range(config.num_epochs)",
        model_1=pair.model_1,
        model_2=pair.model_2,
        dataloader=DataLoader(texts, batch_size=2),
    )
    trainer = made["trainer"]
    assert (
        trainer.parts.progress.steps == trainer.engine.state_dict()["steps"] == 4
    )  # 2 epochs of 2 batches
    assert [entry["step"] for entry in trainer.history] == [0, 1, 2, 3]
    assert set(made["metrics"]) >= {"divergence", "jsd"}
    assert float(made["loss"]) < 0


def test_ensemble_generation(world: World) -> None:
    pair = world.names["pipeline"].trainer.pair
    checkpoint = world.names["results"]["run_dir"] / "checkpoints" / "best.safetensors"
    made = world.run(
        "generator.batch_generate",
        model_1=pair.model_1.model,
        model_2=pair.model_2.model,
        tokenizer=pair.tokenizer,
        checkpoints=[checkpoint],
        texts=[text for _, text, _ in user_texts()[:6]],
    )
    assert all(isinstance(p, softdiv.HardPrompt) for p in made["prompts"])
    assert all((p.validation_bits or 0) >= 0.1 for p in made["prompts"])


def test_custom_analysis(world: World) -> None:
    dataset = world.names["results"]["dataset"]
    made = world.run(
        "analyze_divergence_patterns",
        metrics=world.names["pipeline"].trainer.metrics,
        dataset=dataset,
    )
    patterns = made["patterns"]
    assert (patterns.method, 1 <= len(patterns.clusters) <= 5) == ("kmeans", True)
    assert sum(len(c.members) for c in patterns.clusters) == len(patterns.findings) > 5


def test_testing_commands(tmp_path: Path) -> None:
    """Collected only, and one folder of it: the suite within itself would never end."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "integration").symlink_to(ROOT / "tests" / "integration")
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    commands = block("bash", "coverage run").strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", f"{command} --collect-only -q"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:]
        assert "tests/integration/test_scripts.py" in done.stdout.replace("\\", "/")


def test_every_block_is_run_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    unused = [
        text
        for kind, text in BLOCKS
        if not any(words in text for language, words in _wanted(source) if language == kind)
    ]
    assert len(BLOCKS) == 15
    assert not unused


def _wanted(source: str) -> list[tuple[str, str]]:
    """(language, words) of every block this file asks for."""
    direct = re.findall(r'block\("(\w+)", "([^"]+)"\)', source)
    by_run = [("python", words) for words in re.findall(r'world\.run\(\s*"([^"]+)"', source)]
    by_shell = [("bash", words) for words in re.findall(r'shell\(world, "([^"]+)"\)', source)]
    return [*direct, *by_run, *by_shell]
