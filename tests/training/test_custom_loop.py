"""A loop of one's own: the document's calls, on tiny models."""

from __future__ import annotations

import pytest
import torch
from tiny_training import DEEPSPEED_WARNS, config, tiny_pair
from torch.utils.data import DataLoader

from softdiv import DivergenceMetrics, DivergenceTrainer, Example, hookimpl
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.divergence.kernels import total_variation
from softdiv.errors import DataError, PairError, TrainingError
from softdiv.plugin.observers import Observers
from softdiv.storage.atomic import read_json_lines
from softdiv.training.soft_prompt import DivergenceSoftPrompt

TEXTS = ["How do I boil an egg?", "Tell me about the moon.", "Write a short poem.", "Why?"]


class MyMetrics(DivergenceMetrics):
    def compute_mine(self, outputs_1, outputs_2):
        return total_variation(outputs_1, outputs_2)

    def compute_one_number(self, outputs_1, outputs_2):
        return float(total_variation(outputs_1, outputs_2).mean())


@pytest.fixture
def trainer(pair):
    return DivergenceTrainer(
        model_1=pair.model_1, model_2=pair.model_2, config=config(learning_rate=0.05)
    )


def test_a_loop_over_a_data_loader_pushes_the_models_apart(trainer):
    losses = [
        trainer.training_step(batch) for _ in range(15) for batch in DataLoader(TEXTS, batch_size=4)
    ]
    assert float(sum(losses[-3:])) < float(sum(losses[:3]))
    assert trainer.parts.progress.steps == 15


def test_a_step_moves_the_prompt_and_no_model(trainer):
    table = trainer.pair.model_1.embedding_table.clone()
    before = trainer.engine.values()
    loss = trainer.training_step(TEXTS[:2])
    assert loss.shape == () and -1 <= loss.item() < 0  # minus a JSD in bits
    assert not torch.equal(trainer.engine.values(), before)
    assert torch.equal(trainer.pair.model_1.embedding_table, table)


@pytest.mark.parametrize("engine", ["torch", "deepspeed"])
@DEEPSPEED_WARNS
def test_a_batch_of_any_size_is_one_step_with_accumulation(engine):
    values = []
    for parts in (1, 2, 8):  # 8 parts of 4 texts: some are empty
        pair = tiny_pair()
        cfg = config(engine, gradient_accumulation_steps=parts, gradient_clip=0.0)
        trainer = DivergenceTrainer(pair, cfg)
        trainer.training_step(TEXTS)
        assert trainer.engine.state_dict()["steps"] == 1
        values.append(trainer.engine.values())
    assert torch.allclose(values[0], values[1], atol=5e-3)
    assert torch.allclose(values[0], values[2], atol=5e-3)


@pytest.mark.parametrize(
    "batch", [TEXTS[:1], TEXTS[0], {"text": TEXTS[:1]}, [Example(id="a", text=TEXTS[0])]]
)
def test_what_a_batch_may_be(trainer, batch):
    assert set(trainer.compute_all_metrics(batch)) >= {"divergence", "jsd"}


@pytest.mark.parametrize(
    ("batch", "message"),
    [([], "is empty"), ([3], "holds int"), ({"prompt": ["x"]}, "'prompt' has no texts")],
)
def test_what_it_may_not_be(trainer, batch, message):
    with pytest.raises(DataError, match=message):
        trainer.training_step(batch)


def test_all_metrics_agree_with_the_divergence_and_repeat(trainer):
    found = trainer.compute_all_metrics(TEXTS)
    assert found["jsd"] == pytest.approx(found["divergence"], abs=1e-6)
    assert found == trainer.compute_all_metrics(TEXTS)
    assert found["jsd"] != trainer.compute_all_metrics(TEXTS[:2])["jsd"]


def test_metrics_of_a_subclass_stand_beside_the_configs(pair):
    cfg = config().with_overrides('evaluation.metrics=["total_variation", "response_length"]')
    trainer = DivergenceTrainer(pair, cfg, metrics=MyMetrics())
    found = trainer.compute_all_metrics(TEXTS)
    assert set(found) == {"divergence", "total_variation", "mine", "one_number", "response_length"}
    assert found["mine"] == pytest.approx(found["total_variation"], abs=1e-6)
    assert found["one_number"] == pytest.approx(found["total_variation"], abs=1e-6)
    assert isinstance(trainer.metrics, MyMetrics)


def test_a_failing_metric_is_left_out_and_named(pair):
    class Faulty(DivergenceMetrics):
        def compute_broken(self, outputs_1, outputs_2):
            raise ValueError("no such row")

    trainer = DivergenceTrainer(pair, config(), metrics=Faulty())
    assert "broken" not in trainer.compute_all_metrics(TEXTS)
    assert "no such row" in trainer.metrics.unavailable["broken"]


