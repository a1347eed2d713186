"""Loads a pair, shares weights where it can, and refuses what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import torch

from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.component import LoaderConfig
from softdiv.config.schema import PairConfig, Placement
from softdiv.errors import ConfigError, PairError, PluginError, SoftdivError
from softdiv.pair.checks import PairReport, check_pair, template_notes
from softdiv.pair.foreign import translated
from softdiv.pair.layout import Layout
from softdiv.pair.ledger import Ledger
from softdiv.pair.lockstep import Lockstep
from softdiv.pair.naming import pair_name
from softdiv.pair.rendering import start_renderer
from softdiv.pair.self_check import SelfCheck, self_check
from softdiv.pair.sharding import everywhere, shard_pair, sharded_loading
from softdiv.pair.template import ChatTemplate, stop_ids, template_file
from softdiv.pair.unchanged import fingerprint
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.failures import FOREIGN, reason
from softdiv.plugin.interfaces import ModelLoader, SharingLoader, SubjectLoader
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.registry import Registry


@attrs.frozen(eq=False)
class ModelPair:
    """Two frozen models on one ledger. ``model_1`` is the original, ``model_2`` the suspect."""

    name: str
    model_1: ModelWrapper
    model_2: ModelWrapper
    ledger: Ledger
    report: PairReport
    stop_ids: frozenset[int]
    self_checks: tuple[SelfCheck, SelfCheck]
    """that each model's own answers are what is computed, and how closely"""
    lockstep: Lockstep | None = None
    """Where the weights are sharded over ranks: how these take every pass together."""
    template: ChatTemplate | None = None
    """What both models are given; model_1's own by default."""

    @property
    def models(self) -> tuple[ModelWrapper, ModelWrapper]:
        """model_1 and model_2."""
        return self.model_1, self.model_2

    @property
    def tokenizer(self) -> Any:
        """The one whose chat template is used; ids that the other does not share are left out."""
        return self.template.tokenizer if self.template else self.model_1.tokenizer

    def layout(self, placement: Placement = "user_start") -> Layout:
        """Where a prompt sits in the conversations that both models are given."""
        template = self.template or ChatTemplate.of(self.tokenizer)
        return Layout(self.tokenizer, placement, template, self.report.unshared)

    def forget_prefixes(self) -> None:
        """See :meth:`ModelWrapper.forget_prefixes`."""
        self.model_1.forget_prefixes()
        self.model_2.forget_prefixes()

    @classmethod
    def of(
        cls,
        model_1: Any,
        model_2: Any,
        tokenizer: Any = None,
        tokenizer_2: Any = None,
        name: str = "pair",
        lockstep: Lockstep | None = None,
        config: PairConfig = PairConfig(),
    ) -> ModelPair:
        """A pair of loaded models: transformers models, or :class:`ModelWrapper` of them.

        Args:
            tokenizer: of model_1, and of model_2 unless ``tokenizer_2`` is given; wrappers bring
                their own.
            config: which chat template both are given, and what it is told.

        Raises:
            PairError: they cannot be compared, or a model comes without a tokenizer.
            ConfigError: the config's chat template cannot be read.
        """
        ledger = model_1.ledger if isinstance(model_1, ModelWrapper) else Ledger()
        model_1, tokenizer = _with_tokenizer("model_1", model_1, tokenizer)
        model_2, tokenizer_2 = _with_tokenizer("model_2", model_2, tokenizer_2 or tokenizer)
        first, second = (tokenizer, tokenizer_2)[:: 1 if config.template_of == "model_1" else -1]
        template = ChatTemplate.of(first, config)
        report = check_pair(model_1, tokenizer, model_2, tokenizer_2, template)
        stops = stop_ids(model_1, template) | stop_ids(model_2, ChatTemplate.unused(second))
        names = {i: token for token, i in first.get_vocab().items()}
        ends = tuple((names.get(i, ""), i) for i in sorted(stops - report.unshared))
        told = template_notes(template, tokenizer, tokenizer_2, config)
        turns = [lockstep.turn(model) if lockstep else None for model in (0, 1)]
        rows, left_out = report.vocab_size, report.left_out
        one = ModelWrapper("model_1", model_1, tokenizer, ledger, rows, turns[0], left_out)
        two = ModelWrapper("model_2", model_2, tokenizer_2, ledger, rows, turns[1], left_out)
        layout = Layout(first, template=template)
        checks = (self_check(one, layout), self_check(two, layout))
        slow = [
            f"{wrapper.name} decodes without a cache, at the cost of a whole row for each token: "
            f"{check.cache}"
            for wrapper, check in zip((one, two), checks, strict=True)
            if check.cache
        ]
        return cls(
            name=name,
            model_1=one,
            model_2=two,
            ledger=ledger,
            report=attrs.evolve(report, notes=(*report.notes, *told, *slow), ends=ends),
            self_checks=checks,
            stop_ids=stops,
            lockstep=lockstep,
            template=template,
        )


