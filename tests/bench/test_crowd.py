"""Slow and fast uploads at once, into MinIO: a small crowd is measured, and what was promised is judged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.crowd import Crowd, Outcome, judge, measure
from bench.scenarios import KIB, MIB
from bench.servers import chosen

FIGURES = {"count": 1, "p50": 0.01, "p99": 0.02, "max": 0.03}


def seen(**slow: Any) -> Outcome:
    """What would be seen of two slow uploads and a fast one, when all was well but for these."""
    client: dict[str, Any] = {"done": 2, "read_back": 2, "wrong": 0, "heads_wrong": 0, "heads_failed": 0}
    client |= {"tus_heads_s": FIGURES, "ending_s": FIGURES, "sent_again": 0, "refusal": "", "cuts": {}, "statuses": {}}
    return Outcome(
        crowd=Crowd(slow=2, fast=1),
        slow=client | slow,
        fast={"seconds": 1.0},
        together=True,
        idle_mb=50.0,
        alone_mb=100.0,
        peak_mb=200.0,
        cpu_seconds=1.0,
    )


def missed(outcome: Outcome) -> list[str]:
    """The promises that were broken."""
    return [verdict.name for verdict in judge(outcome) if verdict.held is False]


def test_small_crowd_is_measured(minio_program: Path, tmp_path: Path) -> None:
    """Slow ones are under way when fast ones come; everything is right in the end, and it cost something."""
    crowd = Crowd(slow=4, slow_size=48 * KIB, rate=16 * KIB, fast=2, fast_size=9 * MIB)
    (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
    lines: list[str] = []
    outcome = measure(server, crowd, tmp_path, tell=lines.append)
    assert {"slow uploads finished", "wrong HEADs"}.isdisjoint(missed(outcome))
    assert (outcome.slow["done"], outcome.slow["read_back"], outcome.fast["uploads"]) == (4, 4, 2)
    assert 0 < outcome.idle_mb <= outcome.alone_mb <= outcome.peak_mb
    assert lines


@pytest.mark.parametrize(
    ("outcome", "names"),
    [
        (seen(), []),
        (replace(seen(), peak_mb=201.0), ["memory"]),
        (replace(seen(), together=False), ["all at once"]),
        (seen(done=1), ["slow uploads finished"]),
        (seen(wrong=1), ["slow uploads finished"]),
        (seen(heads_wrong=1), ["wrong HEADs"]),
        (seen(heads_failed=1), ["wrong HEADs"]),
    ],
)
def test_promises_are_judged(outcome: Outcome, names: list[str]) -> None:
    """At most 200 MB, all of them at once, all right."""
    assert missed(outcome) == names


def test_refusal_is_told() -> None:
    """Whoever reads the figures learns what the server said."""
    told = "\n".join(map(str, judge(seen(refusal="HTTP/1.1 507", statuses={"507": 3, "204": 2}))))
    assert "3 answered 507" in told
    assert "HTTP/1.1 507" in told
