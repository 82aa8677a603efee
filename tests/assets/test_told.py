"""A trouble is told when it is new, when its cause is another one, and when it is over."""

from __future__ import annotations

import pytest

from movierec_assets.monitoring.told import REFUSED, Told


@pytest.mark.parametrize(
    ("told", "now", "news"),
    [
        ({}, {"deploy": "a is down"}, ["deploy"]),
        ({"deploy": "a is down"}, {"deploy": "a is down"}, []),
        ({"deploy": "a is down"}, {"deploy": "b is down"}, ["deploy"]),
        ({"deploy": "a is down"}, {}, []),
        ({"x": "1"}, {"x": "1", "y": "1"}, ["y"]),
    ],
)
def test_what_is_told(told: dict[str, str], now: dict[str, str], news: list[str]) -> None:
    assert Told(told).news(now) == news


def test_that_a_trouble_is_over_is_told() -> None:
    assert Told({"x": "1", "y": "1"}).over({"y": "2"}) == ["x"]
    assert Told().over({}) == []


def test_a_cursor_is_never_empty_and_is_read_as_it_was_written() -> None:
    assert Told().dumps()
    assert Told.loads(Told({"x": "1"}).dumps()) == Told({"x": "1"})
    assert Told.loads(None) == Told.loads("") == Told()


def test_a_cursor_of_0_2_0_names_refused_chunks() -> None:
    assert Told.loads('["1998-04-01/ab"]') == Told({"1998-04-01/ab": REFUSED})
