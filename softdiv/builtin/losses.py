"""Built-in plugin: losses, maximised per response token."""

from __future__ import annotations

import attrs
from torch import Tensor

from softdiv import Loss, Register, Rows, hookimpl
from softdiv.builtin.token_metrics import Jsd as JsdLoss, TotalVariation
from softdiv.divergence import kernels


@attrs.frozen(kw_only=True)
class KlLoss:
    """KL divergence of one model from the other, nats: unbounded, follows the rarest tokens."""

    reverse: bool = False
    """False: KL(model_2 || model_1); True: KL(model_1 || model_2)."""

    def __call__(self, rows: Rows) -> Tensor:
        """``[N]`` nats."""
        p, q = rows.log_probs_2, rows.log_probs_1
        return kernels.kl(q, p) if self.reverse else kernels.kl(p, q)


@hookimpl
def softdiv_register_losses(register: Register[Loss]) -> None:
    """Register the losses: two of them are metrics too."""
    register("jsd", JsdLoss)
    register("kl", KlLoss)
    register("total_variation", TotalVariation)
