"""Whether pages are used again follows what writes cost, and nothing else."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman_server.storage.recycling import PIECE, SETTLE, STAY, WINDOW, Recycling

MIB = 1 << 20
USED_AGAIN = 0.3e-9  # seconds a byte into a page that was just used


def write(recycling: Recycling, size: int, fresh: float, noise: Callable[[], float] = lambda: 1.0) -> float:
    """Write so many bytes where a fresh page costs `fresh` seconds a byte; returns the share that used pages again."""
    again = 0
    for _ in range(0, size, PIECE):
        cost = USED_AGAIN if recycling.worthwhile else fresh
        again += recycling.worthwhile
        recycling.wrote(PIECE, PIECE * cost * noise())
    return again * PIECE / size


@pytest.fixture
def recycling() -> Recycling:
    """What a process knows at its start."""
    return Recycling()


def test_pages_are_used_again_until_something_is_known(recycling: Recycling) -> None:
    """The way that is never far from the best one comes first."""
    assert recycling.worthwhile
    assert write(recycling, SETTLE, USED_AGAIN) == 1


def test_pages_that_cost_nothing_are_left_alone(recycling: Recycling) -> None:
    """Soon, and from then on."""
    write(recycling, SETTLE + WINDOW, USED_AGAIN)
    assert write(recycling, 4 * STAY, 1.1 * USED_AGAIN) == 0


def test_pages_that_are_dear_are_used_again(recycling: Recycling) -> None:
    """The other way is only tried now and then, for as long as it takes to see what it costs."""
    assert write(recycling, 8 * STAY, 5 * USED_AGAIN) > 0.98


def test_what_changes_is_seen(recycling: Recycling) -> None:
    """When memory becomes scarce at once, when there is plenty again after a while."""
    write(recycling, STAY, USED_AGAIN)
    assert not recycling.worthwhile
    write(recycling, 2 * WINDOW, 5 * USED_AGAIN)
    assert recycling.worthwhile
    write(recycling, STAY + SETTLE + WINDOW, USED_AGAIN)
    assert not recycling.worthwhile


def test_small_writes_say_nothing(recycling: Recycling) -> None:
    """What they cost is the system call."""
    for _ in range(10_000):
        recycling.wrote(PIECE - 1, 1.0)
    assert write(recycling, SETTLE + WINDOW, USED_AGAIN) == 1
    assert not recycling.worthwhile


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 16), times=st.sampled_from([1.0, 5.0]))
def test_single_writes_that_were_held_up_change_little(seed: int, times: float) -> None:
    """For all costs that differ by far: the dearer way is taken for a small part of the bytes."""
    chance, recycling = random.Random(seed), Recycling()
    again = write(recycling, 4 * STAY, times * USED_AGAIN, lambda: chance.choice([0.9, 1.0, 1.0, 1.1, 1.1, 50.0]))
    assert again < 0.05 if times == 1.0 else again > 0.95
