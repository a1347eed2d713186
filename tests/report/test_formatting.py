from __future__ import annotations

import pytest

from softdiv.report.formatting import number, what_did_not_work
from tests.report.sample import prompt_result


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"), (12.345, "12.3"), (1234.5, "1,234"), (54000, "54,000"), (0.0, "0"),
        (1e-6, "1.00e-06"), (None, "–"), (float("nan"), "–"), ("text", "text"), (-0.5, "-0.500"),
    ],
)  # fmt: skip
def test_numbers(value: object, shown: str) -> None:
    assert number(value) == shown


def test_losers_are_named_on_both_sides() -> None:
    best = prompt_result("sea", "amplified", bits=0.3, lift=20)
    weak = prompt_result("hello", "gradient_swaps", bits=0.02, lift=30)
    base = prompt_result("", "empty", bits=0.1, lift=0)
    strong = prompt_result("rain", "natural_pool", bits=0.1, lift=25)
    lines = what_did_not_work((best, weak), (base, strong))
    assert [("hello" in line, "“sea”" in line, "(empty prompt)" in line) for line in lines] == [
        (False, True, False),  # lift 20 <= 25
        (True, False, False),  # D 0.02 <= 0.1
        (False, False, True),
    ]
    assert what_did_not_work((), ()) == ()
