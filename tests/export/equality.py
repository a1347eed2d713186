"""What other libraries make of an exported soft prompt, against softdiv's own path.

``benchmarks/export_equality.py`` writes all of it down; the tests take a part.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.config.schema import Placement
from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import Split
from softdiv.export.loaded import SoftRun
from softdiv.export.peft import Around, peft
from softdiv.export.vllm import EMBEDS, vllm
from softdiv.pair.decoder import start_decoding
from softdiv.pair.layout import Context
from softdiv.pair.manager import ModelPair
from softdiv.pair.wrapper import ModelWrapper
from softdiv.plugin.records import Example
from softdiv.stages.work import LoadedPair

STEPS, TEXTS, TOKENS = 8, 4, 5
BOS_ONCE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}<|im_end|>\n{% endfor %}"
    "[assistant] "
)
"""A chat template that opens the conversation with BOS, as Llama 3's and Gemma's do."""


@attrs.frozen
class Answer:
    """A greedy answer of T tokens, and the ``[T, V]`` log-probabilities it was taken from."""

    ids: tuple[int, ...]
    log_probs: Tensor

    @classmethod
    def of(cls, logits: Sequence[Tensor]) -> Answer:
        rows = torch.stack([row.float().reshape(-1) for row in logits]).log_softmax(-1)
        return cls(tuple(rows.argmax(-1).tolist()), rows)

    def far(self, other: Answer) -> float:
        """Largest difference, nats, up to and with the first token in which they differ."""
        same = [a == b for a, b in zip(self.ids, other.ids, strict=True)]
        upto = (same.index(False) if False in same else len(same) - 1) + 1
        return float((self.log_probs[:upto] - other.log_probs[:upto]).abs().max())


def soft_run(
    placement: Placement = "prefix", architecture: str = "llama", template: str | None = None
) -> SoftRun:
    """A tiny pair with a soft prompt that no token has."""
    first = TinyLoader(architecture=architecture, scale=0.3)  # type: ignore[arg-type]
    model_1, tokenizer = first.load("cpu")
    model_2, _ = attrs.evolve(first, noise=0.1).load("cpu")
    if template is not None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.chat_template = template
    pair = ModelPair.of(model_1, model_2, tokenizer)
    texts = sorted(user_texts(), key=lambda row: len(row[1]))[: 4 * TEXTS : 4]
    examples = tuple(Example(id=i, text=t) for i, t, _ in texts)
    generator = torch.Generator().manual_seed(0)
    table = pair.model_1.embedding_table
    soft = torch.randn(TOKENS, table.shape[1], generator=generator) * float(table.std())
    split = Split(train=(), val=(), test=examples)
    return SoftRun(
        loaded=LoadedPair(split, pair, pair.layout(placement)), soft=soft, examples=examples
    )


@torch.no_grad()
def own(wrapper: ModelWrapper, context: Context, soft: Tensor) -> Answer:
    """softdiv's decoding."""
    decoder, rows = start_decoding(wrapper, [context], soft), []
    for _ in range(STEPS):
        rows.append(decoder.log_probs())
        decoder.advance(rows[-1].argmax(-1))
    return Answer.of(rows)


def generated(model: Any, **inputs: Any) -> list[Answer]:
    """transformers' greedy ``generate``, one answer a row."""
    found = model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=STEPS,
        min_new_tokens=STEPS,  # no end: it would be cut there
        eos_token_id=None,
        pad_token_id=1,
        return_dict_in_generate=True,
        output_logits=True,
    )
    return [Answer.of(rows) for rows in zip(*found.logits, strict=True)]


@attrs.frozen
class Compared:
    """One text: softdiv's own answer and a library's."""

    nats: float
    """largest difference of a log-probability"""
    same_tokens: bool


def differences(run: SoftRun, wrapper: ModelWrapper, folder: Path) -> dict[str, list[Compared]]:
    """By library, one comparison per text."""
    layout = run.loaded.layout
    contexts = [layout.soft(example) for example in run.examples]
    ours = [own(wrapper, context, run.soft) for context in contexts]
    found: dict[str, list[Answer]] = {"transformers": [], "vllm tensor": []}
    embed = wrapper.model.get_input_embeddings()
    vllm(run, folder / "vllm")
    tensors = load_file(folder / "vllm" / wrapper.name / EMBEDS)
    for example, context in zip(run.examples, contexts, strict=True):
        before, after = (
            embed(torch.tensor(ids, dtype=torch.long)) for ids in (context.before, context.after)
        )
        row = torch.cat([before, run.soft, after])[None]
        mask = torch.ones(row.shape[:2], dtype=torch.long)
        found["transformers"] += generated(wrapper.model, inputs_embeds=row, attention_mask=mask)
        row = tensors[example.id][None]
        found["vllm tensor"] += generated(wrapper.model, inputs_embeds=row, attention_mask=mask)
    if layout.placement == "prefix":
        with warnings.catch_warnings():
            # peft 0.21 reads an attribute that transformers 5.23 renamed, and is given position
            # ids by every `generate`
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            warnings.filterwarnings("ignore", "Position ids are not supported", UserWarning)
            found |= _of_peft(run, wrapper, folder / "peft")
    return {
        name: [Compared(a.far(b), a.ids == b.ids) for a, b in zip(ours, answers, strict=True)]
        for name, answers in found.items()
    }


def _of_peft(run: SoftRun, wrapper: ModelWrapper, folder: Path) -> Mapping[str, list[Answer]]:
    peft(run, folder)
    model = PeftModel.from_pretrained(wrapper.model, str(folder / wrapper.name))
    skip = Around.of(run.loaded.layout, run.examples).without_bos
    rows = [list(run.loaded.layout.hard(e).before[skip:]) for e in run.examples]
    alone = [
        generated(model, input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row)))[0]
        for row in rows
    ]
    width = max(map(len, rows))
    ids = torch.tensor([[1] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return {
        "peft": alone,
        "peft, padded left": generated(model, input_ids=ids, attention_mask=mask),
    }
