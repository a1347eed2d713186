"""How far the stage under way is, from the compute it has charged: said again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from softdiv.config.load import ExperimentConfig

Spent = Callable[[], Mapping[str, int]]
"""FTE by phase so far."""
SOON = 0.02
"""Share of a stage before which its speed says little of what is left."""
NAMES = {
    "training": "training the soft prompt",
    "validation": "training the soft prompt",
    "search": "searching text prompts",
    "evaluation": "scoring on held-out texts",
    "analysis": "running the models once more for the analysis",
}


def expected_fte(config: ExperimentConfig) -> dict[str, int]:
    """What each phase may cost at most, or about; phases of which nothing is known are not here."""
    from softdiv.stages.plan import CONTEXT_TOKENS

    generation, evaluation = config.generation, config.evaluation
    answer = CONTEXT_TOKENS + max(generation.max_length, evaluation.response_tokens)
    prompts = generation.num_prompts + len(generation.baselines) + 2
    return {
        "search": generation.budget_fte,
        "baseline": generation.budget_fte,
        "evaluation": 4 * prompts * evaluation.test_texts * answer,
    }


@attrs.define(eq=False)
class Ticker:
    """Sends a line to ``say`` every ``every`` seconds, from a thread of its own."""

    say: Callable[[str], None]
    spent: Spent = dict
    expected: Mapping[str, int] = attrs.field(factory=dict)
    now: Callable[[], float] = time.monotonic
    what: str = "starting"
    """the stage, until a phase that charges says which it is"""
    steps: tuple[int, int] | None = None
    """(done, all) of a training"""
    _phase: str = attrs.field(init=False, default="")
    _start: float = attrs.field(init=False, default=0.0)
    _first_step: int = attrs.field(init=False, default=0)
    _before: dict[str, int] = attrs.field(init=False, factory=dict)
    _over: threading.Event = attrs.field(init=False, factory=threading.Event)

    def start(self, every: float) -> None:
        """Begin; the thread ends with the process or with :meth:`stop`."""
        self.begin(self.what)
        self._over = over = threading.Event()  # its own: one that was stopped may start again

        def run() -> None:
            while not over.wait(every):
                self.say(self.line())

        threading.Thread(target=run, daemon=True, name="softdiv progress").start()

    def stop(self) -> None:
        """No line is said after this."""
        self._over.set()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` came after the last :meth:`start`."""
        return self._over.is_set()

    def begin(self, what: str) -> None:
        """A stage begins."""
        self.what, self._phase, self._start = what, "", self.now()

    def line(self) -> str:
        """``searching text prompts: 40 s, 25 % of its budget, at most 2 min left``."""
        spent = dict(self.spent())
        grown = [phase for phase, fte in spent.items() if fte > self._before.get(phase, 0)]
        if grown and NAMES.get(grown[-1], grown[-1]) != NAMES.get(self._phase, self._phase):
            phase = grown[-1]
            self.begin(NAMES.get(phase, f"searching the {phase}"))
            self._phase, self._first_step = phase, self.steps[0] if self.steps else 0
        self._before = spent
        elapsed = self.now() - self._start
        share = self._share(spent)
        said = f"{self.what}: {duration(elapsed)}"
        if share is not None and SOON <= share < 1:
            said += f", {share:.0%} done, about {duration(elapsed * (1 - share) / share)} left"
        return said

    def _share(self, spent: Mapping[str, int]) -> float | None:
        if self._phase in ("training", "validation"):
            if self.steps is None:
                return None
            done, every = self.steps
            return (done - self._first_step) / max(every - self._first_step, 1)
        most = self.expected.get(self._phase.partition(" ")[0])
        return spent[self._phase] / most if most else None


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
