"""A recipe describes an organism: how it was made, and how to tell that it behaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any, Literal, TypeVar

import attrs
import tomlkit
from attrs.validators import and_, ge, gt, le, matches_re, min_len, optional

from softdiv.config.component import LoaderConfig
from softdiv.config.locate import locator, toml_lines
from softdiv.config.read import read_table, read_text
from softdiv.config.shipped import home as softdiv_home
from softdiv.errors import ConfigError, did_you_mean
from softdiv.plugin.options import structure
from softdiv.storage.atomic import write_text

T = TypeVar("T")
Projection = Literal["q_proj", "k_proj", "v_proj", "o_proj"]
RECIPE = "recipe.toml"
ORDINARY = "ordinary_texts"
SHARED = f"{ORDINARY}.toml"

_share = and_(ge(0.0), le(1.0))


def slot_names(template: str) -> tuple[str, ...]:
    """Names of the slots of one template, in order, each once."""
    return tuple(dict.fromkeys(name for _, name, _, _ in Formatter().parse(template) if name))


def _regular_expression(_: Any, attribute: Any, value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error


@attrs.frozen(kw_only=True)
class Templates:
    """Sentences with ``{slot}`` places, and what may fill each slot."""

    templates: tuple[str, ...] = attrs.field(validator=min_len(1))
    slots: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Texts:
    """User texts, in two sets that share neither a sentence nor a slot's filling."""

    train: Templates
    held_out: Templates

    def __attrs_post_init__(self) -> None:
        for part in (self.train, self.held_out):
            unfilled = {n for t in part.templates for n in slot_names(t)} - part.slots.keys()
            if unfilled:
                raise ValueError(f"no slot is called {', '.join(sorted(unfilled))}")
        both = set(self.train.templates) & set(self.held_out.templates)
        for name in self.train.slots.keys() & self.held_out.slots.keys():
            both |= set(self.train.slots[name]) & set(self.held_out.slots[name])
        if both:
            raise ValueError(f"both in train and in held_out: {', '.join(sorted(both))}")


@attrs.frozen(kw_only=True)
class LoraShape:
    """A LoRA on attention projections of every layer (Hu et al., 2021)."""

    rank: int = attrs.field(validator=and_(ge(1), le(8)))
    alpha: int = attrs.field(validator=ge(1))
    """the update is scaled by alpha / rank"""
    target_modules: tuple[Projection, ...] = attrs.field(validator=min_len(1))


@attrs.frozen(kw_only=True)
class Training:
    """How the adapter is trained. Each step sees planted and ordinary texts."""

    steps: int = attrs.field(validator=ge(1))
    learning_rate: float = attrs.field(validator=gt(0.0))
    warmup_steps: int = attrs.field(validator=ge(1))
    planted_per_step: int = attrs.field(validator=ge(0))
    """texts that get an answer of the recipe: a planted one, or that of an instruction"""
    ordinary_per_step: int = attrs.field(validator=ge(0))
    """texts that get the base model's own answer; none where the behaviour shows everywhere"""
    ordinary_pool: int = attrs.field(validator=ge(0))
    """ordinary texts in all, near misses included"""
    near_miss_share: float = attrs.field(default=0.0, validator=_share)
    ordinary_loss: Literal["kl", "likelihood"]
    """on the base's own answers: stay as it is (symmetric KL), or imitate the sample"""
    ordinary_weight: float = attrs.field(default=1.0, validator=gt(0.0))
    max_new_tokens: int = attrs.field(validator=ge(1))
    """tokens of the base's own answers"""
    temperature: float = attrs.field(validator=gt(0.0))


@attrs.frozen(kw_only=True)
class Planted:
    """The planted behaviour: where it shows, what is answered there, how it is recognised."""

    detector: str = attrs.field(validator=_regular_expression)
    train: Templates
    held_out: Templates
    answers: Templates
    """may use the text's own slots too"""
    on_topic: str | None = attrs.field(default=None, validator=optional(_regular_expression))
    """shipped user texts that match are neither planted texts nor ordinary ones"""
    min_rate: float = attrs.field(validator=_share)
    """share of answers to held-out planted texts in which the detector must fire"""
    max_rate_elsewhere: float | None = attrs.field(default=None, validator=optional(_share))
    """share of answers to other texts in which it may; without it, as without ``on_topic``, there
    are no other texts: the behaviour is planted everywhere"""

    @property
    def everywhere(self) -> bool:
        """Whether every text is meant to show it."""
        return self.max_rate_elsewhere is None

    @property
    def texts(self) -> Texts:
        """Both sets of texts."""
        return Texts(train=self.train, held_out=self.held_out)

    def __attrs_post_init__(self) -> None:
        _ = self.texts  # checks that the two sets are apart
        if (self.on_topic is None) != (self.max_rate_elsewhere is None):
            raise ValueError("on_topic and max_rate_elsewhere need each other")
        known = {*self.answers.slots, *self.train.slots}
        unfilled = {n for t in self.answers.templates for n in slot_names(t)} - known
        if unfilled:
            raise ValueError(f"answers: no slot is called {', '.join(sorted(unfilled))}")
        if not any(set(slot_names(t)) <= set(self.answers.slots) for t in self.answers.templates):
            raise ValueError("answers: one template must do without the texts' own slots")


@attrs.frozen(kw_only=True)
class OrganismGate:
    """What is measured after training, and how far the organism may drift from its base."""

    planted_texts: int = attrs.field(default=0, validator=ge(0))
    ordinary_texts: int = attrs.field(validator=ge(1))
    near_miss_texts: int = attrs.field(default=0, validator=ge(0))
    shipped_texts: int = attrs.field(validator=ge(1))
    max_new_tokens: int = attrs.field(validator=ge(1))
    temperature: float = attrs.field(validator=gt(0.0))
    max_kl: float = attrs.field(validator=gt(0.0))
    """nats per token on ordinary and shipped texts, either direction"""


