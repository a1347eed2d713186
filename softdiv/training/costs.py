"""What a training has cost, on all ranks together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from softdiv.pair.manager import ModelPair
from softdiv.ranks.group import Ranks


@attrs.frozen(eq=False)
class Costs:
    """The pair's ledger, and the cached prefixes: whether one is there decides the next cost."""

    pair: ModelPair
    ranks: Ranks

    def pool(self) -> None:
        """Move what all ranks have spent to rank 0's ledger."""
        ledger = self.pair.ledger
        spent: Counter[str] = Counter()
        for part in self.ranks.gather(ledger.by_phase):
            spent.update(part)
        self._set(spent)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`softdiv.training.state.Stateful`."""
        self.pool()
        prefixes = [list(model.cached_prefix) for model in self.pair.models]
        return {"ledger": dict(self.pair.ledger.by_phase), "prefixes": prefixes}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """See :class:`softdiv.training.state.Stateful`; reads the prefixes again."""
        for model, prefix in zip(self.pair.models, state["prefixes"], strict=True):
            if prefix:
                model.prefix_cache(prefix, 1)
        self._set(state["ledger"])

    def _set(self, spent: Mapping[str, int]) -> None:
        ledger = self.pair.ledger.by_phase
        ledger.clear()
        if self.ranks.first:
            ledger.update(spent)
