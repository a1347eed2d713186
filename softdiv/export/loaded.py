"""A run's soft prompt with its models and texts, for the exports that need the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from softdiv import stored
from softdiv.components import Prepared
from softdiv.errors import PairError, RunError
from softdiv.pair.layout import Context
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example
from softdiv.stages.load import fitting, load_pair, load_texts
from softdiv.stages.work import LoadedPair
from softdiv.storage.run_files import RunFiles


@attrs.frozen(kw_only=True, eq=False)
class SoftRun:
    """What PEFT and vLLM need to give a model what the run gave it."""

    loaded: LoadedPair
    soft: Tensor
    """``[k, H]`` fp32, the best by validation"""
    examples: Sequence[Example]
    """the held-out texts that were scored"""

    @classmethod
    def of(cls, files: RunFiles, prepared: Prepared) -> SoftRun:
        """Load the models.

        Raises:
            RunError: no soft prompt was trained.
            SoftdivError: as a run's loading does.
        """
        facts = stored.training_facts(files)
        if not facts.steps:
            raise RunError(
                f"run {files.path} trained no soft prompt",
                why=facts.stop_reason,
                fix="export its answers: jsonl, dataset, inspect, lm-eval or promptfoo",
            )
        trained, config = stored.training(files), prepared.config
        texts = load_texts(prepared.parts, config.data, lambda note: None)
        pair = load_pair(config, prepared.registry)
        loaded = fitting(texts, pair, config, prepared.parts, lambda note: None)
        return cls(
            loaded=loaded,
            soft=trained.prompt.to(pair.model_1.device),
            examples=loaded.split.test[: config.evaluation.test_texts],
        )

    @property
    def models(self) -> tuple[ModelWrapper, ModelWrapper]:
        """model_1 and model_2."""
        return self.loaded.pair.model_1, self.loaded.pair.model_2


@torch.no_grad()
def vectors_of(wrapper: ModelWrapper, ids: Sequence[int]) -> Tensor:
    """``[L, H]`` embeddings of token ids, in the model's dtype."""
    return wrapper.embed(torch.tensor(ids, dtype=torch.long, device=wrapper.device))


def whole_prompt(wrapper: ModelWrapper, context: Context, soft: Tensor) -> Tensor:
    """``[L, H]``: a context with the soft prompt in its slot, in the model's dtype."""
    before = vectors_of(wrapper, context.before)
    return torch.cat([before, soft.to(before), vectors_of(wrapper, context.after)])


@torch.no_grad()
def refuse_scaled(wrapper: ModelWrapper, what: str, *, inside: bool) -> None:
    """Raises PairError where a tool would scale the embeddings of ids by itself, or twice.

    Args:
        inside: whether scaling inside the embedding module is a scaling too. PEFT calls the
            module; vLLM's models scale here or there.
    """
    ids = torch.tensor(wrapper.ordinary_ids()[:64], device=wrapper.device)
    given = wrapper.embed(ids)
    plain = wrapper.embedding_table[ids] if inside else wrapper.model.get_input_embeddings()(ids)
    if not torch.equal(given, plain):
        kind = wrapper.model.config.model_type
        raise PairError(
            f"{what} cannot express the soft prompt of a {kind} model",
            why="it scales the embeddings of token ids, and embeddings that are given it may "
            "scale once more or not at all",
            fix="--format peft" if inside else "use `softdiv chat`, or transformers' inputs_embeds",
        )


def named(wrapper: ModelWrapper) -> str:
    """Where the model came from, as transformers remembers it; empty where it does not."""
    found = str(getattr(wrapper.model.config, "_name_or_path", "") or "")
    return Path(found).name if Path(found).is_absolute() else found
