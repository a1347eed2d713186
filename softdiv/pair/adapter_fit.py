"""An adapter that was loaded, measured: every tensor in its place, and an effect on the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.errors import PairError
from softdiv.pair.adapter import Adapter, refusal
from softdiv.storage.stranger import StoredTensor, read_stored

PREFIX = "base_model.model."
PROBE = 8
"""Token ids of the short forward pass, beside those the adapter trains."""
ALIKE = 1e-4
"""Of two ways to compute the same logits, relative to their scale (fp32)."""


def fit_vocabulary(model: Any, adapter: Adapter) -> int | None:
    """Resize the embeddings to those that the adapter brings, if they have other rows.

    Returns:
        The new number of rows; None where nothing was to do.

    Raises:
        PairError: it brings one of two tables that the model keeps apart.
    """
    tables = {"embeddings": model.get_input_embeddings(), "head": model.get_output_embeddings()}
    modules = {id(module): name for name, module in model.named_modules()}
    brought = {}
    for what, module in tables.items():
        base = f"{PREFIX}{modules[id(module)]}"
        for name in (f"{base}.weight", f"{base}.base_layer.weight"):
            if name in adapter.tensors:
                brought[what] = adapter.tensors[name].shape[0]
    own = int(tables["embeddings"].weight.shape[0])
    if not brought or set(brought.values()) == {own}:
        return None
    tied = tables["embeddings"].weight is tables["head"].weight
    rows = max(brought.values())
    if len(set(brought.values())) > 1 or (len(brought) == 1 and not tied):
        raise PairError(
            f"{adapter.name} brings {' and '.join(f'{n} of {r} rows' for n, r in brought.items())}",
            why=f"the model has {own} rows in both, and they are not tied",
            fix="save it with both: model.save_pretrained(..., save_embedding_layers=True)",
        )
    model.resize_token_embeddings(rows, mean_resizing=False)
    return rows


def check_filled(adapter: Adapter, wrapped: Any, slots: Mapping[str, Tensor], result: Any) -> None:
    """Compare what the file holds with what stands in the model.

    Args:
        wrapped: peft's model.
        slots: its tensors of this adapter, under the names of the file.
        result: what peft returned on loading.

    Raises:
        PairError: a tensor found no place, a place got no tensor, or its values are others.
    """
    lost = sorted(name.replace(".default", "") for name in result.unexpected_keys)
    if lost:
        raise PairError(
            f"{len(lost)} of the {len(adapter.tensors)} tensors of adapter '{adapter.name}' have "
            f"no place in this model, e.g. {lost[0]}",
            fix="it was made for another model",
        )
    state = wrapped.state_dict()
    missing = set(result.missing_keys)
    loaded = {tensor.data_ptr() for name, tensor in state.items() if name not in missing}
    empty = [name for name in sorted(missing) if state[name].data_ptr() not in loaded]
    empty += [name for name in slots if name not in adapter.tensors]
    apart = [name for name in adapter.tensors if name not in slots and name not in state]
    if apart and not missing:  # peft renamed or joined them: experts of a mixture
        empty = []
        _check_sums(adapter, [slots[n] for n in slots if n not in adapter.tensors], apart)
    if empty:
        names = sorted({name.replace(".default", "") for name in empty})
        raise PairError(
            f"adapter '{adapter.name}' lacks {len(names)} of its tensors, e.g. {names[0]}",
            why="peft would leave them as they start",
            fix="download it again, or save it again",
        )
    for name, tensor in adapter.tensors.items():
        place = slots.get(name, state.get(name))
        if place is not None and not bool(place.isfinite().all()):
            raise PairError(
                f"{name} of adapter '{adapter.name}' holds NaN or infinity",
                fix="it is damaged, or its training diverged",
            )
        if place is not None and not _equal(tensor, name, place):
            raise PairError(f"{name} of adapter '{adapter.name}' was not loaded as it is stored")


def _equal(tensor: StoredTensor, name: str, place: Tensor) -> bool:
    value = read_stored(tensor, name).to(place.device)
    return bool(torch.equal(value.to(place.dtype), place) or torch.equal(value, place.to(value)))


def _check_sums(adapter: Adapter, places: list[Tensor], names: list[str]) -> None:
    """Joining and reordering tensors keeps the sum of their squares. Raises PairError."""
    stored = sum(float(read_stored(adapter.tensors[n], n).double().square().sum()) for n in names)
    loaded = sum(float(place.double().square().sum()) for place in places)
    if abs(stored - loaded) > 1e-3 * stored:
        raise PairError(
            f"adapter '{adapter.name}' was not loaded as it is stored",
            why=f"{len(names)} tensors such as {names[0]} were joined, and something was lost",
            fix="merge it into its base and give that model's folder",
        )


@attrs.frozen(eq=False)
class ReferencePass:
    """A short forward pass of the model as it was before the adapter."""

    adapter: Adapter
    ids: Tensor
    logits: Tensor

    @classmethod
    def of(cls, model: Any, adapter: Adapter) -> ReferencePass:
        """Run it. The ids hold every token that the adapter trains by itself."""
        trained = adapter.config.get("trainable_token_indices") or adapter.config.get(
            "token_indices"
        )
        if isinstance(trained, Mapping):  # by module
            trained = [i for each in trained.values() if isinstance(each, list) for i in each]
        device = model.get_input_embeddings().weight.device
        rows = int(model.get_input_embeddings().weight.shape[0])
        spread = range(1, rows, max(1, rows // PROBE))
        listed = trained if isinstance(trained, list) else []
        own = [i for i in listed if isinstance(i, int) and 0 <= i < rows]
        ids = torch.tensor([[*spread][:PROBE] + own], device=device)
        return cls(adapter, ids, _logits(model, ids))

    def check(self, wrapped: Any, base: Any, *, resized: bool) -> None:
        """Whether the bare model computes what peft's model does, and not what it did before.

        Args:
            base: what stays, ``wrapped`` without peft's own forward pass around it.
            resized: whether the adapter brought other embeddings, an effect of its own.

        Raises:
            PairError: the adapter acts outside the model's layers, or changes nothing.
        """
        bare, whole = _logits(base, self.ids), _logits(wrapped, self.ids)
        scale = float(whole.abs().max().clamp(min=1))
        if bare.shape != whole.shape or float((bare - whole).abs().max()) > ALIKE * scale:
            raise refusal(self.adapter, "it acts outside the model's layers")
        if not resized and torch.equal(bare, self.logits):
            raise PairError(
                f"adapter '{self.adapter.name}' changes nothing",
                why="the model answers with the same numbers as without it",
                fix="was it trained? The factors of a new one multiply to zero",
            )


@torch.no_grad()
def _logits(model: Any, ids: Tensor) -> Tensor:
    found: Tensor = model.eval()(input_ids=ids, use_cache=False).logits
    return found.float()
