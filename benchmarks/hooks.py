"""What ten observers cost a training step.

    python benchmarks/hooks.py [--pair smollm2-vs-seafarer] [--steps 12]

Trains the soft prompt of the quickstart config with ten observers that implement every hook of a
step and do nothing, times every hook call inside the loop (the copies made for it included), and
writes ``benchmarks/results/hooks.json``. Run-to-run noise of a step is larger than the cost itself,
so the calls are timed directly; a comparison of whole steps with and without is printed beside it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from result_file import write_result

from softdiv import hookimpl
from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.data.assemble import assemble_examples
from softdiv.data.split import split_examples
from softdiv.pair.manager import ModelPairManager
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.observers import Observers
from softdiv.training.loop import TrainingLoop
from softdiv.training.trainer import DivergenceTrainer

COUNT = 10
LIMIT = 0.01
"""of a step"""


class Idle:
    @hookimpl
    def softdiv_before_step(self, event: Any) -> None: ...

    @hookimpl
    def softdiv_gradient_ready(self, event: Any) -> None: ...

    @hookimpl
    def softdiv_step_end(self, event: Any) -> None: ...

    @hookimpl
    def softdiv_evaluation_end(self, event: Any) -> None: ...


class Timed(TrainingLoop):
    """Adds up the time spent for observers in each step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hooks: list[float] = []
        self.steps: list[float] = []

    def one_step(self, event: Any) -> None:
        self.hooks.append(0.0)
        start = time.perf_counter()
        super().one_step(event)
        self.steps.append(time.perf_counter() - start)

    def _tell(self, hook: str, event: Any) -> None:
        start = time.perf_counter()
        super()._tell(hook, event)
        self._add(start)

    def _wanted_factor(self, event: Any, gradient: torch.Tensor) -> float:
        start = time.perf_counter()
        factor = super()._wanted_factor(event, gradient)
        self._add(start)
        return factor

    def _add(self, start: float) -> None:
        if self.hooks:
            self.hooks[-1] += time.perf_counter() - start


def train(pair: Any, config: ExperimentConfig, loss: Any, split: Any, observers: int) -> Timed:
    hub = Observers.of([(Idle(), f"'idle-{number}'") for number in range(observers)])
    loop = Timed(DivergenceTrainer(pair, config, loss, split, observers=hub).parts)
    loop.run()
    assert hub.failures == []
    return loop


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pair", default="smollm2-vs-seafarer")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    config = ExperimentConfig.from_file(
        config_path("quickstart"),
        [
            f'pair={{ name = "{options.pair}" }}',
            f"training.max_steps={options.steps}",
            "training.engine.name=torch",
        ],
    )
    registry = PluginManager.load().registry
    pair_config = resolve_pair(config.pair, ModelRegistry.load())
    pair = ModelPairManager(pair_config, registry, config.device).load()
    processors = [registry.build("processors", p.name, p.options) for p in config.data.processors]
    split = split_examples(
        assemble_examples(processors, config.data, lambda line: None),
        val_fraction=config.data.val_fraction,
        test_fraction=config.data.test_fraction,
    )
    loss = registry.build("losses", config.training.loss.name, config.training.loss.options)
    train(pair, config, loss, split, 0)  # warm up
    without = train(pair, config, loss, split, 0)
    with_ten = train(pair, config, loss, split, COUNT)
    assert torch.equal(without.parts.engine.values(), with_ten.parts.engine.values())
    hooks, step = statistics.median(with_ten.hooks), statistics.median(with_ten.steps)
    rows = [
        {"step": n, "hook_seconds": h, "step_seconds": s, "step_seconds_without": w}
        for n, (h, s, w) in enumerate(
            zip(with_ten.hooks, with_ten.steps, without.steps, strict=True)
        )
    ]
    summary = {
        "observers": COUNT,
        "hook_ms_per_step": hooks * 1e3,
        "hook_ms_per_step_worst": max(with_ten.hooks) * 1e3,
        "step_ms": step * 1e3,
        "step_ms_without": statistics.median(without.steps) * 1e3,
        "share": hooks / step,
    }
    print(
        f"{options.pair}: {COUNT} observers take {hooks * 1e3:.2f} ms (at worst "
        f"{max(with_ten.hooks) * 1e3:.2f}) of a step of {step * 1e3:.0f} ms: {hooks / step:.3%}"
        f" ({'below' if hooks / step < LIMIT else 'ABOVE'} {LIMIT:.0%});"
        f" without observers a step takes {summary['step_ms_without']:.0f} ms"
    )
    settings = {"pair": options.pair, "steps": options.steps, "config": config.to_dict()}
    machine = {"threads": torch.get_num_threads(), "device": str(pair.model_1.device)}
    print(write_result("hooks", settings=settings, summary=summary, rows=rows, machine=machine))


if __name__ == "__main__":
    main()