def _with_tokenizer(which: str, model: Any, tokenizer: Any) -> tuple[Any, Any]:
    if isinstance(model, ModelWrapper):
        return model.model, model.tokenizer
    if model is None:
        raise PairError(f"{which} is not given")
    if tokenizer is None:
        raise PairError(
            f"{which} comes without a tokenizer",
            fix="give tokenizer=..., or ModelWrapper(name, model, tokenizer) as the model",
        )
    return model, tokenizer


@attrs.define(eq=False)
class ModelPairManager:
    """``ModelPairManager(config.pair).load()``: two frozen, comparable models."""

    config: PairConfig
    registry: Registry = attrs.field(factory=lambda: PluginManager.load().registry)
    """Where loaders come from; the built-in ones by default."""
    device: str = "auto"
    shard: bool = False
    """Spread the weights over the ranks of the process group; each of them calls :meth:`load`."""

    def load(self) -> ModelPair:
        """Load both models.

        Raises:
            ConfigError: a model is not given, or a loader's options are wrong.
            PairError: a model cannot be loaded, or the two cannot be compared.
        """
        if self.config.by == "text":
            raise PairError(
                "this needs models that share their tokens",
                why='the pair is compared by text (pair.by = "text")',
                fix="run and evaluate do without, the rest takes two models of one tokenizer",
            )
        loaders, device = self.loaders(), pick_device(self.device)
        start_renderer()
        for which, loader in zip(("model_1", "model_2"), loaders, strict=True):
            if isinstance(loader, SubjectLoader):
                raise PairError(
                    f"{which} is served: it has no weights here",
                    fix='compare it by text: pair.by = "text"',
                )
        if not self.shard:
            return self._with_notes(self._pair(*self._both(loaders, device)), loaders)
        with sharded_loading(torch.device(device).type):
            model_1, tokenizer_1, model_2, tokenizer_2 = self._both(loaders, device)
            lockstep = shard_pair(model_1, model_2, torch.device(device))
        pair = self._pair(model_1, tokenizer_1, model_2, tokenizer_2, lockstep)
        same = everywhere(pair.report.identical)
        pair = attrs.evolve(pair, report=attrs.evolve(pair.report, identical=same))
        return self._with_notes(pair, loaders)

    def load_apart(self) -> list[tuple[str, Any]]:
        """Each model by itself, for ``pair.by = "text"``: its loader's name with its subject, or
        with (model, tokenizer).

        Raises:
            ConfigError: a model is not given, or a loader's options are wrong.
            PairError, PluginError: a model cannot be loaded or asked.
        """
        loaders, device, found = self.loaders(), pick_device(self.device), []
        start_renderer()
        for which, loader in zip(("model_1", "model_2"), loaders, strict=True):
            table = self.config.model_1 if which == "model_1" else self.config.model_2
            load = partial(_alone, loader, device)
            made = self._load(which, loader, load)
            subject = isinstance(loader, SubjectLoader)
            found.append((table.name if table else which, made[0] if subject else made))
        return found

    def _both(self, loaders: tuple[ModelLoader, ModelLoader], device: str) -> tuple[Any, ...]:
        loader_1, loader_2 = loaders
        model_1, tokenizer_1 = self._load(
            "model_1", loader_1, lambda: _both_of(loader_1.load(device))
        )
        beside = (
            self._beside(loader_1, loader_2, model_1, tokenizer_1)
            if isinstance(loader_2, SharingLoader)
            else None
        )
        model_2, tokenizer_2 = beside or self._load(
            "model_2", loader_2, lambda: _both_of(loader_2.load(device))
        )
        return model_1, tokenizer_1, model_2, tokenizer_2

    def _beside(
        self, loader_1: ModelLoader, loader_2: SharingLoader, model_1: Any, tokenizer_1: Any
    ) -> Any:
        """model_2 on model_1's tensors, or None. Raises PairError if model_1 is not what it was."""
        shares = getattr(loader_2, "shares_with", lambda _: True)
        if not self._load("model_2", loader_2, lambda: (bool(shares(loader_1)), ""))[0]:
            return None
        before = fingerprint(model_1)
        beside = self._load(
            "model_2", loader_2, lambda: loader_2.load_beside(loader_1, model_1, tokenizer_1)
        )
        after = fingerprint(model_1)
        if changed := [name for name in before if after.get(name) != before[name]]:
            raise PairError(
                f"loading model_2 changed {len(changed)} of model_1's tensors, e.g. {changed[0]}",
                why="they share weights, and model_2's loader wrote into them",
                fix="give model_2's base under another path: it is then loaded by itself",
            )
        return beside

    def _pair(
        self,
        model_1: Any,
        tokenizer_1: Any,
        model_2: Any,
        tokenizer_2: Any,
        lockstep: Lockstep | None = None,
    ) -> ModelPair:
        name = self.config.name or pair_name(self.config.model_1, self.config.model_2)
        with translated("the two models cannot be run"):  # a size that only a pass reveals
            return ModelPair.of(
                model_1, model_2, tokenizer_1, tokenizer_2, name, lockstep, self.config
            )

    @staticmethod
    def _with_notes(pair: ModelPair, loaders: tuple[ModelLoader, ModelLoader]) -> ModelPair:
        """With what the loaders have to say; what both say is said once."""
        said: dict[str, list[str]] = {}
        for which, loader in zip(("model_1", "model_2"), loaders, strict=True):
            for line in dict.fromkeys(getattr(loader, "notes", ())):
                said.setdefault(line, []).append(which)
        lines = [f"{' and '.join(models)}: {line}" for line, models in said.items()]
        notes = (*pair.report.notes, *lines)
        return attrs.evolve(pair, report=attrs.evolve(pair.report, notes=notes))

    def loaders(self) -> tuple[ModelLoader, ModelLoader]:
        """Both loaders, options checked, and the template's file. Raises ConfigError or
        PluginError."""
        self.config = resolve_pair(self.config, ModelRegistry.load())
        template_file(self.config)
        if self.config.model_1 is None or self.config.model_2 is None:
            raise ConfigError(
                "pair: model_1 and model_2 are not both given",
                fix="give a pair name of registry.toml, or both models",
            )
        return (
            self.build("model_1", self.config.model_1),
            self.build("model_2", self.config.model_2),
        )

    def build(self, which: str, config: LoaderConfig) -> ModelLoader:
        """The loader of one model, options checked. Raises ConfigError or PluginError."""
        try:
            loader: ModelLoader = self.registry.build("models", config.name, config.options)
        except ConfigError as error:
            raise ConfigError([f"pair.{which}: {line}" for line in error.problems]) from error
        return loader

    def _load(self, which: str, loader: object, load: Callable[[], Any]) -> Any:
        """What ``load`` returns: a model and its tokenizer, or None.

        Raises:
            PairError: a built-in loader cannot load it.
            PluginError: a plugin's loader failed, in any way.
        """
        entry = self.registry.origin(loader)
        foreign = entry is not None and not entry.builtin
        try:
            found = load()
            if found is not None:
                _both_of(found)
        except SoftdivError:
            raise
        except FOREIGN as error:
            if entry is not None and foreign:
                raise PluginError(
                    f"plugin {entry.plugin} failed in model loader '{entry.name}'",
                    why=f"{which}: {reason(error)}",
                    fix="nothing was lost; mend it or use another loader",
                ) from error
            with translated(f"{which} cannot be loaded"):
                raise  # a bug of ours keeps its traceback
        return found


def _alone(loader: ModelLoader, device: str) -> Any:
    """A served model stands in for model and tokenizer."""
    if isinstance(loader, SubjectLoader):
        return loader.subject(), ""
    return _both_of(loader.load(device))


def _both_of(found: Any) -> Any:
    """Raises TypeError for anything but a model and its tokenizer."""
    expected = "expected (model, tokenizer)"
    if not (isinstance(found, tuple) and len(found) == 2):
        raise TypeError(f"returned {type(found).__name__}, {expected}")
    if any(part is None for part in found):
        kinds = ", ".join(type(part).__name__ for part in found)
        raise TypeError(f"returned ({kinds}), {expected}")
    return found


def pick_device(device: str) -> str:
    """``auto`` is CUDA where a GPU answers, else CPU.

    Raises:
        ConfigError: torch knows no such device, or this machine has none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("meta"):
        raise ConfigError("device: 'meta' computes nothing", fix="use auto, cpu or cuda")
    try:
        torch.empty(0, device=device)
    # torch raises AssertionError where it was built without CUDA, RuntimeError for the rest
    except (RuntimeError, AssertionError) as error:
        why = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"device: '{device}' cannot be used: {why}", fix="use auto, cpu or cuda"
        ) from error
    return device
