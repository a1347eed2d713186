"""Can these two models be compared? Refuse with a reason, or say what is unusual."""

from __future__ import annotations

from typing import Any

import attrs
import torch

from softdiv.config.schema import PairConfig
from softdiv.errors import PairError
from softdiv.pair.sharding import shard_of
from softdiv.pair.shared_tokens import SharedTokens, shared_tokens
from softdiv.pair.template import QUESTION, ChatTemplate, readable_template

_NAMES = frozenset(("_name_or_path", "transformers_version", "architectures"))
"""Of a configuration: where it comes from, not what it computes."""


@attrs.frozen
class PairReport:
    """What was found before any work."""

    vocab_size: int
    """V: logits kept, without a head's padding."""
    identical: bool
    """Every weight tensor is equal."""
    notes: tuple[str, ...]
    same_settings: bool = False
    """Architecture, configuration and what is computed from it are equal too."""
    left_out: tuple[int, ...] = ()
    """Ids below V that do not mean the same in both models; they have no probability."""
    unshared: frozenset[int] = attrs.field(default=frozenset(), repr=False)
    """Ids that a tokenizer knows and the models do not share; no text may need one."""
    ends: tuple[tuple[str, int], ...] = ()
    """Tokens that end an answer, with their ids."""

    @property
    def same(self) -> bool:
        """One and the same model twice: there is nothing to find."""
        return self.identical and self.same_settings

    @property
    def shared_tokens(self) -> int:
        """Token ids that mean the same in both models: those compared."""
        return self.vocab_size - len(self.left_out)


def check_pair(
    model_1: Any, tokenizer_1: Any, model_2: Any, tokenizer_2: Any, template: ChatTemplate
) -> PairReport:
    """Compare tokenizers, vocabularies and sizes, and see what the chat template needs.

    Args:
        template: the one both models are given.

    Raises:
        PairError: token ids do not mean the same text in both, the template cannot be used, or a
            soft prompt cannot be shared.
    """
    for which, model in (("model_1", model_1), ("model_2", model_2)):
        _refuse_what_is_no_number(which, model)
    heads = [int(model.get_output_embeddings().weight.shape[0]) for model in (model_1, model_2)]
    tokens = shared_tokens(tokenizer_1, tokenizer_2, heads)
    notes = list(tokens.notes)
    tied = [heads_are_tied(model) for model in (model_1, model_2)]
    if tied[0] != tied[1]:
        names = ["tied" if is_tied else "untied" for is_tied in tied]
        notes.append(f"the heads are {names[0]} and {names[1]} to the embeddings")
    sizes = [int(m.get_input_embeddings().weight.shape[1]) for m in (model_1, model_2)]
    if sizes[0] != sizes[1]:
        raise PairError(
            f"hidden sizes differ: {sizes[0]} and {sizes[1]}",
            why="one soft prompt cannot be fed to both models",
            fix='choose two models of one size, or compare them by text: pair.by = "text"',
        )
    _usable(template, tokens)
    return PairReport(
        vocab_size=tokens.rows,
        left_out=tokens.left_out,
        unshared=tokens.unshared,
        identical=_identical(model_1, model_2),
        same_settings=_same_settings(model_1, model_2),
        notes=tuple(notes),
    )


def _refuse_what_is_no_number(which: str, model: Any) -> None:
    """Raises PairError for NaN or infinity in a weight: a row of the embeddings shows only where
    its token stands, and there every value would be one of these."""
    for name, parameter in model.named_parameters():
        if parameter.is_meta or not parameter.is_floating_point() or not parameter.numel():
            continue
        values = parameter.detach()
        low, high = torch.aminmax(values if values.element_size() > 1 else values.float())
        if not bool(low.isfinite() & high.isfinite()):
            raise PairError(
                f"{which}: {name} holds NaN or infinity",
                fix="its weights are damaged, or too large for its dtype",
            )


def template_notes(
    template: ChatTemplate, tokenizer_1: Any, tokenizer_2: Any, config: PairConfig
) -> list[str]:
    """Whose chat template both models are given where that is a choice, and what it writes."""
    notes, (own_1, own_2) = [], map(readable_template, (tokenizer_1, tokenizer_2))
    if config.chat_template is not None:
        notes.append(f"both models are given the chat template of {config.chat_template}")
    elif own_1 != own_2:
        which, other = ("model_1", "model_2")[:: 1 if config.template_of == "model_1" else -1]
        lacks = (own_2 if other == "model_2" else own_1) is None
        notes.append(
            f"the chat templates differ: {which}'s is used for both"
            + (f", {other} has none" if lacks else "")
            + f' (pair.template_of = "{other}" uses the other)'
        )
    if template.source is None:
        notes.append("no chat template: texts are continued as plain text")
    if template.writes_date:
        notes.append(
            f"the chat template writes the date: in every run it is {template.date} "
            "(pair.template_date)"
        )
    return notes


def _usable(template: ChatTemplate, tokens: SharedTokens) -> None:
    """Raises PairError if a conversation needs a token beyond the shared ones."""
    tokenizer = template.tokenizer
    eos = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
    needed = {*template.tokens(template.render(QUESTION)), *template.ends, *eos}
    missing = sorted(needed & tokens.unshared)
    if missing:
        names = ", ".join(repr(t) for t in tokenizer.convert_ids_to_tokens(missing))
        raise PairError(
            f"the chat template or the end of a turn needs {names}",
            why="which the two models do not share",
            fix="compare models that share a chat format, use the other's (pair.template_of), or "
            'compare by text: pair.by = "text"',
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


def _same_settings(model_1: Any, model_2: Any) -> bool:
    """Positions, windows and the like are no weights and change every answer."""
    if type(model_1) is not type(model_2):
        return False
    one, two = (
        {k: v for k, v in model.config.to_dict().items() if k not in _NAMES}
        | {"kernel": getattr(model.config, "_attn_implementation", None)}
        for model in (model_1, model_2)
    )
    buffers_1, buffers_2 = dict(model_1.named_buffers()), dict(model_2.named_buffers())
    return (
        one == two
        and buffers_1.keys() == buffers_2.keys()
        and all(
            buffers_2[name] is buffer
            or (buffers_2[name].shape == buffer.shape and torch.equal(buffers_2[name], buffer))
            for name, buffer in buffers_1.items()
        )
    )
