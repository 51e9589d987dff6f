"""Take-overs are timed: from HEAD to the answer that says the second client's bytes are in."""

from pathlib import Path

import pytest

from bench.servers import chosen
from bench.takeover import judge, measure
from tests.crash.figures import Figures


@pytest.mark.parametrize("into_minio", [False, True], ids=["disk", "minio"])
def test_both_kinds_of_sender_are_taken_over(into_minio: bool, minio_program: Path, tmp_path: Path) -> None:
    """Every time is there, and the whole is no shorter than its parts."""
    (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
    samples = measure(server, 1, into_minio=into_minio, place=tmp_path).samples
    for kind in ("silent", "full speed"):
        (asked,), (sent,), (whole,) = (samples[f"{kind}, {what}"] for what in ("HEAD", "PATCH", "whole"))
        assert asked + sent <= whole


@pytest.mark.parametrize(
    ("whole", "held"), [([0.05, 0.05, 1.0], True), ([0.06, 0.06, 0.06], False), ([0.01, 0.01, 1.1], False)]
)
def test_median_and_longest_are_judged(whole: list[float], held: bool) -> None:
    """At most 50 ms and at most a second; what did not happen is no broken promise."""
    figures = Figures()
    for value in whole:
        figures.measure("silent, whole", value)
    told = {verdict.name: verdict.held for verdict in judge(figures)}
    assert told["silent: whole"] is held
    assert told["full speed: whole"] is None
