"""How far a stage is, said from what it has charged."""

from __future__ import annotations

import threading

from softdiv.cli.ticker import Ticker, duration, expected_fte
from softdiv.config.load import ExperimentConfig


def ticker(spent: dict[str, int], clock: list[float]) -> Ticker:
    made = Ticker(
        say=lambda line: None,
        spent=lambda: spent,
        expected={"search": 1000, "baseline": 500, "evaluation": 400},
        now=lambda: clock[0],
    )
    made.begin("loading the models")
    return made


def test_every_stage_says_what_is_left_of_it() -> None:
    spent: dict[str, int] = {}
    clock = [0.0]
    one = ticker(spent, clock)
    clock[0] = 40.0
    assert one.line() == "loading the models: 40 s"
    spent["training"], one.steps = 10, (0, 8)
    assert one.line() == "training the soft prompt: 0 s"
    clock[0], one.steps = 60.0, (2, 8)
    spent["validation"] = 5
    assert one.line() == "training the soft prompt: 20 s, 25% done, about 60 s left"
    spent["search"] = 1
    one.line()
    clock[0], spent["search"] = 260.0, 500
    assert one.line() == "searching text prompts: 3 min, 50% done, about 3 min left"
    spent["baseline natural_pool"] = 1
    one.line()
    clock[0], spent["baseline natural_pool"] = 270.0, 100
    said = one.line()
    assert said == "searching the baseline natural_pool: 10 s, 20% done, about 40 s left"
    spent["evaluation"] = 1
    one.line()
    clock[0], spent["evaluation"] = 280.0, 500  # more than was thought
    assert one.line() == "scoring on held-out texts: 10 s"
    one.begin("writing the report")
    clock[0] = 285.0
    assert one.line() == "writing the report: 5 s"


def test_a_training_that_goes_on_is_timed_from_where_it_does() -> None:
    spent, clock = {"training": 100}, [0.0]
    one = ticker(spent, clock)
    one.steps = (6, 10)
    one.line()
    clock[0], spent["training"], one.steps = 10.0, 200, (8, 10)
    assert one.line() == "training the soft prompt: 10 s, 50% done, about 10 s left"


def test_it_speaks_until_it_is_stopped() -> None:
    heard: list[str] = []
    third = threading.Event()

    def say(line: str) -> None:
        heard.append(line)
        if len(heard) == 3:
            third.set()

    one = Ticker(say, what="loading")
    one.start(0.01)
    assert third.wait(30) and heard[0].startswith("loading: ")
    one.stop()


def test_expected_costs_follow_the_config() -> None:
    config = ExperimentConfig.from_dict({"generation": {"budget_fte": 777}})
    found = expected_fte(config)
    assert found["search"] == found["baseline"] == 777
    more = ExperimentConfig.from_dict({"evaluation": {"test_texts": 32}})
    assert expected_fte(more)["evaluation"] == 2 * found["evaluation"]


def test_durations() -> None:
    assert [duration(s) for s in (3, 89, 90, 5399, 9000)] == [
        "3 s",
        "89 s",
        "2 min",
        "90 min",
        "2.5 h",
    ]
