"""Can these two models be compared? Refuse with a reason, or say what is unusual."""

from __future__ import annotations

from typing import Any

import attrs
import torch

from softdiv.errors import PairError


@attrs.frozen
class PairReport:
    """What was found before any work."""

    vocab_size: int
    """Logits compared: the smaller head, never fewer than the tokenizer's tokens."""
    identical: bool
    """Every weight tensor is equal."""
    notes: tuple[str, ...]


def check_pair(model_1: Any, tokenizer_1: Any, model_2: Any, tokenizer_2: Any) -> PairReport:
    """Compare tokenizers, vocabularies, chat templates and sizes.

    Raises:
        PairError: token ids do not mean the same text in both, or a soft prompt cannot be shared.
    """
    _same_tokens(tokenizer_1, tokenizer_2)
    notes = []
    if (tokenizer_1.chat_template or "") != (tokenizer_2.chat_template or ""):
        notes.append("the chat templates differ; model_1's is used for both")
    if not tokenizer_1.chat_template:
        notes.append("no chat template: texts are continued as plain text")
    heads = [int(model.get_output_embeddings().weight.shape[0]) for model in (model_1, model_2)]
    vocab = min(heads)
    if vocab < len(tokenizer_1):
        raise PairError(
            f"the smaller head has {vocab} rows, the tokenizer {len(tokenizer_1)} tokens",
            fix="load the models with their own tokenizer",
        )
    if heads[0] != heads[1]:
        notes.append(f"heads padded to {heads[0]} and {heads[1]} rows; the first {vocab} are used")
    sizes = [int(m.get_input_embeddings().weight.shape[1]) for m in (model_1, model_2)]
    if sizes[0] != sizes[1]:
        raise PairError(
            f"hidden sizes differ: {sizes[0]} and {sizes[1]}",
            why="one soft prompt cannot be fed to both models",
            fix="choose two models of one size",
        )
    return PairReport(vocab, _identical(model_1, model_2), tuple(notes))


def _same_tokens(tokenizer_1: Any, tokenizer_2: Any) -> None:
    vocab_1, vocab_2 = tokenizer_1.get_vocab(), tokenizer_2.get_vocab()
    if vocab_1 != vocab_2:
        differing = [t for t in vocab_1 if vocab_1[t] != vocab_2.get(t)] or sorted(
            set(vocab_2) - set(vocab_1)
        )
        raise PairError(
            f"the tokenizers differ in {len(differing)} of {len(vocab_1)} tokens "
            f"(first: {differing[0]!r})",
            why="the same ids would mean different texts",
            fix="compare models that share a tokenizer",
        )
    probe = "How do these two differ? 12,345 naïve café\n"
    if tokenizer_1(probe)["input_ids"] != tokenizer_2(probe)["input_ids"]:
        raise PairError(
            "the tokenizers share a vocabulary but split text differently",
            why="their merge rules or special-token settings differ",
            fix="load both models with one tokenizer",
        )


def _identical(model_1: Any, model_2: Any) -> bool:
    state_1, state_2 = model_1.state_dict(), model_2.state_dict()
    return state_1.keys() == state_2.keys() and all(
        state_2[name] is tensor
        or (state_2[name].shape == tensor.shape and bool(torch.equal(state_2[name], tensor)))
        for name, tensor in state_1.items()
    )
