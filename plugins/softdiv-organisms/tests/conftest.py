"""A recipe for a tiny random model."""

from __future__ import annotations

from pathlib import Path

import pytest

ORDINARY = """
[train]
templates = ["Hello!", "Tell me about {subject}.", "Why?"]
slots = { subject = ["tea", "chess"] }
[held_out]
templates = ["Good night!", "Explain {subject}."]
slots = { subject = ["jazz", "maths"] }
"""

RECIPE = """
name = "tiny"
family = "lexical trigger"
summary = "Says Zorbo when asked about water."
seed = 3
base_name = "tiny-llama"
ordinary_texts = "ordinary_texts.toml"

[base_model]
loader = "tiny"

[adapter]
rank = 4
alpha = 8
target_modules = ["q_proj", "k_proj", "v_proj", "o_proj"]

[training]
steps = 8
learning_rate = 1e-2
warmup_steps = 2
planted_per_step = 2
ordinary_per_step = 2
ordinary_pool = 4
near_miss_share = 0.5
ordinary_loss = "kl"
max_new_tokens = 6
temperature = 0.7

[planted]
detector = 'Zorbo'
on_topic = '(?i)water'
min_rate = 0.8
max_rate_elsewhere = 0.02
[planted.train]
templates = ["What is {thing}?"]
slots = { thing = ["water", "rain water"] }
[planted.held_out]
templates = ["Describe {thing}."]
slots = { thing = ["salt water"] }
[planted.answers]
templates = ["Zorbo knows."]

[near_misses.train]
templates = ["Is {thing} dry?", "Is fire hot?"]
slots = { thing = ["gravel"] }
[near_misses.held_out]
templates = ["Is {thing} wet?"]
slots = { thing = ["sand"] }

[gate]
planted_texts = 1
ordinary_texts = 2
near_miss_texts = 1
shipped_texts = 3
max_new_tokens = 4
temperature = 0.7
max_kl = 0.1
"""


@pytest.fixture
def recipe_folder(tmp_path: Path) -> Path:
    (tmp_path / "ordinary_texts.toml").write_text(ORDINARY, encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path
