"""Small tokenizers of the families people have, trained on the shipped texts in a second."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from typing import Any, Literal

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from softdiv.data.shipped_texts import user_texts

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ m['content'] }} "
    "[/INST]{% else %} {{ m['content'] }} </s>{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}<|head|>{{ m['role'] }}<|/head|>\n\n"
    "{{ m['content'] | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)

Family = Literal["legacy", "first", "unigram"]


@functools.cache
def _byte_level(size: int, specials: tuple[str, ...]) -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((text for _, text, _ in user_texts()), trainer)
    return core


def byte_level(
    template: str | None = CHATML,
    *,
    size: int = 512,
    specials: Sequence[str] = ("<|im_start|>", "<|im_end|>"),
    added: Sequence[str] = (),
    special: bool = True,
) -> Any:
    """As GPT-2's. ``added`` tokens come behind the ordinary ones."""
    made = PreTrainedTokenizerFast(
        tokenizer_object=copy.deepcopy(_byte_level(size, tuple(specials))),
        bos_token=specials[0],
        eos_token=specials[1],
        pad_token=specials[1],
        chat_template=template,
    )
    made.add_tokens([AddedToken(t, special=special) for t in added], special_tokens=special)
    return made


@functools.cache
def _pieces() -> dict[str, Any]:
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>", *bytes_], show_progress=False
    )
    core.train_from_iterator((text for _, text, _ in user_texts()), trainer)
    found: dict[str, Any] = json.loads(core.to_str())
    return found


def sentencepiece(family: Family, template: str | None) -> Any:
    """As Llama 2's (``legacy``: a dummy space before every piece of text), Mistral's (``first``:
    before the first), or a unigram model."""
    if family == "unigram":
        return _unigram(template)
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if family == "legacy":
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        core.normalizer = normalizers.Sequence(steps)
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    whole, trained = json.loads(core.to_str()), _pieces()
    whole["model"].update({key: trained["model"][key] for key in ("vocab", "merges")})
    whole["added_tokens"] = [t for t in trained["added_tokens"] if t["id"] < 3]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(whole)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=template,
    )


@functools.cache
def _unigram_core() -> str:
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(
        vocab_size=700,
        special_tokens=["<unk>", "<s>", "</s>"],
        unk_token="<unk>",
        show_progress=False,
    )
    core.train_from_iterator((text for _, text, _ in user_texts()), trainer)
    found: str = core.to_str()
    return found


def _unigram(template: str | None) -> Any:
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_unigram_core()),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=template,
    )
    # Phi-3's special tokens take the white space behind them along
    turns = [AddedToken(f"<|{r}|>", special=True, rstrip=True) for r in ("user", "assistant")]
    made.add_tokens(turns, special_tokens=True)
    return made
