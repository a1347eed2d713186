"""What is read back equals what was written."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
import pytest

from softdiv.errors import RunError
from softdiv.evaluation.results import Evaluation, PromptResult, Verdict
from softdiv.plugin.records import (
    Curve,
    Example,
    Finding,
    Interval,
    Section,
    Table,
    TokenDivergence,
)
from softdiv.storage.atomic import write_json
from softdiv.storage.plain import to_plain
from softdiv.storage.records import from_plain, read_record

HALF = Interval(value=0.1 + 0.2, low=-math.inf, high=math.inf)
TOKEN = TokenDivergence(
    token="\ud83d", bits=1e-17, log_prob_1=-0.0, log_prob_2=-3.5, preferred_1="a", preferred_2="\n"
)
FINDING = Finding(
    prompt="",
    example=Example(id="e1", text="hé\u2028", category="c", metadata={"n": 1, "x": [1.5, "1.5"]}),
    response_1="\x1b[2J",
    response_2="",
    divergence_bits=0.3,
    log_likelihood_ratio=-1e300,
    tokens_1=(TOKEN,),
)
RESULT = PromptResult(
    text="p",
    searcher="s",
    is_baseline=False,
    divergence_bits=HALF,
    llr=HALF,
    llr_lift=HALF,
    p_value=None,
    perplexity=float(np.float32(2.5)),
    retention=0.0,
    search_bits=None,
    cost_fte=12,
    metrics={"jsd": 1.0, "off": "not available: 7", "inf": math.inf},
    detector_rate_1=0.5,
    detector_rate_2=None,
    findings=(FINDING, FINDING),
)
EVALUATION = Evaluation(
    verdict=Verdict(
        outcome="inconclusive", headline="h", differ_at_all="d", concentrated="c", rule="r"
    ),
    prompts=(RESULT,),
    baselines=(),
    soft_bits=None,
    test_texts=2,
    failures=("metric 'x' failed",),
)


def test_an_evaluation_survives_its_file(tmp_path: Path) -> None:
    write_json(tmp_path / "e.json", to_plain(EVALUATION), indent=None)
    again = read_record(tmp_path / "e.json", Evaluation)
    assert again == EVALUATION
    # Example.metadata is left out of comparison
    assert again.prompts[0].findings[0].example.metadata == FINDING.example.metadata
    assert isinstance(again.prompts[0].findings[0].tokens_1, tuple)
    assert math.copysign(1, again.prompts[0].findings[0].tokens_1[0].log_prob_1) == -1


def test_sections_keep_numbers_texts_and_gaps_apart(tmp_path: Path) -> None:
    sections = (
        Section(
            title="t",
            summary="s",
            tables=(Table(columns=("a", "b"), rows=((1, "1"), (1.5, None), (np.int64(3), "x"))),),
            curves=(
                Curve(title="c", x_label="x", y_label="y", x=(0.0,), series={"d": (math.nan,)}),
            ),
        ),
    )
    write_json(tmp_path / "s.json", to_plain(sections))
    (again,) = read_record(tmp_path / "s.json", tuple[Section, ...])
    assert again.tables[0].rows == ((1, "1"), (1.5, None), (3, "x"))
    assert isinstance(again.tables[0].rows[0][0], int)
    assert math.isnan(again.curves[0].series["d"][0])


def test_a_file_of_another_shape_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "e.json", {"verdict": 3})
    with pytest.raises(RunError, match=r"e\.json does not hold what this version"):
        read_record(tmp_path / "e.json", Evaluation)
    with pytest.raises(RunError, match="does not exist"):
        read_record(tmp_path / "none.json", Evaluation)


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be written"):
        to_plain({"a": object()})


def test_a_key_a_later_version_added_is_passed_over() -> None:
    plain = to_plain(HALF) | {"method": "BCa"}
    assert from_plain(Interval, plain) == HALF
    assert attrs.asdict(HALF) != plain
