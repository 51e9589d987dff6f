"""How long fuzzing may take.

`FUZZ_SECONDS` is what all of tests/fuzz spend together on their searches, 24 seconds unless it is set; each
test has a share of it. `FUZZ_SEED` chooses where the searches begin; without it every run begins at the same
place, and a longer one goes on from there.

    FUZZ_SECONDS=600 FUZZ_SEED=7 .venv/bin/pytest tests/fuzz

The names do not begin with FERRYMAN_: a server refuses such a variable that is no setting of it.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "24"))
SEED: Final = int(os.environ.get("FUZZ_SEED", "20260701"))
_SPARE: Final = 100.0  # seconds beside the search: starting, shrinking what was found, a slow machine
_EXAMPLES: Final = 100  # of one round

# Each round is one run of Hypothesis with a seed of its own; slowness is the budget's business.
ROUND: Final = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def share(of_a_hundred: float) -> float:
    """Seconds that a test may search, which has this part of the budget."""
    return SECONDS * of_a_hundred / 100


def patience(seconds: float) -> pytest.MarkDecorator:
    """The timeout of a test that searches for so many seconds."""
    return pytest.mark.timeout(seconds + _SPARE)


def rounds(seconds: float) -> Iterator[int]:
    """Seeds, each for one round, until the time is over; at least one."""
    end = time.monotonic() + seconds
    number = SEED
    while True:
        yield number
        number += 1
        if time.monotonic() >= end:
            return


def searching(
    of_a_hundred: float, *strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Make a property a test that looks for counterexamples as long as its share of the budget lasts."""

    def decorate(holds: Callable[..., None]) -> Callable[[], None]:
        prove = ROUND(given(*strategies)(holds))

        @patience(share(of_a_hundred))
        def test() -> None:
            for number in rounds(share(of_a_hundred)):
                seed(number)(prove)()

        test.__name__, test.__qualname__, test.__doc__ = holds.__name__, holds.__qualname__, holds.__doc__
        test.__module__ = holds.__module__
        return test

    return decorate
