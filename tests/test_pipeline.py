"""A whole run on tiny models: every file, every stage, and what happens when it goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softdiv import BaseDataProcessor, DivergenceMetrics
from softdiv.config.component import unique_names
from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError, PairError, RunError
from softdiv.pipeline import DivergencePipeline, PipelineResult
from softdiv.plugin.hookspecs import hookimpl, lifecycle_hooks

SMOKE = Path(__file__).parents[1] / "configs" / "smoke.toml"
pytestmark = pytest.mark.filterwarnings(
    # DeepSpeed's own modules; nothing we can change
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning:deepspeed.*",
)


def config(*overrides: str) -> ExperimentConfig:
    return ExperimentConfig.from_file(
        SMOKE,
        [
            "plugins=[]",
            'evaluation.metrics=[{ name = "jsd" }, { name = "lexical_jaccard" }]',
            *overrides,
        ],
    )


def run(folder: Path, *overrides: str, **kwargs: Any) -> PipelineResult:
    return DivergencePipeline(config=config(*overrides), run_dir=folder, **kwargs).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> PipelineResult:
    return run(tmp_path_factory.mktemp("finished") / "run")


def test_every_file_of_a_run_is_there(finished: PipelineResult) -> None:
    names = {path.name for path in finished.run_dir.rglob("*")}
    assert names >= {
        "manifest.json",
        "config.toml",
        "metrics.jsonl",
        "hard_prompts.jsonl",
        "generations.jsonl",
        "best.safetensors",
        "report.html",
        "report.md",
        "report.json",
    }


def test_resolved_config_loads_to_an_equal_config(finished: PipelineResult) -> None:
    again = ExperimentConfig.from_file(finished.run_dir / "config.toml")
    assert again.training == config().training
    assert again.pair.model_1 is not None  # a named pair is written out in full


def test_report_carries_metrics_baselines_and_cost(finished: PipelineResult) -> None:
    evaluation = finished.report.evaluation
    assert [b.searcher for b in evaluation.baselines] == ["empty", "natural_pool", "random_tokens"]
    assert set(evaluation.prompts[0].metrics) == {"jsd", "lexical_jaccard"}
    assert evaluation.prompts[0].metrics["jsd"] == pytest.approx(
        evaluation.prompts[0].divergence_bits.value, abs=1e-6
    )
    ledger = finished.report.ledger
    assert ledger["total"] == sum(v for k, v in ledger.items() if k != "total")


def test_the_report_says_how_closely_each_model_was_measured(finished: PipelineResult) -> None:
    checks = finished.report.pair["self_check"]
    assert list(checks) == ["model_1", "model_2"]
    for line in checks.values():
        assert "nats of the model's own (limit 0.005)" in line
    for name in ("report.html", "report.md", "report.json"):
        text = (finished.run_dir / name).read_text(encoding="utf-8")
        assert "of finite differences" in text, name


def test_identical_models_end_at_once_with_that_verdict(tmp_path: Path) -> None:
    same = '{ loader = "tiny", seed = 0 }'
    result = run(tmp_path / "run", f"pair={{ model_1 = {same}, model_2 = {same} }}")
    evaluation = result.report.evaluation
    assert evaluation.verdict.outcome == "no difference found"
    assert "identical: every weight and every setting" in evaluation.verdict.headline
    (empty,) = (*evaluation.prompts, *evaluation.baselines)
    assert empty.divergence_bits.value == 0.0 and empty.llr.value == 0.0
    assert set(result.report.ledger) <= {"validation", "evaluation", "analysis", "total"}
    assert "the models are identical: nothing was trained or searched" in result.report.warnings
    assert result.report.training["stop_reason"] == "the models are identical"


def test_a_finished_search_is_not_repeated(tmp_path: Path) -> None:
    first = run(tmp_path / "run")
    again = run(tmp_path / "run")
    assert _texts(again) == _texts(first)
    assert again.report.ledger["search"] == first.report.ledger["search"]


def test_a_run_killed_after_training_ends_as_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: PipelineResult
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("softdiv.stages.generate.HardPromptGenerator.search", _killed)
        with pytest.raises(KeyboardInterrupt, match="^interrupted; to continue: softdiv run"):
            run(tmp_path / "run")
    assert _texts(run(tmp_path / "run")) == _texts(finished)


def test_another_config_in_the_same_folder_is_refused(finished: PipelineResult) -> None:
    with pytest.raises(RunError, match="another configuration"):
        run(finished.run_dir, "seed=1")


def test_observers_hear_every_hook_in_order_and_a_failing_one_is_named(tmp_path: Path) -> None:
    heard: list[str] = []

    class Listener:
        pass

    def listen(name: str) -> Any:
        def hook(self: Any, event: Any) -> None:
            heard.append(name)

        hook.__name__ = name
        return hookimpl(hook)

    for name in lifecycle_hooks():
        setattr(Listener, name, listen(name))

    class Faulty:
        @hookimpl
        def softdiv_step_end(self, event: Any) -> None:
            raise ValueError("no such column")

    result = run(tmp_path / "run", observers=[(Faulty(), "'faulty'"), (Listener(), "'listener'")])
    assert list(dict.fromkeys(heard)) == list(lifecycle_hooks())
    assert "observer 'faulty' failed in step_end: ValueError: no such column" in (
        result.report.warnings
    )
    assert "no such column" in (result.run_dir / "events.jsonl").read_text()


def test_an_observer_cannot_change_the_result(tmp_path: Path, finished: PipelineResult) -> None:
    class Meddler:
        @hookimpl
        def softdiv_step_end(self, event: Any) -> None:
            import torch

            torch.manual_seed(event.step)

    assert _texts(run(tmp_path / "run", observers=[(Meddler(), "'meddler'")])) == _texts(finished)


@pytest.mark.parametrize(
    ("override", "kind", "message"),
    [
        ('training.loss="jds"', Exception, "did you mean 'jsd'"),
        ('training.loss={ name = "kl", reverse = "yes" }', ConfigError, "reverse"),
        ('pair={ name = "tinny" }', ConfigError, "did you mean 'tiny'"),
        ('evaluation.metrics=["rank_overlap"]', Exception, "pip install softdiv-rank-overlap"),
        (
            'pair={ model_1={ loader="tiny" }, model_2={ loader="tiny", vocab_size=400 } }',
            PairError,
            "tokenizers differ",
        ),
        (
            'pair={ model_1={ loader="tiny" }, model_2={ loader="hf", path="no/such" } }',
            PairError,
            "no model at 'no/such'",
        ),
    ],
)
def test_user_mistakes_stop_before_any_work(
    tmp_path: Path, override: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        run(tmp_path / "run", override)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_components_used_twice_get_their_own_names() -> None:
    metrics = config('evaluation.metrics=["jsd", "jsd"]').evaluation.metrics
    assert unique_names(metrics) == ["jsd", "jsd-2"]


def _texts(result: PipelineResult) -> list[tuple[str, float]]:
    evaluation = result.report.evaluation
    return [(p.text, p.divergence_bits.value) for p in (*evaluation.prompts, *evaluation.baselines)]


def _killed(*args: Any, **kwargs: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("placement", ["prefix", "system", "user_end"])
@pytest.mark.parametrize("chat", ["true", "false"])
def test_every_placement_runs_to_a_report(tmp_path: Path, placement: str, chat: str) -> None:
    tiny = f'loader = "tiny", seed = 0, chat = {chat}'
    result = run(
        tmp_path / "run",
        f"pair={{ model_1 = {{ {tiny} }}, model_2 = {{ {tiny}, noise = 0.05 }} }}",
        f"training.placement={placement}",
        "training.max_steps=2",
        "generation.budget_fte=2000",
        'generation.baselines=["empty"]',
    )
    assert result.report.evaluation.prompts
    assert not [w for w in result.report.warnings if "failed" in w]


def test_drift_is_measured_whichever_baselines_are_run(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "generation.baselines=[]", "generation.budget_fte=2000")
    assert [b.text for b in result.report.evaluation.baselines] == [""]
    assert result.report.evaluation.verdict.outcome == "broad drift only"


@pytest.mark.parametrize("place", ["a-file", "a-file/inside"])
def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("x")
    with pytest.raises(RunError, match="cannot be made"):
        run(tmp_path / place)


def test_the_result_answers_to_the_documents_keys(finished: PipelineResult) -> None:
    dataset = finished["dataset"]
    best = finished.report.evaluation.prompts[0]
    assert dataset[0].prompt == best.text
    assert {f.prompt for f in dataset} >= {best.text, ""}
    mean = sum(f.metrics["jsd"] for f in best.findings) / len(best.findings)
    assert mean == pytest.approx(best.metrics["jsd"])
    assert finished["report"] is finished.report
    with pytest.raises(KeyError, match="did you mean 'dataset'"):
        finished["datasets"]


class Gap(DivergenceMetrics):
    def compute_gap(self, outputs_1: Any, outputs_2: Any) -> Any:
        return outputs_2.exp().amax(dim=-1) - outputs_1.exp().amax(dim=-1)


class MyTexts(BaseDataProcessor):
    def load_texts(self, data_path: str, **kwargs: Any) -> list[str]:
        return Path(data_path).read_text(encoding="utf-8").splitlines()


def test_a_metric_and_a_source_given_in_python_reach_the_report(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("\n".join(f"Tell me about number {n}." for n in range(60)))
    pipeline = DivergencePipeline(
        config=config("training.max_steps=1", "generation.budget_fte=2000"),
        run_dir=tmp_path / "run",
        metrics=Gap(),
        processors=[MyTexts(data_path=str(tmp_path / "mine.txt"))],
    )
    result = pipeline.run()
    assert {f.example.text[:21] for f in result.dataset} == {"Tell me about number "}
    assert isinstance(result.report.evaluation.prompts[0].metrics["gap"], float)
    assert "gap" in (result.run_dir / "report.html").read_text()
    assert "gap" in pipeline.trainer.compute_all_metrics(["Hello."])
    assert result.report.machine["given_in_python"] == ["Gap", "MyTexts"]
    with pytest.raises(RunError, match="another configuration"):  # it is another run without them
        run(tmp_path / "run", "training.max_steps=1", "generation.budget_fte=2000")


def test_a_run_that_is_read_back_has_a_trainer_with_its_best_prompt(
    finished: PipelineResult,
) -> None:
    again = DivergencePipeline(config=config(), run_dir=finished.run_dir)
    with pytest.raises(RunError, match="call run"):
        again.trainer  # noqa: B018
    assert again.run().dataset == finished.dataset
    bits = again.trainer.validate()
    assert bits == pytest.approx(finished.report.training["best_bits"], abs=1e-6)


def test_every_shipped_analyzer_has_a_section_and_its_numbers_beside_it(tmp_path: Path) -> None:
    names = (
        *("divergence_by_position", "token_disagreements", "semantic_differences"),
        *("clusters", "attention"),
    )
    listed = ", ".join(f'{{ name = "{name}" }}' for name in names)
    result = run(tmp_path / "run", f"analysis.analyzers=[{listed}]")
    sections = result.report.sections
    assert [section.title for section in sections] == [
        *("Divergence patterns", "Token-level disagreements", "Semantic differences"),
        *("Behavioural clusters", "Attention to the prompt"),
    ]
    assert not [section.summary for section in sections if "not available" in section.summary]
    assert result.report.ledger["analysis"] > 0  # attention ran the models once more
    written = {path.name for path in (result.run_dir / "analysis").iterdir()}
    assert {"4-behavioural-clusters.json", "4-behavioural-clusters-1.svg"} <= written
    assert {"5-attention-to-the-prompt-3.svg", "training.json"} <= written
    # clusters see ordinary answers too, not only the best prompt's
    prompts = result.report.evaluation.prompts + result.report.evaluation.baselines
    assert len(sections[3].tables[2].rows) == len({prompt.text for prompt in prompts})


def test_another_deepspeed_file_under_the_same_name_is_another_run(tmp_path: Path) -> None:
    file = tmp_path / "ds.json"
    file.write_text('{"wall_clock_breakdown": false}')
    engine = f'training.engine={{ name="deepspeed", deepspeed_config="{file}" }}'
    run(tmp_path / "run", engine)
    file.write_text('{"wall_clock_breakdown": false, "memory_breakdown": false}')
    with pytest.raises(RunError, match="another configuration"):
        run(tmp_path / "run", engine)


def test_a_template_of_ones_own_and_a_system_prompt(tmp_path: Path) -> None:
    from softdiv.builtin.loaders.tiny import TEMPLATE

    file = tmp_path / "t.jinja"
    file.write_text("Today: {{ strftime_now('%Y') }}\n" + TEMPLATE, encoding="utf-8")
    small = (
        f"pair.chat_template={file}",
        'data.system_prompt="Only French."',
        "training.max_steps=0",
        "generation.searchers=[]",
        'generation.baselines=["empty"]',
        "evaluation.test_texts=2",
    )
    report = run(tmp_path / "run", *small).report
    assert report.pair["chat_template"] == str(file)
    assert report.pair["answers_end_with"] == [{"text": "<|im_end|>", "id": 1}]
    assert [w for w in report.warnings if "writes the date: in every run it is 2024-07-26" in w]
    assert not run(tmp_path / "run", *small).report.evaluation.prompts  # read back
    file.write_text(TEMPLATE, encoding="utf-8")
    with pytest.raises(RunError, match="another configuration.*chat_template"):
        run(tmp_path / "run", *small)
    file.unlink()
    with pytest.raises(ConfigError, match=r"pair\.chat_template: .*No such file"):
        run(tmp_path / "other", *small)


def test_a_run_does_not_go_on_with_another_template(tmp_path: Path) -> None:
    from softdiv.builtin.loaders.tiny import TEMPLATE

    file = tmp_path / "t.jinja"
    file.write_text(TEMPLATE, encoding="utf-8")
    small = (
        f"pair.chat_template={file}",
        "training.max_steps=1",
        "generation.searchers=[]",
        'generation.baselines=["empty"]',
        "evaluation.test_texts=2",
    )
    folder = tmp_path / "run"
    DivergencePipeline(config=config(*small), run_dir=folder).run_stage("train")
    file.write_text("!" + TEMPLATE, encoding="utf-8")
    with pytest.raises(RunError, match="not the one that .* began with"):
        DivergencePipeline.of_run(folder).run_stage("generate")
    DivergencePipeline.of_run(folder, force=True).run_stage("train")
    DivergencePipeline.of_run(folder).run_stage("generate")
