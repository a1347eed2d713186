"""A stranger's adapter folder, before peft sees it: which kind, whole, and what it would change."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import PairError, did_you_mean
from softdiv.pair.hub import hub_folder
from softdiv.storage.stranger import StoredTensor, read_object, stored_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TEMPLATE, LARGEST_TEMPLATE = "chat_template.jinja", 1 << 20
FACTORS = re.compile(r"\.lora_(A|B|embedding_A|embedding_B|magnitude_vector)(\.|\Z)")
"""Tensors of a LoRA that stand beside the base's weights."""
PLAIN_STARTS = (True, False, None, "gaussian")
"""``init_lora_weights`` that leave the base as it is; others subtract from it."""
KEEPING = ("target_parameters", "modules_to_save", "trainable_token_indices", "layer_replication")
"""Keys of adapters that bring weights of the base, or write into it."""
ELSEWHERE = {"XLORA": "it mixes adapters of other folders", "SHADOW": "it needs another model"}
MOST_LAYERS = 1_000
SECONDS = 10.0
"""For a stranger's regular expressions over all names of a model; milliseconds are usual."""
MATCH = """
import json, re, sys
patterns, names = json.load(sys.stdin)
for pattern in patterns:
    for name in names:
        re.fullmatch(pattern, name), re.match(rf"(.*\\.)?({pattern})$", name)
"""


@attrs.frozen
class Adapter:
    """What an adapter folder holds, from its configuration and the header of its weights."""

    name: str
    """as the user gave it"""
    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]

    @property
    def kind(self) -> str:
        """peft's name of the method, e.g. ``LORA``."""
        return str(self.config.get("peft_type") or "").upper()

    @property
    def made_for(self) -> str:
        """Name of the model it was trained on, as peft wrote it down; empty if it did not."""
        return str(self.config.get("base_model_name_or_path") or "")

    @property
    def chat_template(self) -> str | None:
        """What it was trained with, where the folder says so.

        Raises:
            PairError: the file that says so is damaged.
        """
        file, config = self.folder / TEMPLATE, self.folder / "tokenizer_config.json"
        if file.is_file() and file.stat().st_size <= LARGEST_TEMPLATE:
            return file.read_text(encoding="utf-8", errors="replace")
        found = read_object(config).get("chat_template") if config.is_file() else None
        return found if isinstance(found, str) else None

    @property
    def keeps_base(self) -> bool:
        """Whether loading it writes no tensor of the base, so that both models can share it."""
        config = self.config
        return (
            self.kind == "LORA"
            and config.get("init_lora_weights", True) in PLAIN_STARTS
            and config.get("bias", "none") == "none"
            and not any(config.get(key) for key in KEEPING)
            and all(FACTORS.search(name) and ".experts." not in name for name in self.tensors)
        )

    @property
    def changed_numbers(self) -> int:
        """Of the matrices that a LoRA is added to."""
        rows = {name: t.shape[0] for name, t in self.tensors.items() if ".lora_B." in name}
        return sum(
            rows.get(name.replace(".lora_A.", ".lora_B."), 0) * tensor.shape[1]
            for name, tensor in self.tensors.items()
            if ".lora_A." in name and len(tensor.shape) == 2
        )


