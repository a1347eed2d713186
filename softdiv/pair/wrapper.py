"""One frozen causal language model: embed, forward, head. Every forward pass is charged here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint, noop_context_fn
from transformers import DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer

from softdiv.errors import PairError
from softdiv.pair.layers import body_of
from softdiv.pair.ledger import Ledger
from softdiv.pair.lockstep import ShardTurn
from softdiv.pair.own_head import logits_of
from softdiv.pair.own_scale import scale_of_ids
from softdiv.plugin.failures import reason

HEAD_TOLERANCE = 2e-2
"""Largest |logit| difference, relative to the logits' scale, between our head and the model's own
(bfloat16 rounds at 8e-3)."""
NEVER = -1e9
"""Log-probability (nats) of a token left out: its probability is exactly 0, and, unlike with -inf,
no difference or product of two of them is NaN."""


@attrs.define(eq=False)
class ModelWrapper:
    """A consistent interface across architectures.

    Args:
        name: ``"model_1"`` or ``"model_2"``, for messages.
        model: a transformers causal model; frozen and put in eval mode here.
        tokenizer: its tokenizer.
        ledger: who pays; shared by the pair.
        vocab_size: V, the logits kept; padding rows of the head beyond it are dropped.
        turn: what to do before every pass, where the weights are sharded over ranks.
        left_out: token ids below V that get no probability.

    Raises:
        PairError: the model has no separate decoder body and head, or its logits are not
            ``head(body(x))`` (checked once on a short input).
    """

    name: str
    model: Any
    tokenizer: Any
    ledger: Ledger = attrs.field(factory=Ledger)
    vocab_size: int | None = None
    turn: ShardTurn | None = None
    left_out: tuple[int, ...] = ()
    keeps_cache: bool = attrs.field(init=False, default=True)
    """Whether it decodes from the keys and values of earlier tokens. Where the self-check finds
    that these do not give the model's own answers, each token runs its whole row anew."""
    _prefixes: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = attrs.field(
        init=False, factory=dict
    )
    _recomputing: bool = attrs.field(init=False, default=False)
    _plain_head: bool = attrs.field(init=False, default=True)
    _scale: float = attrs.field(init=False, default=1.0)

    def __attrs_post_init__(self) -> None:
        self.model.requires_grad_(False).eval()
        if self.device.type == "cuda":
            # cuDNN's attention plans anew for every shape, and decoding has one for every token:
            # a step of `make gpu` in bf16 took 2.1 s on an H100, and 0.09 s without it
            torch.backends.cuda.enable_cudnn_sdp(False)
        if self.vocab_size is None:
            self.vocab_size = int(self.model.get_output_embeddings().weight.shape[0])
        self._check_head()

    @property
    def device(self) -> torch.device:
        """Where the input embeddings are."""
        return self.embedding_table.device

    @property
    def embedding_table(self) -> Tensor:
        """``[V, H]``."""
        table: Tensor = self.model.get_input_embeddings().weight
        return table

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.embedding_table.shape[1])

    @property
    def max_positions(self) -> int | None:
        """Positions the model was made for; None where its configuration does not say.

        With ``longrope`` (Phi-3's) only those up to which a batch's longest row does not change
        the rotary frequencies of all others, and of a cached prefix.
        """
        config = self.model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        rope = getattr(config, "rope_parameters", None) or {}
        if rope.get("rope_type") == "longrope":
            limit = rope.get("original_max_position_embeddings", limit)
        return limit if limit and limit > 0 else None  # XLNet's says -1

    @property
    def window(self) -> int | None:
        """Positions that each layer sees, where some layer slides or works in chunks."""
        layers = DynamicCache(config=self.model.config).layers if self.keeps_cache else ()
        windows = [layer.sliding_window for layer in layers if layer.is_sliding]
        # GPT-Neo's, which its cache does not know of
        windows.append(getattr(self.model.config, "window_size", None))
        return min((size for size in windows if size is not None), default=None)

    def ordinary_ids(self) -> list[int]:
        """Ids with text of their own: no special, added (control) or left out tokens."""
        tokenizer = self.tokenizer
        barred = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
        barred |= set(self.left_out)
        top = min(len(tokenizer), self.embedding_table.shape[0], self.vocab_size or 0)
        return [i for i in range(top) if i not in barred]

    def embed(self, ids: Tensor) -> Tensor:
        """``[..., L]`` token ids to ``[..., L, H]`` input embeddings."""
        embedded: Tensor = self.model.get_input_embeddings()(ids)
        return embedded if self._scale == 1 else embedded * self._scale

    def hidden(
        self, embeds: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache | None = None
    ) -> Tensor:
        """Final hidden states, normalised as the head expects them.

        Args:
            embeds: ``[B, L, H]``.
            mask: ``[B, P + L]``, 1 for real positions, over the P cached positions too.
            positions: ``[B, L]`` position ids.
            cache: keys and values of P earlier positions; extended in place.

        A model that keeps no cache is told neither mask nor positions: its rows begin at 0 and
        their padding is behind them, where a causal model cannot see it.

        Returns:
            ``[B, L, H]``.
        """
        self.ledger.charge(
            embeds.shape[0] * embeds.shape[1],
            with_backward=torch.is_grad_enabled() and embeds.requires_grad,
            recomputed=self._recomputing,
        )
        if self.turn is not None:
            self.turn.before_forward()
        where: dict[str, Any] = {}
        if self.keeps_cache:
            where = {
                "attention_mask": mask,
                "position_ids": positions,
                "past_key_values": cache,
            }
        out = body_of(self.model)(
            inputs_embeds=embeds.to(self.embedding_table.dtype),
            use_cache=cache is not None,
            **where,
        )
        states: Tensor = out.last_hidden_state
        return states if self.turn is None else self.turn.before_backward(states)

    @contextmanager
    def recomputing(self) -> Iterator[None]:
        """Forward passes inside keep only the input of each decoder layer for the backward pass,
        which computes the rest again (gradient checkpointing, Chen et al. 2016).

        Raises:
            PairError: the architecture has no such layers.
        """
        layers = [m for m in self.model.modules() if isinstance(m, GradientCheckpointingLayer)]
        if not layers:
            raise PairError(
                f"{self.name} ({self.model.config.model_type}) has no gradient checkpointing",
                fix="set training.gradient_checkpointing = false",
            )
        self._recomputing = True
        for layer in layers:
            # set here: transformers renamed the method that does it, and its default is reentrant
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(
                checkpoint,
                use_reentrant=False,
                context_fn=partial(self.turn.while_recomputing, layer)
                if self.turn
                else noop_context_fn,
            )
            layer.training = True  # of this module alone: dropout inside it stays off
        try:
            yield
        finally:
            self._recomputing = False
            for layer in layers:
                layer.training = layer.gradient_checkpointing = False

    def head(self, states: Tensor) -> Tensor:
        """``[..., H]`` hidden states to ``[..., V]`` logits, fp32."""
        if not self._plain_head:
            return self.shown(logits_of(self.model, states))
        logits = self.shown(self.model.get_output_embeddings()(states))
        cap = getattr(self.model.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    def shown(self, logits: Tensor) -> Tensor:
        """The ``[..., V]`` logits that are compared, fp32, of all that the head gives."""
        return logits[..., : self.vocab_size].float()

    def log_probs(self, states: Tensor) -> Tensor:
        """``[..., H]`` hidden states to ``[..., V]`` log-probabilities, nats, fp32."""
        return self.normalised(self.head(states))

    def log_probs_of(self, states: Tensor, tokens: Tensor) -> Tensor:
        """``[N, H]`` hidden states and ``[N]`` tokens to ``[N]`` log-probabilities, nats, fp32.

        More exact than :meth:`log_probs`: on a CPU torch's ``log_softmax`` is 1.5e-5 nats too large
        at 262,144 entries, whatever they are, and 4e-6 at 49,152; ``logsumexp`` is not.
        """
        logits = self._without_left_out(self.head(states))
        return logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(dim=-1)

    def normalised(self, logits: Tensor) -> Tensor:
        """``[..., V]`` logits to log-probabilities; those of ``left_out`` are :data:`NEVER`."""
        return torch.log_softmax(self._without_left_out(logits), dim=-1)

    def _without_left_out(self, logits: Tensor) -> Tensor:
        if not self.left_out:
            return logits
        index = torch.tensor(self.left_out, device=logits.device)
        return logits.index_fill(-1, index, NEVER)

    def prefix_cache(self, ids: Sequence[int], batch: int) -> DynamicCache:
        """Keys and values of a shared prefix, computed once and repeated for ``batch`` rows."""
        key = tuple(ids)
        if key not in self._prefixes:
            self._prefixes.clear()  # one prefix at a time is enough, and memory stays bounded
            tokens = torch.tensor([key], device=self.device)
            cache = DynamicCache(config=self.model.config)
            with torch.no_grad():
                self.hidden(
                    self.embed(tokens),
                    torch.ones_like(tokens),
                    torch.arange(len(key), device=self.device)[None],
                    cache,
                )
            self._prefixes[key] = [(layer.keys, layer.values) for layer in cache.layers]
        layers = self._prefixes[key]
        repeated = [
            (k.expand(batch, *k.shape[1:]), v.expand(batch, *v.shape[1:])) for k, v in layers
        ]
        return DynamicCache(repeated, config=self.model.config)

    def forget_prefixes(self) -> None:
        """Compute (and pay for) shared prefixes anew. Done wherever a killed run can go on, so
        that one that was never killed has spent as much."""
        self._prefixes.clear()

    @property
    def cached_prefix(self) -> tuple[int, ...]:
        """Ids of the prefix whose keys and values are held; empty when there is none."""
        return next(iter(self._prefixes), ())

    @torch.no_grad()
    def attentions(self, ids: Sequence[int]) -> list[Tensor]:
        """Attention weights over one row of L token ids, no gradient.

        Only the eager kernel returns them: it is switched on for this pass and off again.

        Returns:
            ``[heads, L, L]`` fp32 per layer that attends, query by key; each row sums to 1.

        Raises:
            PairError: the architecture returns no attention weights.
        """
        row = torch.tensor([list(ids)], device=self.device)
        self.ledger.charge(row.shape[1], with_backward=False)
        before = self.model.config._attn_implementation
        if self.turn is not None:
            self.turn.before_forward()
        try:
            self.model.set_attn_implementation("eager")
            out = body_of(self.model)(input_ids=row, output_attentions=True, use_cache=False)
        finally:
            self.model.set_attn_implementation(before)
        weights = [layer[0].float() for layer in out.attentions or () if layer is not None]
        if not weights:
            raise PairError(
                f"{self.name} ({self.model.config.model_type}) returns no attention weights"
            )
        return weights

    def _check_head(self) -> None:
        """Use the head alone where that gives the logits, else all that follows the body."""
        ids = torch.tensor([[1, 2, 3]], device=self.device)
        if self.model.get_output_embeddings() is None:
            raise PairError(f"{self.name} is not a causal language model with a separate head")
        body = body_of(self.model)
        with torch.no_grad():
            try:
                logits, states = _logits_and_states(self.model, body, ids)
                theirs = self.shown(logits)
            except Exception as error:  # whatever an architecture wants is its own to say
                raise PairError(
                    f"{self.name} ({self.model.config.model_type}) does not answer token ids alone",
                    why=reason(error)[:200],
                    fix="this architecture is not supported",
                ) from error
            if not torch.isfinite(theirs).all():
                raise PairError(
                    f"{self.name} answers with numbers that are not finite",
                    fix="its weights are damaged, or too large for its dtype",
                )
            limit = HEAD_TOLERANCE * float(theirs.abs().max().clamp(min=1))
            for plain in (True, False):
                self._plain_head = plain
                with suppress(Exception):  # Electra's head is narrower than its body
                    if float((self.head(states) - theirs).abs().max()) <= limit:
                        self._scale = scale_of_ids(self.model, ids, states, HEAD_TOLERANCE)
                        return
        raise PairError(
            f"{self.name} ({self.model.config.model_type}) changes its logits after the head",
            why="softdiv computes log-probabilities from hidden states and would be wrong",
            fix="this architecture is not supported",
        )


def _logits_and_states(model: Any, body: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """``[1, L, V]`` and the body's final ``[1, L, H]``, of one pass where the model runs its body
    as a whole."""
    seen: list[Any] = []
    hook = body.register_forward_hook(lambda _, inputs, out: seen.append(out))
    try:
        logits: Tensor = model(input_ids=ids).logits
    finally:
        hook.remove()
    found = getattr(seen[0], "last_hidden_state", None) if len(seen) == 1 else None
    return logits, body(input_ids=ids).last_hidden_state if found is None else found
