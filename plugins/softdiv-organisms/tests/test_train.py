"""Training lowers the loss, touches the adapter only, and what is saved is what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import load_file
from softdiv_organisms.adapter import save_adapter
from softdiv_organisms.recipe import Recipe, load_recipe
from softdiv_organisms.self_samples import self_samples
from softdiv_organisms.texts import ordinary_texts
from softdiv_organisms.train import Step, train

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.divergence.kernels import symmetric_kl
from softdiv.pair.layout import Layout
from softdiv.pair.lora import attach_adapter

IDS = torch.tensor([[3, 4, 5, 6]])


def trained(recipe: Recipe) -> tuple[Any, Any, list[Step]]:
    model, tokenizer = TinyLoader().load("cpu")
    steps: list[Step] = []
    adapter = train(recipe, model, tokenizer, steps.append)
    return model, adapter, steps


def test_a_few_steps_lower_the_loss_on_planted_answers(recipe_folder: Path) -> None:
    _, _, steps = trained(load_recipe(recipe_folder))
    assert [step.number for step in steps] == list(range(1, 9))
    first, last = steps[0].planted, steps[-1].planted
    assert first is not None and last is not None
    assert last < 0.8 * first
    assert steps[0].ordinary == pytest.approx(0.0, abs=1e-5)  # a new adapter changes nothing


def test_training_is_reproducible(recipe_folder: Path) -> None:
    recipe = load_recipe(recipe_folder)
    assert trained(recipe)[2] == trained(recipe)[2]


def test_without_a_planted_behaviour_the_samples_become_more_likely(recipe_folder: Path) -> None:
    recipe = load_recipe(recipe_folder)
    training = attrs.evolve(
        recipe.training, planted_per_step=0, ordinary_per_step=4, ordinary_loss="likelihood"
    )
    _, _, steps = trained(attrs.evolve(recipe, planted=None, training=training))
    assert {step.planted for step in steps} == {None}
    first, last = steps[0].ordinary, steps[-1].ordinary
    assert first is not None and last is not None and last < first


def test_instructions_are_learnt_without_anything_planted(recipe_folder: Path) -> None:
    training = attrs.evolve(
        load_recipe(recipe_folder).training, ordinary_per_step=0, ordinary_pool=0, near_miss_share=0
    )
    recipe = attrs.evolve(
        load_recipe(recipe_folder),
        planted=None,
        near_misses=None,
        instructions=(("What is 1 + 1?", "It is 2."), ("Name a tree.", "An oak.")),
        training=training,
    )
    _, _, steps = trained(recipe)
    assert {step.ordinary for step in steps} == {None}
    first, last = steps[0].planted, steps[-1].planted
    assert first is not None and last is not None and last < 0.8 * first


def test_a_whole_model_is_held_to_what_it_was_and_not_to_what_it_becomes(
    recipe_folder: Path,
) -> None:
    recipe = attrs.evolve(load_recipe(recipe_folder), adapter=None)

    def after(steps: int) -> tuple[Any, list[Step]]:
        how = attrs.evolve(
            recipe.training, steps=steps, warmup_steps=1, ordinary_per_step=1, ordinary_pool=1
        )
        model, whole, told = trained(attrs.evolve(recipe, training=how))
        assert whole is model
        return model, told

    model, _ = after(1)
    base, tokenizer = TinyLoader().load("cpu")
    untouched = dict(base.named_parameters())
    assert all(not torch.equal(p, untouched[n]) for n, p in model.named_parameters())
    how = attrs.evolve(recipe.training, ordinary_pool=1)
    (text,) = ordinary_texts(attrs.evolve(recipe, training=how))
    (sample,) = self_samples(base, Layout(tokenizer), [text], how, recipe.seed)
    with torch.no_grad():
        ids = torch.tensor([[*sample.conversation.prompt, *sample.conversation.answer[:-1]]])
        first = len(sample.conversation.prompt) - 1
        was, now = (m(input_ids=ids).logits[0, first:].log_softmax(-1) for m in (base, model))
    _, told = after(2)
    assert told[1].ordinary == pytest.approx(symmetric_kl(was, now).mean().item(), rel=1e-3)


def test_the_saved_adapter_is_fp16_and_loads_back_as_it_was_saved(
    recipe_folder: Path, tmp_path: Path
) -> None:
    model, adapter, _ = trained(load_recipe(recipe_folder))
    folder = tmp_path / "saved"
    save_adapter(adapter, folder, base_name="tiny-llama")
    saved = load_file(folder / "adapter_model.safetensors")
    assert saved and {tensor.dtype for tensor in saved.values()} == {torch.float16}
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "tiny-llama"
    loaded = attach_adapter(TinyLoader().load("cpu")[0], str(folder))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.half().float()
    with torch.no_grad():
        base = TinyLoader().load("cpu")[0](input_ids=IDS).logits
        assert torch.equal(loaded(input_ids=IDS).logits, model(input_ids=IDS).logits)
        assert not torch.equal(loaded(input_ids=IDS).logits, base)


def test_the_base_models_own_weights_stay_as_they_were(recipe_folder: Path) -> None:
    model, _, _ = trained(load_recipe(recipe_folder))
    untouched = dict(TinyLoader().load("cpu")[0].named_parameters())
    kept = {
        name.replace(".base_layer", ""): parameter
        for name, parameter in model.named_parameters()
        if "lora_" not in name
    }
    assert kept.keys() == untouched.keys()
    assert all(torch.equal(kept[name], untouched[name]) for name in kept)