def opened(name: str) -> Adapter:
    """The adapter of a folder or hub id; no weight is read.

    Raises:
        PairError: it is not there, is no adapter, holds a pickle only, is damaged, or is of a kind
            that reads from elsewhere.
    """
    folder = Path(name)
    if folder.is_file() or not name.strip():
        folder = hub_folder("adapter", name, None, ())  # says what to give
    if not folder.is_dir():
        nearby = [p.name for p in folder.parent.glob("*")] if folder.parent.is_dir() else []
        if folder.is_absolute() or name.count("/") != 1 or nearby:
            raise PairError(
                f"adapter folder {name} does not exist", fix=did_you_mean(folder.name, nearby)
            )
        folder = hub_folder("adapter", name, None, (CONFIG, WEIGHTS, "tokenizer*", "*.jinja"))
    if not (folder / CONFIG).is_file():
        raise PairError(f"{name} is no adapter", why=f"it has no {CONFIG}")
    config = read_object(folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        # peft would fall back to a pickle, which softdiv never opens
        raise PairError(f"{name} holds no {WEIGHTS}", fix="save it as safetensors")
    adapter = Adapter(name, folder, config, stored_tensors(folder / WEIGHTS))
    _refuse_sizes(adapter)
    if not adapter.kind:
        raise PairError(f"{folder / CONFIG} does not say what kind of adapter it is: no peft_type")
    for tensor, stored in adapter.tensors.items():
        if FACTORS.search(tensor) and not stored.is_float:
            raise PairError(
                f"{name} holds {tensor} as {stored.dtype}, not as floating point numbers",
                fix="give the adapter as it was trained",
            )
    if adapter.kind in ELSEWHERE:
        raise refusal(adapter, ELSEWHERE[adapter.kind])
    if config.get("megatron_config"):
        raise refusal(adapter, "it imports Megatron, which is not supported")
    if config.get("alora_invocation_tokens"):
        raise PairError(
            f"{name} is an activated LoRA",
            why="it acts from certain tokens on, which a soft prompt has not",
            fix="give a model that has it merged into its weights",
        )
    return adapter


def _refuse_sizes(adapter: Adapter) -> None:
    """Raises PairError for ranks that no tensor of the file has: peft would allocate them."""
    config = adapter.config
    ranks = [config.get("r"), config.get("init_r"), config.get("target_r")]
    pattern = config.get("rank_pattern")
    ranks += pattern.values() if isinstance(pattern, Mapping) else []
    largest = max((max(t.shape, default=0) for t in adapter.tensors.values()), default=0)
    layers = config.get("layer_replication")
    spans = [span for span in layers if isinstance(span, list)] if isinstance(layers, list) else []
    wrong = [n for n in ranks if isinstance(n, int) and n > max(largest, MOST_LAYERS)]
    wrong += [n for span in spans for n in span if isinstance(n, int) and n > MOST_LAYERS]
    if wrong or len(spans) > MOST_LAYERS:
        raise PairError(
            f"{adapter.folder / CONFIG} asks for a rank or a layer {max(wrong, default='')}",
            why=f"its tensors have {largest} rows at most",
            fix="download the adapter again",
        )


def refusal(adapter: Adapter, why: str) -> PairError:
    """That this kind of adapter cannot be compared, by its name."""
    return PairError(
        f"{adapter.name} is a {adapter.kind or 'nameless'} adapter, not a LoRA",
        why=f"{why}, and cannot be compared",
        fix="give a model that has it merged into its weights, or write a loader plugin",
    )


def refuse_endless_patterns(adapter: Adapter, names: Iterable[str]) -> None:
    """Try the adapter's regular expressions in a process that can be stopped.

    Args:
        names: of the model's modules and parameters, which peft matches them with.

    Raises:
        PairError: they take too long, or are none.
    """
    patterns = [*_patterns(adapter.config)]
    if not any(set(pattern) & set("*+{") for pattern in patterns):
        return
    try:
        done = subprocess.run(  # noqa: S603 (our own lines; the patterns are its input)
            [sys.executable, "-I", "-c", MATCH],
            input=json.dumps([patterns, list(names)]),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        why = (done.stderr.strip().splitlines() or [""])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired:
        why = f"matching them takes over {SECONDS:g} s"
    if why:
        raise PairError(
            f"the patterns of {adapter.folder / CONFIG} cannot be used",
            why=why,
            fix="name the modules in target_modules instead",
        )


def _patterns(config: Mapping[str, Any]) -> Iterable[str]:
    for key in ("target_modules", "exclude_modules", "layers_pattern", "feedforward_modules"):
        value = config.get(key)
        if isinstance(value, str):
            yield value
        elif key == "layers_pattern" and isinstance(value, list):
            yield from (item for item in value if isinstance(item, str))
    for key in ("rank_pattern", "alpha_pattern"):
        value = config.get(key)
        if isinstance(value, Mapping):
            yield from (item for item in value if isinstance(item, str))
