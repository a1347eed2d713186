"""softdiv: how do two language models behave differently, and how sure are we?

Public names are loaded on first use, so that ``import softdiv`` stays instant and
does not import torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC: dict[str, str] = {
    "BaseDataProcessor": "softdiv.data.base",
    "ComponentConfig": "softdiv.config.component",
    "DivergenceAnalyzer": "softdiv.analysis.analyzer",
    "DivergenceMetrics": "softdiv.evaluation.metrics",
    "DivergencePipeline": "softdiv.pipeline",
    "DivergenceSoftPrompt": "softdiv.training.soft_prompt",
    "DivergenceTrainer": "softdiv.training.trainer",
    "Example": "softdiv.plugin.records",
    "ExperimentConfig": "softdiv.config.load",
    "Finding": "softdiv.plugin.records",
    "HardPrompt": "softdiv.plugin.records",
    "HardPromptGenerator": "softdiv.search.generator",
    "ModelPairManager": "softdiv.pair.manager",
    "ModelRegistry": "softdiv.config.catalogue",
    "ModelWrapper": "softdiv.pair.wrapper",
    "ResponsePair": "softdiv.plugin.records",
    "Rows": "softdiv.plugin.records",
    "Section": "softdiv.plugin.records",
    "SoftdivError": "softdiv.errors",
    "hookimpl": "softdiv.plugin.hookspecs",
}

__all__ = [*sorted(_PUBLIC), "__version__"]  # noqa: PLE0604 (all are text)


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
