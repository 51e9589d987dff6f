"""Medians, spreads and ratios."""

from typing import Any

import pytest

from ferryman_server.benching.spread import Spread, spread
from tests.bench.made_up import outcome, scenario, turn


def test_spread_is_median_least_and_most() -> None:
    """Of an even number of values, the median is between the middle two."""
    assert spread([4.0, 1.0, 2.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_nothing_has_no_spread() -> None:
    """A server that was not measured has no figure, not a zero."""
    assert spread([]) is None


def test_ratio_compares_within_rounds() -> None:
    """A machine that was twice as fast in one round changes no ratio; the ratio of the medians would be 1.5 here."""
    of = outcome(scenario(), ferryman=[200.0, 100.0, 300.0], tusd=[100.0, 100.0, 200.0])
    assert of.ratio("ferryman", "tusd") == Spread(1.5, 1.0, 2.0)


def test_round_without_one_of_the_two_is_left_out_of_the_ratio() -> None:
    """Later rounds are not compared with the wrong partner."""
    of = outcome(scenario(), ferryman=[None, 100.0, 300.0], tusd=[1.0, 100.0, 100.0])
    assert of.ratio("ferryman", "tusd") == Spread(2.0, 1.0, 3.0)


def test_ratio_to_a_server_that_is_not_there_is_none() -> None:
    """Neither an error nor a number."""
    assert outcome(scenario(), ferryman=[1.0]).ratio("ferryman", "tusd") is None


@pytest.mark.parametrize(
    ("fields", "cost", "unit"),
    [
        ({"unit": "MB/s", "count": 4, "size": 1 << 29}, 1.5, "s/GiB"),
        ({"unit": "uploads/s", "count": 1000, "size": 1024}, 3.0, "ms each"),
        ({"unit": "HEAD/s", "count": 1000, "size": 1024}, 3.0, "ms each"),
    ],
)
def test_cpu_cost_is_told_for_a_gib_or_for_one_upload(fields: dict[str, Any], cost: float, unit: str) -> None:
    """Three CPU seconds for 2 GiB are 1.5 s/GiB; for a thousand uploads, 3 ms each."""
    of = outcome(scenario(**fields))
    assert of.cpu_cost(turn(1.0, server_cpu_seconds=3.0)) == pytest.approx(cost)
    assert of.cpu_unit == unit
