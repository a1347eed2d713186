from __future__ import annotations

import pytest
import torch
from tiny_training import config

from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError, TrainingError
from softdiv.pair.layout import Layout
from softdiv.training.soft_prompt import DivergenceSoftPrompt, clip_rows


def make(pair, seed=0, **training):
    layout = Layout(pair.tokenizer)
    return DivergenceSoftPrompt.create(pair.model_1, layout, config(**training).training, seed)


def test_vocabulary_rows_are_ordinary_and_follow_the_seed(pair):
    table = pair.model_1.embedding_table
    first, again, other = make(pair, 1), make(pair, 1), make(pair, 2)
    assert torch.equal(first.embeddings, again.embeddings)
    assert not torch.equal(first.embeddings, other.embeddings)
    wide = make(pair, num_soft_prompt_tokens=400)
    distance = torch.cdist(wide.embeddings.detach(), table)
    assert distance.min(dim=1).values.max() < 1e-3
    assert not set(distance.argmin(dim=1).tolist()) & set(pair.tokenizer.all_special_ids)


def test_text_is_tiled_to_k(pair):
    ids = Layout(pair.tokenizer).encode("ab")
    prompt = make(pair, init="text", init_text="ab", num_soft_prompt_tokens=5)
    wanted = [ids[i % len(ids)] for i in range(5)]
    assert torch.equal(prompt.embeddings, pair.model_1.embedding_table[wanted])


def test_init_text_missing(pair):
    with pytest.raises(ConfigError, match="init_text"):
        make(pair, init="text")


def test_what_a_prompt_starts_from_is_missed_before_a_model_is_loaded():
    for init, missing in (("text", "init_text"), ("prompt", "init_prompt")):
        table = {"pair": {"name": "tiny"}, "training": {"init": init}}
        with pytest.raises(ConfigError, match=f"training.{missing}: needed"):
            Prepared.of(ExperimentConfig.from_dict(table))


def test_round_trip_and_init_from_file(pair, tmp_path):
    prompt = make(pair, 5)
    prompt.save(tmp_path / "p.safetensors")
    loaded = DivergenceSoftPrompt.load(tmp_path / "p.safetensors")
    assert torch.equal(loaded.embeddings, prompt.embeddings)
    assert loaded.metadata["placement"] == "user_start"
    assert loaded.norm_ratio() == prompt.norm_ratio()
    path = str(tmp_path / "p.safetensors")
    assert torch.equal(make(pair, init="prompt", init_prompt=path).embeddings, prompt.embeddings)
    with pytest.raises(TrainingError, match="shape"):
        make(pair, init="prompt", init_prompt=path, num_soft_prompt_tokens=9)


def test_projection_shortens_only_long_rows(pair):
    prompt = make(pair)
    with torch.no_grad():
        prompt.embeddings[0] *= 50
    before = prompt.embeddings.detach().clone()
    prompt = prompt.copy_of(clip_rows(prompt.embeddings, 2.0 * prompt.mean_norm))
    assert prompt.norm_ratio() == pytest.approx(2.0, rel=1e-5)
    assert torch.equal(prompt.embeddings[1:], before[1:])
    assert torch.cosine_similarity(prompt.embeddings[0], before[0], dim=0) > 0.9999
