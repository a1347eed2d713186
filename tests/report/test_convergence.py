"""The curve of a training, as the report shows it."""

from __future__ import annotations

from softdiv.stages.report import convergence_curve


def test_steps_are_counted_as_on_the_terminal() -> None:
    """``step 1/2`` there is the line with step 0 of ``metrics.jsonl``; a validation names how many
    steps were taken."""
    lines = [
        {"step": 0, "divergence": 0.1},
        {"step": 1, "divergence": 0.2, "validation_bits": 0.3},
    ]
    curve = convergence_curve(lines)
    assert curve is not None
    assert list(curve.x) == [1.0, 2.0]
    assert curve.series["validation texts"][1] == 0.3


def test_no_step_no_curve() -> None:
    assert convergence_curve([{"step": 0}]) is None
