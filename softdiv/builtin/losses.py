"""Built-in plugin: losses, maximised per response token."""

from __future__ import annotations

import attrs
from torch import Tensor

from softdiv import Loss, Register, Rows, hookimpl
from softdiv.divergence import kernels


@attrs.frozen(kw_only=True)
class JsdLoss:
    """Jensen-Shannon divergence, bits: bounded and symmetric, so no token can dominate."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [0, 1]."""
        return kernels.jsd(rows.log_probs_1, rows.log_probs_2)


@attrs.frozen(kw_only=True)
class KlLoss:
    """KL divergence of one model from the other, nats: unbounded, follows the rarest tokens."""

    reverse: bool = False
    """False: KL(model_2 || model_1); True: KL(model_1 || model_2)."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats."""
        p, q = rows.log_probs_2, rows.log_probs_1
        return kernels.kl(q, p) if self.reverse else kernels.kl(p, q)


@attrs.frozen(kw_only=True)
class TotalVariationLoss:
    """Total variation distance."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` in [0, 1]."""
        return kernels.total_variation(rows.log_probs_1, rows.log_probs_2)


@hookimpl
def softdiv_register_losses(register: Register[Loss]) -> None:
    """Register the losses."""
    register("jsd", JsdLoss)
    register("kl", KlLoss)
    register("total_variation", TotalVariationLoss)
