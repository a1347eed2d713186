"""Values of one key to names of folders and places on an axis."""

from __future__ import annotations

import pytest

from softdiv.errors import ConfigError
from softdiv.sweep.members import Series, name_of


def test_values_stand_between_commas_or_in_an_array() -> None:
    assert Series.of("pair.model_2.quantize = int8, int4").values == ("int8", "int4")
    assert Series.of('a.b=["x,y", "z"]').values == ("x,y", "z")
    settings = Series.of('k=["x,y", 0.5]').settings
    assert list(settings.values()) == ['k="x,y"', "k=0.5"]


@pytest.mark.parametrize(
    "text", ["", "key", "key=", "=a,b", "k=a,,b", "k=[[1], [2]]", "k=[1", "k=[]"]
)
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        Series.of(text)


def test_a_value_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        Series.of("k=a,b,a")


def test_a_name_is_short_and_that_of_a_folder() -> None:
    assert Series.of("k=int8,0.5").names == ("int8", "0.5")
    assert Series.of("k=runs/step-10,runs/step-20").names == ("step-10", "step-20")
    one, two = Series.of("k=runs/one/step-10,runs/two/step-10").names
    assert one != two and one.startswith("step-10-") and two.startswith("step-10-")
    assert len({name.lower() for name in Series.of("k=a,A").names}) == 2
    for odd in ("..", "a/..", "/", "  ", "é" * 400, "x" * 400, "-rf"):
        name = name_of(odd)
        assert name.isascii() and "/" not in name and not name.startswith((".", "-"))
        assert 0 < len(name) < 60


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ("m/checkpoint-50,m/checkpoint-100,m/checkpoint-400", (50, 100, 400)),
        ("0.5,0.25,0.1", (0.5, 0.25, 0.1)),
        ("int8,int4", (8, 4)),
        ("step30,step10,step20", (1, 2, 3)),
        ("v1-step10,v2-step20", (1, 2)),
        ("main,old", (1, 2)),
        ("step10", (1,)),
    ],
)
def test_the_axis_is_the_number_in_which_the_values_differ(
    values: str, places: tuple[float, ...]
) -> None:
    series = Series.of(f"k={values}")
    assert series.places == places
    assert series.numbered == (places[0] != 1)