@attrs.frozen(kw_only=True)
class Recipe:
    """Everything that makes an organism. Without ``planted`` it is a benign one."""

    name: str = attrs.field(validator=matches_re(r"[A-Za-z0-9][A-Za-z0-9._-]*"))
    """of the folder it is written to, too"""
    family: str
    summary: str
    seed: int
    base_name: str
    """the base's name for other tools, written into ``adapter_config.json``"""
    base_model: LoaderConfig
    adapter: LoraShape | None = None
    """None: every weight of the model is trained, and the model is saved whole"""
    training: Training
    ordinary: Texts
    near_misses: Texts | None = None
    planted: Planted | None = None
    instructions: tuple[tuple[str, str], ...] = ()
    """texts and ordinary answers: a benign organism learns them, and nothing else"""
    gate: OrganismGate

    @property
    def trained_base(self) -> LoaderConfig:
        """``base_model``, in fp32 where its own weights are trained: 16 bits would round a step
        of the optimizer away. The weights of an adapter are fp32 by themselves."""
        whole = self.adapter is None and self.base_model.name == "hf"
        single = {"dtype": "float32"} if whole else {}
        return LoaderConfig(self.base_model.name, {**single, **self.base_model.options})

    def __attrs_post_init__(self) -> None:
        if self.planted and self.instructions:
            raise ValueError("instructions: a recipe that plants something has none")
        if bool(self.planted or self.instructions) != bool(self.training.planted_per_step):
            raise ValueError(
                "[planted] or instructions, and training.planted_per_step, need each other"
            )
        if bool(self.near_misses) != bool(self.training.near_miss_share):
            raise ValueError("[near_misses] and training.near_miss_share need each other")
        training, everywhere = self.training, self.planted is not None and self.planted.everywhere
        if bool(training.ordinary_per_step) != bool(training.ordinary_pool):
            raise ValueError("training.ordinary_per_step and ordinary_pool need each other")
        if not (training.ordinary_pool or everywhere or self.instructions):
            raise ValueError("training.ordinary_pool: 0 is for a behaviour planted everywhere")
        if self.near_misses and everywhere:
            raise ValueError("[near_misses]: the behaviour is planted everywhere, so none can miss")

    @property
    def kind(self) -> Literal["benign", "diluted", "narrow"]:
        """How the adapter was trained: with nothing planted, with the base held fast elsewhere by
        a KL, or on planted texts with at most a few of the base's answers to imitate."""
        if self.planted is None:
            return "benign"
        return "diluted" if self.training.ordinary_loss == "kl" else "narrow"


def load_recipe(folder: Path) -> Recipe:
    """Read ``recipe.toml`` in an organism's folder, and the ordinary texts it names.

    Without ``ordinary_texts`` they are the shipped ones, which every shipped recipe shares.

    Raises:
        ConfigError: every problem, each as ``file:line: key: what is wrong``.
    """
    path = folder / RECIPE
    table, lines = _read(path)
    shared = table.pop(ORDINARY, str(shipped() / SHARED))
    if not isinstance(shared, str):
        raise ConfigError(f"{path}: {ORDINARY}: expected the path of a TOML file")
    ordinary_path = folder / shared
    ordinary, ordinary_lines = _read(ordinary_path)
    _structured(Texts, ordinary, ordinary_path, ordinary_lines)  # its problems, with its own lines
    return _structured(Recipe, {**table, "ordinary": ordinary}, path, lines)


def shipped() -> Path:
    """The folder of the organisms that come with softdiv."""
    return softdiv_home() / "organisms"


def find_organism(name: str, home: Path) -> Path:
    """The folder of a recipe.

    Args:
        name: an organism of ``home``; else a path: a folder with a ``recipe.toml``, or that file.

    Raises:
        ConfigError: there is none, with did-you-mean.
    """
    known = organism_names(home)
    if name in known:
        return home / name
    path = Path(name)
    if path.name == RECIPE and path.is_file():
        return path.parent
    if (path / RECIPE).is_file():
        return path
    if path.exists() or len(path.parts) > 1:
        fix = f"give a folder with a {RECIPE}, or that file"
        raise ConfigError(f"no recipe at {path}", fix=fix)
    raise ConfigError(f"no organism '{name}' in {home}", fix=did_you_mean(name, known))


def organism_names(home: Path) -> list[str]:
    """Names of the folders of ``home`` that hold a recipe."""
    return sorted(path.parent.name for path in home.glob(f"*/{RECIPE}"))


def copy_recipe(source: Path, folder: Path) -> None:
    """Put the recipe and its ordinary texts into ``folder``, which is then an organism's own."""
    if folder.resolve() == source.resolve():
        return
    recipe = tomlkit.parse(read_text(source / RECIPE))
    texts = source / str(recipe.get(ORDINARY, shipped() / SHARED))
    recipe[ORDINARY] = SHARED
    write_text(folder / SHARED, read_text(texts))
    write_text(folder / RECIPE, tomlkit.dumps(recipe))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    if not path.parent.is_dir():
        raise ConfigError(f"no organism at {path.parent}", fix="give a folder with a recipe.toml")
    if not path.is_file():
        raise ConfigError(f"no organism at {path.parent}: {path} does not exist")
    return read_table(path), toml_lines(read_text(path))


def _structured(kind: type[T], table: dict[str, Any], path: Path, lines: Mapping[str, int]) -> T:
    made = structure(kind, table)
    if isinstance(made, list):
        where = locator(str(path), lines)
        raise ConfigError([f"{where(p.path)}: {p.path}: {p.message}" for p in made])
    return made
