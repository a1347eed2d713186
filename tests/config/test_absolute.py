"""A stored config does not depend on the folder its run was started in."""

from __future__ import annotations

from pathlib import Path

import pytest

from softdiv.config.absolute import with_absolute_paths
from softdiv.config.load import ExperimentConfig


def test_what_is_there_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("base", "lora", "texts", "jsd"):
        (tmp_path / name).mkdir()
    for name in ("t.jsonl", "bank.json", "w.gguf", "c.jinja"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("base")
    config = ExperimentConfig.from_dict(
        {
            "output_dir": "texts",
            "pair": {
                "model_1": {"loader": "hf", "path": "link", "gguf_file": "w.gguf"},
                "model_2": {"loader": "hf", "path": "org/name", "adapter": "texts/../lora"},
                "chat_template": "c.jinja",
            },
            "data": {"processors": [{"name": "jsonl", "data_path": "t.jsonl", "text_key": "base"}]},
            "training": {"loss": {"name": "jsd"}},
            "evaluation": {"null_bank": "bank.json"},
        }
    )
    made = with_absolute_paths(config)
    assert made.pair.model_1 is not None and made.pair.model_2 is not None
    assert made.pair.model_1.options == {"path": str(tmp_path / "link"), "gguf_file": "w.gguf"}
    assert made.pair.model_2.options["path"] == "org/name"
    assert made.pair.model_2.options["adapter"] == str(tmp_path / "lora")
    assert made.pair.chat_template == str(tmp_path / "c.jinja")
    (texts,) = made.data.processors
    assert texts.options == {"data_path": str(tmp_path / "t.jsonl"), "text_key": "base"}
    assert made.evaluation.null_bank == str(tmp_path / "bank.json")
    assert (made.output_dir, made.training.loss.name) == ("texts", "jsd")
    assert with_absolute_paths(made) == made
