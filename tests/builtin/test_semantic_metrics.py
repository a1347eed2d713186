"""Semantic metrics: the arithmetic on hand-made vectors, the meaning on the packaged model."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from softdiv import ConfigError, Example, PluginManager, ResponsePair
from softdiv.builtin import embedding, semantic_metrics
from softdiv.builtin.embedding import embed, located
from softdiv.builtin.semantic_metrics import SelfConsistency, SemanticDistance, SemanticExcess

ANGLES = {"east": 0.0, "north": 90.0, "west": 180.0, "northeast": 45.0, "60": 60.0}
packaged = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def pair(first: str, second: str, again_1: str = "", again_2: str = "") -> ResponsePair:
    return ResponsePair(
        example=Example(id="a", text="Hi"),
        prompt="",
        response_1=first,
        response_2=second,
        again_1=(again_1,) if again_1 else (),
        again_2=(again_2,) if again_2 else (),
    )


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts are directions in a plane; returns every text that was embedded."""
    seen: list[str] = []

    def directions(texts: Sequence[str], model: str, revision: str | None) -> Any:
        seen.extend(texts)
        radians = [math.radians(ANGLES[text]) for text in texts]
        return np.array([[math.cos(r), math.sin(r)] for r in radians], dtype=np.float32)

    monkeypatch.setattr(semantic_metrics, "embed", directions)
    return seen


def test_distance_is_one_minus_cosine(plane: list[str]) -> None:
    pairs = [pair("east", "north"), pair("east", "west"), pair("east", "60"), pair("west", "west")]
    assert SemanticDistance()(pairs) == pytest.approx([1.0, 2.0, 0.5, 0.0], abs=1e-6)
    assert sorted(plane) == sorted(set(plane))  # each distinct text once


def test_an_empty_answer_is_far_from_text_and_equal_to_another(plane: list[str]) -> None:
    assert SemanticDistance()([pair("", "north"), pair(" ", ""), pair("east", "east")]) == [1, 0, 0]
    assert SemanticDistance()([pair("", "")]) == [0.0]
    assert SemanticDistance()([]) == []


def test_self_consistency_averages_both_models(plane: list[str]) -> None:
    varied = pair("east", "north", again_1="west", again_2="north")
    assert SelfConsistency()([varied]) == pytest.approx([(2 + 0) / 2])


def test_excess_is_what_lies_between_models_beyond_within(plane: list[str]) -> None:
    # across: E-N 1, E-60 .5, W-N 1, W-60 1.5 -> 1; within: E-W 2, N-60 1 - cos 30
    mixed = pair("east", "north", again_1="west", again_2="60")
    assert SemanticExcess()([mixed]) == pytest.approx(
        [1 - (2 + 1 - math.cos(math.radians(30))) / 2], abs=1e-6
    )


def test_excess_of_models_that_answer_alike_averages_to_zero(plane: list[str]) -> None:
    answers = list(ANGLES)
    generator = np.random.default_rng(0)
    pairs = [pair(*(str(a) for a in generator.choice(answers, 4))) for _ in range(2000)]
    excess, distance = SemanticExcess()(pairs), SemanticDistance()(pairs)
    assert np.mean(distance) > 0.4  # the plain distance calls equal models different
    assert abs(np.mean(excess)) < 4 * np.std(excess) / math.sqrt(len(excess))


@pytest.mark.parametrize("metric", [SelfConsistency(), SemanticExcess()])
def test_missing_resamples_are_an_error_not_a_zero(metric: Any) -> None:
    assert metric.resamples == 1
    with pytest.raises(ValueError, match="not sampled a second time"):
        metric([pair("east", "north")])


@packaged
def test_the_packaged_model_knows_meaning_from_words() -> None:
    near, far = SemanticDistance()(
        [
            pair("You should see a doctor.", "Please consult a physician."),
            pair("You should see a doctor.", "You should see a movie."),
        ]
    )
    assert near < 0.4 < far


@packaged
def test_loading_the_model_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    embedding._encoder.cache_clear()
    embed(["a boat"])
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@packaged
def test_embeddings_are_unit_vectors_in_the_order_given() -> None:
    texts = ["a boat", "an egg", "a boat"]
    vectors = embed(texts)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 3, abs=1e-5)
    assert np.allclose(vectors[0], vectors[2], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1], atol=0.1)


def test_what_is_not_installed_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = PluginManager.load().registry
    with pytest.raises(ConfigError, match="model: .*pip install my-model, or set model"):
        registry.build("metrics", "semantic_distance", {"model": "package:my_model"})
    with pytest.raises(ConfigError, match="no sentence-transformers model in 'nowhere'"):
        registry.build("metrics", "self_consistency", {"model": "package:softdiv/nowhere"})
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "sentence_transformers" else found(name),
    )
    with pytest.raises(ConfigError, match=r"pip install 'softdiv\[analysis\]'"):
        registry.build("metrics", "semantic_distance", {})


def test_a_folder_or_hub_id_is_taken_as_it_is() -> None:
    assert located("sentence-transformers/all-MiniLM-L6-v2") == (
        "sentence-transformers/all-MiniLM-L6-v2"
    )


def test_choosing_the_metric_does_not_load_the_library() -> None:
    code = (
        "import sys; from softdiv import PluginManager; "
        "PluginManager.load().registry.build('metrics', 'semantic_distance', {}); "
        "sys.exit('sentence_transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert done.returncode == 0
