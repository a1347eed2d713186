"""PEFT prompt-tuning adapters; peft itself is not needed to write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from softdiv.errors import RunError
from softdiv.export.loaded import SoftRun, named, refuse_scaled, vectors_of
from softdiv.pair.layout import Context, Layout
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example
from softdiv.storage.atomic import write_json, write_tensors


@attrs.frozen
class Around:
    """Ids that always stand beside the soft prompt: they become virtual tokens too.

    With them a model is given what the run gave it: ``[before][soft][after]`` and then the
    conversation as the chat template writes it, without BOS where that is in ``before``.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    without_bos: bool

    @classmethod
    def of(cls, layout: Layout, examples: Sequence[Example]) -> Around:
        """Of all texts alike.

        Raises:
            RunError: the prompt stands inside the conversation, or the tokenizer joins what is
                beside it with what follows.
        """
        found = {_around(layout.soft(e), layout.hard(e), layout) for e in examples}
        if len(found) == 1 and (one := found.pop()) is not None:
            return one
        inside = layout.placement != "prefix"
        raise RunError(
            f"PEFT cannot express a soft prompt at '{layout.placement}'"
            + ("" if inside else " of this model"),
            why="its virtual tokens stand before everything that the model is given"
            if inside
            else "the tokenizer joins what follows the prompt with the conversation",
            fix="train with training.placement=prefix, or export --format vllm"
            if inside
            else "export --format vllm",
        )

    def virtual_tokens(self, wrapper: ModelWrapper, soft: Tensor) -> Tensor:
        """``[n, H]`` fp32."""
        parts = (vectors_of(wrapper, self.before), soft, vectors_of(wrapper, self.after))
        return torch.cat([part.float() for part in parts])


def _around(slot: Context, plain: Context, layout: Layout) -> Around | None:
    """What stands beside the slot; None where it is not before the whole conversation."""
    bos = layout.tokenizer.bos_token_id
    for without_bos in (False, True):
        text = plain.before[1:] if without_bos else plain.before
        if without_bos and not (plain.before[:1] == slot.before == (bos,)):
            continue
        between = len(slot.after) - len(text)
        if between >= 0 and slot.after[between:] == text and (without_bos or not slot.before):
            return Around(slot.before, slot.after[:between], without_bos)
    return None


def peft(run: SoftRun, folder: Path) -> str:
    """``model_1/`` and ``model_2/``, an adapter for each. Returns the card's text.

    Raises:
        RunError: the placement is one that PEFT cannot express.
        PairError: the model scales embeddings outside their module.
    """
    around = Around.of(run.loaded.layout, run.examples)
    for wrapper in run.models:
        refuse_scaled(wrapper, "PEFT", inside=False)
        _adapter(wrapper, around.virtual_tokens(wrapper, run.soft), folder / wrapper.name)
    count = len(around.before) + len(run.soft) + len(around.after)
    return _about(around, count, len(run.soft))


def _adapter(wrapper: ModelWrapper, tokens: Tensor, folder: Path) -> None:
    write_tensors(
        folder / "adapter_model.safetensors", {"prompt_embeddings": tokens}, {"format": "pt"}
    )
    config = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": named(wrapper),
        "inference_mode": True,
        "num_virtual_tokens": tokens.shape[0],
        "token_dim": tokens.shape[1],
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",
    }
    write_json(folder / "adapter_config.json", config)


def _about(around: Around, count: int, soft: int) -> str:
    beside = count - soft
    told = (
        "**Leave out BOS**: it is the first virtual token, so give the ids of the chat template "
        "without their first."
        if around.without_bos
        else "Give the ids that the chat template writes, as they are."
    )
    return (
        "`model_1/` and `model_2/` are PEFT prompt-tuning adapters, each for the model of that "
        f"name: {count} virtual tokens, {soft} of them the trained soft prompt and {beside} that "
        "always stand beside it (what separates it from the conversation), in the embeddings of "
        "the model they are for.\n\n"
        "    model = PeftModel.from_pretrained(base, 'model_2')\n"
        "    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, "
        "return_tensors='pt', return_dict=True)\n"
        f"    model.generate(**ids{' without BOS' if around.without_bos else ''})\n\n"
        f"{told} Where model_2 is a base with a LoRA, merge that into the base first.\n\n"
        "**One text at a time, or padding on the right.** In a batch padded on the left, PEFT "
        "puts the virtual tokens before the padding: the shorter texts then stand further from "
        "the prompt than they did when it was trained, and their answers change without a "
        "warning (`benchmarks/results/export_equality.json` has by how much)."
    )
