"""Loader ``tiny``: a random model of a real architecture with a real tokenizer, for tests."""

from __future__ import annotations

import functools
from typing import Any, Literal

import attrs
import torch
from attrs.validators import ge

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@attrs.frozen(kw_only=True)
class TinyLoader:
    """Random weights: no knowledge, but every code path of a real pair, in milliseconds."""

    architecture: Literal["llama", "gpt2", "qwen2"] = "llama"
    """Which transformers implementation."""
    hidden_size: int = attrs.field(default=32, validator=ge(8))
    """H, a multiple of 4."""
    layers: int = attrs.field(default=2, validator=ge(1))
    """Decoder layers."""
    vocab_size: int = attrs.field(default=512, validator=ge(300))
    """Byte-pair tokens."""
    seed: int = 0
    """Of the weights."""
    scale: float = attrs.field(default=0.2, validator=ge(0.0))
    """Standard deviation of the weights; larger gives sharper distributions."""
    noise: float = attrs.field(default=0.0, validator=ge(0.0))
    """Standard deviation of noise added to every weight: a model that differs a little."""
    chat: bool = True
    """With a chat template."""

    def load(self, device: str) -> tuple[Any, Any]:
        """A fresh model; the same options give the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self._model()
            if self.noise:
                torch.manual_seed(self.seed + 1)
                for parameter in model.parameters():
                    parameter.data.add_(torch.randn_like(parameter), alpha=self.noise)
        tokenizer = tiny_tokenizer(self.vocab_size, self.chat)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        return model.eval().to(device), tokenizer

    def skeleton(self, device: str = "cpu") -> Any:
        """The same shapes without weights."""
        with torch.device("meta"):
            return self._model()

    def weight_bytes(self, skeleton: Any, other: Any = None) -> int:
        """Of every tensor; nothing is shared."""
        return sum(p.nbytes for p in skeleton.parameters())

    def _model(self) -> Any:
        from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

        common = {
            "vocab_size": self.vocab_size,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "initializer_range": self.scale,
            "tie_word_embeddings": self.architecture != "llama",
        }
        if self.architecture == "gpt2":
            config: Any = GPT2Config(
                n_embd=self.hidden_size, n_layer=self.layers, n_head=4, n_positions=512, **common
            )
        else:
            kind = LlamaConfig if self.architecture == "llama" else Qwen2Config
            config = kind(
                hidden_size=self.hidden_size,
                num_hidden_layers=self.layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=2 * self.hidden_size,
                max_position_embeddings=512,
                **common,
            )
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


@functools.cache
def tiny_tokenizer(vocab_size: int, chat: bool) -> Any:
    """A byte-level BPE tokenizer trained on the shipped texts (deterministic)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from softdiv.data.shipped_texts import user_texts

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    specials = ["<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((text for _, text, _ in user_texts()), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=specials[0],
        eos_token=specials[1],
        pad_token=specials[1],
        chat_template=TEMPLATE if chat else None,
    )
