"""The server's stopwatches, read between two looks."""

import pytest

from ferryman_server.benching.stage_times import Look
from ferryman_server.media.stage_names import STAGES, Stage


def sums(value: float) -> dict[Stage, float]:
    """The same for every stage."""
    return dict.fromkeys(STAGES, value)


def test_mean_archive_between_two_looks_counts() -> None:
    """What was there before is left out."""
    told = Look(sums(1.0), 4).until(Look(sums(2.5), 7))
    assert told == {stage: pytest.approx(0.5) for stage in STAGES}


@pytest.mark.parametrize(
    ("before", "later"),
    [
        (Look(sums(1.0), 4), Look(sums(1.0), 4)),
        (Look(), Look(sums(1.0), 4)),
        (Look(), Look()),
        (Look(sums(1), 1), Look()),
    ],
)
def test_nothing_is_made_up(before: Look, later: Look) -> None:
    """No archive between them, or a server that does not tell."""
    assert before.until(later) == {}
