"""Can these two models be compared? Refuse with a reason, or say what is unusual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from softdiv.errors import PairError
from softdiv.pair.layout import Layout
from softdiv.pair.sharding import shard_of


@attrs.frozen
class PairReport:
    """What was found before any work."""

    vocab_size: int
    """Logits compared: token ids that mean the same in both models, without a head's padding."""
    identical: bool
    """Every weight tensor is equal."""
    notes: tuple[str, ...]


def check_pair(model_1: Any, tokenizer_1: Any, model_2: Any, tokenizer_2: Any) -> PairReport:
    """Compare tokenizers, vocabularies, chat templates and sizes.

    Raises:
        PairError: token ids do not mean the same text in both, or a soft prompt cannot be shared.
    """
    notes: list[str] = []
    heads = [int(model.get_output_embeddings().weight.shape[0]) for model in (model_1, model_2)]
    vocab = _shared_tokens(tokenizer_1, tokenizer_2, heads, notes)
    if (tokenizer_1.chat_template or "") != (tokenizer_2.chat_template or ""):
        notes.append("the chat templates differ; model_1's is used for both")
    if not tokenizer_1.chat_template:
        notes.append("no chat template: texts are continued as plain text")
    if max(heads) > vocab:
        notes.append(
            f"heads of {heads[0]} and {heads[1]} rows; the first {vocab} mean the same token in "
            "both, the rest is left out of every distribution"
        )
    tied = [heads_are_tied(model) for model in (model_1, model_2)]
    if tied[0] != tied[1]:
        names = ["tied" if is_tied else "untied" for is_tied in tied]
        notes.append(f"the heads are {names[0]} and {names[1]} to the embeddings")
    sizes = [int(m.get_input_embeddings().weight.shape[1]) for m in (model_1, model_2)]
    if sizes[0] != sizes[1]:
        raise PairError(
            f"hidden sizes differ: {sizes[0]} and {sizes[1]}",
            why="one soft prompt cannot be fed to both models",
            fix="choose two models of one size",
        )
    _usable(tokenizer_1, vocab)
    return PairReport(vocab, _identical(model_1, model_2), tuple(notes))


def _usable(tokenizer: Any, vocab: int) -> None:
    """Raises PairError if a conversation needs a token beyond the shared ones."""
    context = Layout(tokenizer, "user_start").soft("Hello.")
    needed = {*context.before, *context.after, tokenizer.eos_token_id or 0}
    missing = sorted(i for i in needed if i >= vocab)
    if missing:
        names = ", ".join(repr(t) for t in tokenizer.convert_ids_to_tokens(missing))
        raise PairError(
            f"the chat template or the end of a turn needs {names}",
            why="which the two models do not share",
            fix="compare models that share a chat format, or give model_1 another tokenizer",
        )


def _shared_tokens(
    tokenizer_1: Any, tokenizer_2: Any, heads: Sequence[int], notes: list[str]
) -> int:
    """V: ids below it mean the same text in both tokenizers and have a row in both heads.

    A tuned model often has a few special tokens more at the end; those, and rows that pad a
    head to a round number, are left out. Ordinary tokens must all be shared.
    """
    vocab_1, vocab_2 = tokenizer_1.get_vocab(), tokenizer_2.get_vocab()
    added = {*tokenizer_1.get_added_vocab(), *tokenizer_2.get_added_vocab()}
    differing = [t for t in vocab_1 if vocab_1[t] != vocab_2.get(t)]
    differing += [t for t in vocab_2 if t not in vocab_1]
    ordinary = [t for t in differing if t not in added]
    first = min(
        (i for t in differing for i in (vocab_1.get(t), vocab_2.get(t)) if i is not None),
        default=max(vocab_1.values()) + 1,
    )
    shared = set(vocab_1) - set(differing)
    ordinary += [t for t in shared if vocab_1[t] >= first and t not in added]
    if ordinary:
        raise PairError(
            f"the tokenizers differ in {len(ordinary)} of {len(vocab_1)} tokens "
            f"(first: {ordinary[0]!r})",
            why="the same ids would mean different texts",
            fix="compare models that share a tokenizer",
        )
    if differing:
        named = ", ".join(repr(t) for t in differing[:5])
        notes.append(f"{len(differing)} special tokens are not in both tokenizers: {named}")
    vocab: int = min(first, *heads)
    lost = [t for t, i in vocab_1.items() if vocab <= i < first]
    if [t for t in lost if t not in added]:
        raise PairError(
            f"the smaller head has {min(heads)} rows, the tokenizer {len(vocab_1)} tokens",
            fix="load the models with their own tokenizer",
        )
    if lost:
        notes.append(f"special tokens without a row in the head: {', '.join(sorted(lost)[:5])}")
    _same_splits(tokenizer_1, tokenizer_2)
    return vocab


def _same_splits(tokenizer_1: Any, tokenizer_2: Any) -> None:
    probe = "How do these two differ? 12,345 naïve café\n"
    if tokenizer_1(probe)["input_ids"] != tokenizer_2(probe)["input_ids"]:
        raise PairError(
            "the tokenizers share a vocabulary but split text differently",
            why="their merge rules or special-token settings differ",
            fix="load both models with one tokenizer",
        )


def heads_are_tied(model: Any) -> bool:
    """Whether the output head is the embedding table itself."""
    head, table = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    return head is table or head.data_ptr() == table.data_ptr()


def _identical(model_1: Any, model_2: Any) -> bool:
    """Of sharded models, as far as this rank sees."""
    state_1, state_2 = (
        {name: shard_of(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
        for model in (model_1, model_2)
    )
    return state_1.keys() == state_2.keys() and all(
        state_2[name] is tensor
        or (state_2[name].shape == tensor.shape and bool(torch.equal(state_2[name], tensor)))
        for name, tensor in state_1.items()
    )
