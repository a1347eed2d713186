"""k trainable embeddings that take the place of a text prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from softdiv.config.schema import TrainingConfig
from softdiv.errors import ConfigError, RunError, TrainingError
from softdiv.pair.input_space import mean_norm, vectors
from softdiv.pair.layout import Layout
from softdiv.pair.wrapper import ModelWrapper
from softdiv.storage import atomic

TENSOR = "prompt_embeddings"
SEAL = "sha256"
"""The header's key that says what the rest of the file is."""


def check_start(config: TrainingConfig) -> None:
    """Raises ConfigError where ``init`` lacks what it starts from; needs no model."""
    if config.init == "text" and not (config.init_text or "").strip():
        raise ConfigError('training.init_text: needed, and not empty, with init = "text"')
    if config.init == "prompt" and config.init_prompt is None:
        raise ConfigError('training.init_prompt: needed with init = "prompt"')


class DivergenceSoftPrompt(torch.nn.Module):
    """One fp32 parameter ``embeddings [k, H]``.

    Args:
        values: ``[k, H]`` start.
        mean_norm: mean norm of the tokens' vectors, the unit of :meth:`norm_ratio`.
        metadata: what a reader of the saved file needs: ``placement``, ``base``.
    """

    def __init__(
        self, values: Tensor, *, mean_norm: float, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.embeddings = torch.nn.Parameter(values.detach().float().clone())
        self.mean_norm = mean_norm
        self.metadata = dict(metadata or {})

    @classmethod
    def create(
        cls, wrapper: ModelWrapper, layout: Layout, config: TrainingConfig, seed: int
    ) -> DivergenceSoftPrompt:
        """A fresh prompt, started as ``config.init`` says, on the model's device.

        Raises:
            ConfigError: ``init_text`` or ``init_prompt`` is missing or empty.
            TrainingError: the prompt file has another shape than asked for.
            RunError: the prompt file cannot be read.
        """
        k = config.num_soft_prompt_tokens
        check_start(config)
        if config.init == "text":
            ids = layout.encode(config.init_text or "")
            values = vectors(wrapper, torch.tensor([ids[i % len(ids)] for i in range(k)]))
        elif config.init == "prompt":
            values = _read(Path(config.init_prompt or ""))[0].to(wrapper.device)
            if values.shape != (k, wrapper.hidden_size):
                raise TrainingError(
                    f"{config.init_prompt} holds a prompt of shape {list(values.shape)}",
                    why=f"[{k}, {wrapper.hidden_size}] is needed",
                    fix="set training.num_soft_prompt_tokens, or use a prompt of this model",
                )
        else:
            ordinary = torch.tensor(wrapper.ordinary_ids())
            generator = torch.Generator().manual_seed(seed)
            picked = torch.randint(len(ordinary), (k,), generator=generator)
            values = vectors(wrapper, ordinary[picked])
        shape = wrapper.model.config
        base = str(getattr(shape, "_name_or_path", "") or shape.model_type)
        return cls(
            values,
            mean_norm=mean_norm(wrapper),
            metadata={"placement": layout.placement, "base": base},
        )

    def forward(self) -> Tensor:
        """``[k, H]``, differentiable; a copy, so that an engine may free the parameter."""
        return self.embeddings * 1.0

    def copy_of(self, values: Tensor) -> DivergenceSoftPrompt:
        """Another prompt of the same model and placement, holding ``values [k, H]``."""
        return type(self)(values, mean_norm=self.mean_norm, metadata=self.metadata)

    def norm_ratio(self) -> float:
        """Largest row norm, relative to the mean norm of the tokens' vectors."""
        return norm_ratio(self.embeddings, self.mean_norm)

    def save(self, path: Path) -> str:
        """A safetensors file; returns its sha256. In its header it has that of its content."""
        header = {**self.metadata, "mean_norm": repr(self.mean_norm)}
        seal = {SEAL: _seal(self.embeddings, header)}
        return atomic.write_tensors(path, {TENSOR: self.embeddings}, {**header, **seal})

    @classmethod
    def load(cls, path: Path) -> DivergenceSoftPrompt:
        """A saved prompt, on the CPU.

        Raises:
            RunError: the file is missing, damaged, or is not safetensors.
            TrainingError: it holds no soft prompt.
        """
        values, header = _read(path)
        try:
            mean_norm = float(header.pop("mean_norm", "nan"))
        except ValueError as error:
            raise TrainingError(f"{path} holds no soft prompt", why=str(error)) from error
        return cls(values, mean_norm=mean_norm, metadata=header)


def norm_ratio(values: Tensor, mean_norm: float) -> float:
    """Largest row norm of ``[k, H]`` in units of ``mean_norm``."""
    return float(values.detach().norm(dim=-1).max()) / mean_norm


def clip_rows(values: Tensor, limit: float) -> Tensor:
    """``[k, H]`` with every row's norm at most ``limit``; shorter rows are unchanged to the bit."""
    norms = values.norm(dim=-1, keepdim=True)
    return torch.where(norms > limit, values * (limit / norms), values)


def _read(path: Path) -> tuple[Tensor, dict[str, str]]:
    tensors, header = atomic.read_tensors(path)
    if TENSOR not in tensors or tensors[TENSOR].dim() != 2:
        raise TrainingError(f"{path} holds no soft prompt", why=f"it has no [k, H] '{TENSOR}'")
    values, seal = tensors[TENSOR].float(), header.pop(SEAL, None)
    if seal is not None and seal != _seal(values, header):  # another program's has none
        raise RunError(f"{path} is damaged", why="it is not what was written")
    return values, header


def _seal(values: Tensor, header: Mapping[str, str]) -> str:
    content = json.dumps(header, sort_keys=True).encode()
    return hashlib.sha256(content + values.detach().cpu().numpy().tobytes()).hexdigest()
