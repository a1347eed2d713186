"""Strict reading: nothing is coerced, every problem is found at once and says file:line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from softdiv.config.component import ComponentConfig, LoaderConfig
from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError

TOML = """\
plugins = ["rank-overlap"]
seed = 3

[pair]
model_1 = { loader = "tiny", seed = 1 }
model_2 = { loader = "tiny", seed = 2 }

[training]
learning_rate = 1e-4
num_epochs = 2

[training.loss]
name = "kl"
reverse = true

[evaluation]
metrics = ["jsd", { name = "rank_overlap", k = 5 }]
"""
YAML = """\
plugins: [rank-overlap]
seed: 3
pair:
  model_1: {loader: tiny, seed: 1}
  model_2: {loader: tiny, seed: 2}
training:
  learning_rate: 1e-4
  num_epochs: 2
  loss:
    name: kl
    reverse: true
evaluation:
  metrics:
    - jsd
    - {name: rank_overlap, k: 5}
"""


def write(folder: Path, text: str, name: str = "c.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_file(path, overrides)
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_reads_toml(tmp_path: Path) -> None:
    config = ExperimentConfig.from_toml(write(tmp_path, TOML))
    assert config.pair.model_2 == LoaderConfig("tiny", {"seed": 2})
    assert config.training.loss == ComponentConfig("kl", {"reverse": True})
    assert config.evaluation.metrics[1] == ComponentConfig("rank_overlap", {"k": 5})
    assert config.training.learning_rate == 1e-4
    assert config.training.batch_size == 4


def test_yaml_gives_the_same_config(tmp_path: Path) -> None:
    from_yaml = ExperimentConfig.from_yaml(write(tmp_path, YAML, "c.yaml"))
    assert from_yaml == ExperimentConfig.from_toml(write(tmp_path, TOML))


def test_the_resolved_config_loads_to_itself(tmp_path: Path) -> None:
    config = ExperimentConfig.from_file(write(tmp_path, TOML))
    again = ExperimentConfig.from_file(write(tmp_path, config.to_toml(), "resolved.toml"))
    assert again == config
    assert again.to_toml() == config.to_toml()
    assert ExperimentConfig.from_dict(config.to_dict()) == config


def test_it_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ExperimentConfig().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "key", "message"),
    [
        ("num_epochs = 3.0", "num_epochs", "expected an integer, got 3.0 (number)"),
        ("num_epochs = true", "num_epochs", "expected an integer, got True (boolean)"),
        ('num_epochs = "3"', "num_epochs", "expected an integer, got '3' (text)"),
        ("num_epochs = -1", "num_epochs", "must be >= 0: -1"),
        ("num_soft_prompt_tokens = 600", "num_soft_prompt_tokens", "must be <= 512: 600"),
        ("learning_rate = true", "learning_rate", "expected a number, got True (boolean)"),
        ('learning_rate = "1e-3"', "learning_rate", "expected a number, got '1e-3' (text)"),
        ("learning_rate = nan", "learning_rate", "expected a finite number, got nan"),
        ("learning_rate = 0", "learning_rate", "must be > 0: 0"),
        ("mixed_precision = 1", "mixed_precision", "expected true or false, got 1 (integer)"),
        ("max_steps = 1.5", "max_steps", "expected an integer, got 1.5"),
        ("patience = 0", "patience", "must be >= 1: 0"),
        ("init_text = 5", "init_text", "expected text, got 5 (integer)"),
        ('placement = "prefx"', "placement", "did you mean 'prefix'?"),
        ("learning_rat = 1.0", "learning_rat", "unknown key; did you mean 'learning_rate'?"),
        ("loss = 3", "loss", "expected a table like { name ="),
        ("loss = { reverse = true }", "loss", 'this table needs name = "..."'),
        ("engine = { zero_stage = 4 }", "engine.zero_stage", "expected one of 0, 1, 2, 3, got 4"),
    ],
)
def test_each_mistake_is_one_line_with_file_and_line(
    tmp_path: Path, line: str, key: str, message: str
) -> None:
    path = write(tmp_path, f"# a comment\n[training]\n\n{line}\n")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:4: training.{key}: ")
    assert message in problem


def test_yaml_mistakes_say_file_and_line_too(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 1\ntraining:\n  batch_size: 2\n  num_epochs: many\n", "c.yml")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:4: training.num_epochs: expected an integer")


def test_yaml_booleans_and_dates_are_not_text(tmp_path: Path) -> None:
    assert "expected text" in problems(write(tmp_path, "output_dir: yes\n", "a.yaml"))[0]
    assert "expected text" in problems(write(tmp_path, "output_dir: 2020-01-01\n", "b.yaml"))[0]


def test_all_problems_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'sed = 1\n[training]\nnum_epochs = "x"\nbatch_size = 0\n[evalution]\ntest_texts = 3\n',
    )
    found = problems(path)
    assert len(found) == 4
    text = "\n".join(found)
    assert f"{path}:1: sed: unknown key; did you mean 'seed'?" in text
    assert f"{path}:3: training.num_epochs" in text
    assert f"{path}:4: training.batch_size: 'batch_size' must be >= 1" in text
    assert f"{path}:5: evalution: unknown key; did you mean 'evaluation'?" in text


def test_a_key_in_the_wrong_section_is_told_its_own(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "[generation]\nnum_epochs = 3\n"))
    assert "it is a key of [training]" in problem


def test_problems_in_lists_name_the_item(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, '[evaluation]\nmetrics = ["jsd", { k = 3 }]\n'))
    assert ":2: evaluation.metrics[1]: this table needs name" in problem


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.num_epochs=3", 3),
        ("training.learning_rate=1e-3", 1e-3),
        ("training.placement=system", "system"),
        ('training.init_text="a b"', "a b"),
        ("training.init_text=a b", "a b"),
        ("training.mixed_precision=true", True),
    ],
)
def test_overrides_use_toml_values(tmp_path: Path, override: str, value: Any) -> None:
    config = ExperimentConfig.from_file(write(tmp_path, TOML), [override, "training.init=text"])
    made = getattr(config.training, override.partition("=")[0].partition(".")[2])
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize("name", ["init_text", "init_prompt"])
def test_a_key_that_another_key_makes_useless_is_refused(tmp_path: Path, name: str) -> None:
    (problem,) = problems(write(tmp_path, f'[training]\n{name} = "a"\n'))
    wanted = name.removeprefix("init_")
    assert f'training: {name} has no effect without init = "{wanted}"' in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [*a]\n", "nested too deeply, or holds itself"),
        ("a: " + "[" * 5000 + "\n", "nested too deeply"),
        ("seed: 1\npair: [1\n", "c.yaml:3: not valid YAML: expected ',' or ']'"),
        ("when: 2026-99-01\n", "not valid YAML: "),
    ],
)
def test_hostile_yaml_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_file(tmp_path / "c.yaml")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_deeply_nested_toml_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        ExperimentConfig.from_file(write(tmp_path, "a = " + "[" * 5000))


def test_overrides_reach_component_options(tmp_path: Path) -> None:
    config = ExperimentConfig.from_file(write(tmp_path, TOML), ["pair.model_2.noise=0.1"])
    assert config.pair.model_2 == LoaderConfig("tiny", {"seed": 2, "noise": 0.1})


def test_the_last_override_wins_and_the_original_stays() -> None:
    config = ExperimentConfig()
    assert config.with_overrides("seed=1", "seed=2").seed == 2
    assert config.seed == 0


def test_a_wrong_override_is_not_blamed_on_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, TOML)
    (problem,) = problems(path, "training.num_epochs=x")
    assert "training.num_epochs: expected an integer, got 'x'" in problem
    assert f"{path}:10" not in problem


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "expected KEY=VALUE"),
        ("training..x=1", "expected KEY=VALUE"),
        ("seed.x=1", "'seed' is not a table"),
    ],
)
def test_malformed_overrides(tmp_path: Path, override: str, message: str) -> None:
    (problem,) = problems(write(tmp_path, TOML), override)
    assert f"--set {override}: " in problem
    assert message in problem


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.toml", "seed = \n", "not valid TOML"),
        ("c.toml", "seed = 1\nseed = 2\n", "not valid TOML"),
        ("c.yaml", "seed: [1\n", "not valid YAML"),
        ("c.yaml", "- 1\n", "expected a table at the top level"),
        ("c.yaml", "!!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write(tmp_path, text, name)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:")
    assert message in problem


def test_a_missing_file_gets_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, TOML, "quickstart.toml")
    with pytest.raises(ConfigError, match=r"does not exist.*did you mean 'quickstart.toml'"):
        ExperimentConfig.from_file(tmp_path / "quickstrat.toml")
    with pytest.raises(ConfigError, match="does not exist either"):
        ExperimentConfig.from_file(tmp_path / "nowhere" / "c.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in problems(tmp_path / "c.toml")[0]
    assert "cannot be read" in problems(tmp_path)[0]


def test_an_empty_file_is_every_default(tmp_path: Path) -> None:
    assert ExperimentConfig.from_file(write(tmp_path, "")) == ExperimentConfig()


def test_every_key_has_a_meaning() -> None:
    def check(kind: Any, path: str) -> None:
        for field in attrs.fields(kind):
            default = field.default
            if attrs.has(type(default)) and not isinstance(default, ComponentConfig):
                check(type(default), f"{path}{field.name}.")
            else:
                assert field.metadata["meaning"], path + field.name

    check(ExperimentConfig, "")


def test_an_override_is_blamed_on_the_override(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[training]\nbatch_size = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_file(path, ["training.max_steps=abc", "training.learning_rate=nan"])
    assert sorted(caught.value.problems) == [
        "--set: training.learning_rate: expected a finite number, got nan (number)",
        "--set: training.max_steps: expected an integer, got 'abc' (text)",
    ]


def test_a_section_that_is_no_table_is_said_so() -> None:
    with pytest.raises(ConfigError, match="training: expected a table, got 3 \\(integer\\)"):
        ExperimentConfig.from_dict({"training": 3})
