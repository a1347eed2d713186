"""softdiv: how do two language models behave differently, and how sure are we?

Public names are loaded on first use, so that ``import softdiv`` stays instant and
does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softdiv.analysis.analyzer import DivergenceAnalyzer as DivergenceAnalyzer
    from softdiv.builtin.embedding import embed as embed
    from softdiv.config.catalogue import ModelRegistry as ModelRegistry
    from softdiv.config.component import ComponentConfig as ComponentConfig
    from softdiv.config.load import ExperimentConfig as ExperimentConfig
    from softdiv.config.redact import redacted as redacted
    from softdiv.data.base import BaseDataProcessor as BaseDataProcessor
    from softdiv.divergence.metrics import DivergenceMetrics as DivergenceMetrics
    from softdiv.errors import ConfigError as ConfigError, SoftdivError as SoftdivError
    from softdiv.pair.manager import ModelPairManager as ModelPairManager
    from softdiv.pair.wrapper import ModelWrapper as ModelWrapper
    from softdiv.pipeline import DivergencePipeline as DivergencePipeline
    from softdiv.plugin.events import (
        EvaluationEvent as EvaluationEvent,
        PromptsEvent as PromptsEvent,
        ReportEvent as ReportEvent,
        RunEvent as RunEvent,
        SearchEvent as SearchEvent,
        TrainEvent as TrainEvent,
    )
    from softdiv.plugin.hookspecs import hookimpl as hookimpl
    from softdiv.plugin.interfaces import (
        Analyzer as Analyzer,
        Budget as Budget,
        Loss as Loss,
        ModelLoader as ModelLoader,
        Processor as Processor,
        ResponseMetric as ResponseMetric,
        Searcher as Searcher,
        TextSubject as TextSubject,
        TokenMetric as TokenMetric,
    )
    from softdiv.plugin.manager import PluginManager as PluginManager
    from softdiv.plugin.records import (
        Curve as Curve,
        Example as Example,
        Finding as Finding,
        HardPrompt as HardPrompt,
        Heatmap as Heatmap,
        Message as Message,
        ResponsePair as ResponsePair,
        Rows as Rows,
        Scatter as Scatter,
        Section as Section,
        Table as Table,
        TextAnswer as TextAnswer,
        TextContext as TextContext,
        TokenDivergence as TokenDivergence,
    )
    from softdiv.plugin.registry import Register as Register
    from softdiv.search.generator import HardPromptGenerator as HardPromptGenerator
    from softdiv.search.task import SearchTask as SearchTask
    from softdiv.training.soft_prompt import DivergenceSoftPrompt as DivergenceSoftPrompt
    from softdiv.training.trainer import DivergenceTrainer as DivergenceTrainer

__version__ = "0.1.0"

_NAMES: dict[str, str] = {
    "softdiv.analysis.analyzer": "DivergenceAnalyzer",
    "softdiv.builtin.embedding": "embed",
    "softdiv.config.catalogue": "ModelRegistry",
    "softdiv.config.component": "ComponentConfig",
    "softdiv.config.load": "ExperimentConfig",
    "softdiv.config.redact": "redacted",
    "softdiv.data.base": "BaseDataProcessor",
    "softdiv.divergence.metrics": "DivergenceMetrics",
    "softdiv.errors": "ConfigError SoftdivError",
    "softdiv.pair.manager": "ModelPairManager",
    "softdiv.pair.wrapper": "ModelWrapper",
    "softdiv.pipeline": "DivergencePipeline",
    "softdiv.plugin.events": "EvaluationEvent PromptsEvent ReportEvent "
    "RunEvent SearchEvent TrainEvent",
    "softdiv.plugin.hookspecs": "hookimpl",
    "softdiv.plugin.interfaces": "Analyzer Budget Loss ModelLoader "
    "Processor ResponseMetric Searcher TextSubject TokenMetric",
    "softdiv.plugin.manager": "PluginManager",
    "softdiv.plugin.records": "Curve Example Finding HardPrompt Heatmap Message "
    "ResponsePair Rows Scatter Section Table TextAnswer TextContext TokenDivergence",
    "softdiv.plugin.registry": "Register",
    "softdiv.search.generator": "HardPromptGenerator",
    "softdiv.search.task": "SearchTask",
    "softdiv.training.soft_prompt": "DivergenceSoftPrompt",
    "softdiv.training.trainer": "DivergenceTrainer",
}
"""Module: its public names."""
_PUBLIC = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [*sorted(_PUBLIC), "__version__"]


def __getattr__(name: str) -> Any:
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'softdiv' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
