"""configs/full.toml is complete, current, and equal to the defaults."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from softdiv.config.load import ExperimentConfig
from softdiv.config.reference import full_toml
from softdiv.config.schema import SECTIONS, Schema

CONFIGS = Path(__file__).parents[2] / "configs"


def test_full_toml_is_what_the_schema_says() -> None:
    assert (CONFIGS / "full.toml").read_text(encoding="utf-8") == full_toml()


def test_full_toml_loads_to_the_defaults() -> None:
    assert ExperimentConfig.from_file(CONFIGS / "full.toml") == ExperimentConfig()


def test_every_key_is_there_and_explained() -> None:
    text = full_toml()
    tables = [Schema(), *(getattr(Schema(), name) for name in SECTIONS), Schema().training.engine]
    for table in tables:
        for field in attrs.fields(type(table)):
            if field.name not in (*SECTIONS, "engine"):
                assert f"\n# {field.metadata['meaning']}\n" in text, field.name
                assert f"\n{field.name} =" in text or f"\n# {field.name} =" in text


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_config_loads(path: Path) -> None:
    ExperimentConfig.from_file(path)
