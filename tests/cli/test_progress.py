from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from softdiv.cli.progress import ProgressObserver
from softdiv.plugin.events import (
    EvaluationEvent,
    PromptsEvent,
    ReportEvent,
    RunEvent,
    TrainEvent,
    advance,
    set_metrics,
)
from softdiv.plugin.hookspecs import Hooks
from softdiv.plugin.observers import Observers
from softdiv.plugin.records import HardPrompt

from .conftest import Call


def tell_everything(*, terminal: bool = False, rank: int = 0) -> str:
    file = io.StringIO()
    observer = ProgressObserver(Console(file=file, force_terminal=terminal, width=100))
    hub = Observers.of([(observer, "'progress'")])
    run = RunEvent(run_dir=Path("runs/x"), config=None, rank=rank)
    train = TrainEvent(run_dir=None, step=0, total_steps=20, prompt=cast(Any, None), rank=rank)
    hub.tell(Hooks.softdiv_run_start, run)
    hub.tell(Hooks.softdiv_train_start, train)
    for step in range(20):
        numbers = {"loss": 0.5, "divergence": 0.1, "grad_norm": 0.25, "learning_rate": 0.01}
        advance(
            train,
            step=step,
            timings={"tokens_per_s": 99.6, "share_model_1": 0.4, "peak_memory_gib": 1.25},
            notes=("out of memory at step 3: 2 text(s) per forward pass",) if step == 3 else (),
        )
        set_metrics(train, numbers, fresh=True)
        hub.tell(Hooks.softdiv_step_end, train)
    hub.tell(
        Hooks.softdiv_evaluation_end,
        EvaluationEvent(split="val", step=9, divergence_bits=0.1, best_bits=0.2),
    )
    train.stop("no improvement")
    hub.tell(Hooks.softdiv_train_end, train)
    prompt = HardPrompt(text="[red]\x1b[2J sea", searcher="amplified")
    hub.tell(Hooks.softdiv_prompts_found, PromptsEvent(prompts=[prompt], baselines=[]))
    hub.tell(Hooks.softdiv_report_ready, ReportEvent(report=None, files=[]))
    hub.tell(Hooks.softdiv_run_end, run)
    assert hub.failures == []
    return file.getvalue()


def test_plain_lines() -> None:
    text = tell_everything()
    assert text.count("\nstep ") == 10
    assert "step 20/20, D 0.1000 bits, gradient 0.25, rate 0.01, 100 tokens/s (model_1 40%)" in text
    assert "peak 1.2 GiB" in text and text.count("out of memory at step 3") == 1
    assert "training stopped: no improvement" in text
    assert "amplified: [red] sea" in text
    assert "\x1b" not in text


def test_other_ranks_are_silent() -> None:
    assert tell_everything(rank=1) == ""


@pytest.mark.parametrize("rank", [0, 1])
def test_a_terminal_is_left_with_its_cursor(rank: int) -> None:
    text = tell_everything(terminal=True, rank=rank)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == (1 - rank)
    assert "\x1b[2J" not in text


def test_a_run_that_is_silent_for_long_says_how_far_it_is(
    call: Call,
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("softdiv.cli.progress.EVERY", 0.005)
    assert call("run", config_file, "--output-dir", tmp_path / "run") == 0
    said = capsys.readouterr().err
    assert "\nloading the models: " in said
    assert "\nsearching text prompts: " in said and " left\n" in said
