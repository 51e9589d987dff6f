"""What several measurements of one thing come to."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the least and the greatest value."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median, least and most; None of nothing."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None