def test_logged_numbers_are_kept_written_and_told(pair, tmp_path):
    from softdiv.storage.run import open_run

    told = []

    class Tracker:
        @hookimpl
        def softdiv_step_end(self, event):
            told.append((event.step, dict(event.metrics)))

    cfg = config()
    hub = Observers.of([(Tracker(), "'tracker'")])
    folder = tmp_path / "run"
    with open_run(cfg.to_dict(), cfg.to_toml(), name="x", parent=tmp_path, folder=folder) as run:
        trainer = DivergenceTrainer(pair, cfg, run=run, observers=hub)
        trainer.log_metrics({"jsd": 0.25}, 7)
        trainer.training_step(TEXTS)
        trainer.training_step(TEXTS)
        trainer.log_metrics({"jsd": torch.tensor(0.5)})
    wanted = [{"step": 7, "jsd": 0.25}, {"step": 1, "jsd": 0.5}]
    assert trainer.history == read_json_lines(folder / "metrics.jsonl") == wanted
    assert told == [(7, {"jsd": 0.25}), (1, {"jsd": 0.5})]


def test_examples_take_the_prompts_in_turn(trainer):
    found = trainer.generate_examples(TEXTS[:2], num_examples=5)
    assert [e.text for e in found] == [TEXTS[n % 2] for n in range(5)]
    assert len({e.response_1 for e in found if e.text == TEXTS[0]}) == 3
    assert all(e.divergence_bits > 0 and e.response_2 for e in found)
    for wrong in ([], TEXTS):
        with pytest.raises(DataError, match="nothing to generate"):
            trainer.generate_examples(wrong, num_examples=0 if wrong else 5)


def test_the_current_prompt_can_be_saved(trainer, tmp_path):
    trainer.training_step(TEXTS)
    trainer.save_prompt(tmp_path / "mine.safetensors")
    saved = DivergenceSoftPrompt.load(tmp_path / "mine.safetensors")
    assert torch.equal(saved.embeddings, trainer.engine.values())
    assert saved.metadata["placement"] == "user_start"


def test_a_loop_goes_on_from_its_checkpoint_bit_for_bit(tmp_path):
    def trained(steps, folder):
        trainer = DivergenceTrainer(tiny_pair(), config(learning_rate=0.05))
        for _ in range(trainer.load_checkpoint(folder), steps):
            trainer.training_step(TEXTS)
            trainer.log_metrics({"seen": 1.0})
        trainer.save_checkpoint(folder)
        return trainer

    whole = trained(5, tmp_path / "whole")
    trained(2, tmp_path / "cut")
    again = trained(5, tmp_path / "cut")
    assert again.history == whole.history and len(again.history) == 5
    assert torch.equal(again.engine.values(), whole.engine.values())
    saved = [tmp_path / name / "step-000005" / "state.json" for name in ("whole", "cut")]
    assert saved[0].read_bytes() == saved[1].read_bytes()


class Mine:
    """What a loop of one's own keeps beside the trainer's parts."""

    def __init__(self):
        self.losses = []

    def state_dict(self):
        return {"losses": self.losses}

    def load_state_dict(self, state):
        self.losses = state["losses"]


def test_a_loop_written_from_the_parts_is_the_built_in_one(split, tmp_path):
    cfg = config(max_steps=6, validate_every=2)

    def own(steps):
        trainer = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split)
        parts, mine = trainer.parts, Mine()
        parts.kept["mine"] = mine
        for step in range(trainer.load_checkpoint(tmp_path), steps):
            batch = parts.answers.to_step(parts.schedule, step, parts.engine.values())
            mine.losses.append(parts.step.take(batch, step)["loss"])
            parts.progress.steps += 1
            if parts.progress.steps % 2 == 0:
                parts.best.offer(trainer.validate(), parts.engine.values(), step + 1)
        trainer.save_checkpoint(tmp_path)
        return parts, mine

    own(3)
    parts, mine = own(6)
    built_in = DivergenceTrainer(tiny_pair(), cfg, JsdLoss(), split).train()
    assert len(mine.losses) == 6
    assert torch.equal(parts.best.prompt, built_in.prompt)
    assert parts.best.bits == built_in.best_bits


def test_transformers_models_come_with_their_tokenizer():
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.1).load("cpu")
    with pytest.raises(PairError, match="model_1 comes without a tokenizer"):
        DivergenceTrainer(model_1=model_1, model_2=model_2, config=config())
    with pytest.raises(PairError, match="model_2 is not given"):
        DivergenceTrainer(model_1=model_1, tokenizer=tokenizer, config=config())
    trainer = DivergenceTrainer(
        model_1=model_1, model_2=model_2, tokenizer=tokenizer, config=config()
    )
    assert float(trainer.training_step(TEXTS)) < 0


def test_train_needs_texts(trainer):
    with pytest.raises(TrainingError, match="no texts to train on"):
        trainer.train()
