"""Full collections wait until few connections are open, but not for ever."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from ferryman_server.garbage import QUIET, collect_when_quiet

CHILD = """
import gc
from ferryman_server.garbage import tune_gc
tune_gc()
full = gc.get_stats()[2]["collections"]
kept = [[number] for number in range(1_500_000)]
print(gc.get_freeze_count() > 1000, gc.get_stats()[2]["collections"] - full)
"""


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that are collected while a test runs, from the oldest objects on; by itself nothing is."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "stop":
            seen.append(info["generation"])

    gc.disable()
    gc.callbacks.append(note)
    try:
        yield seen
    finally:
        gc.callbacks.remove(note)
        gc.enable()


async def watched(seconds: float, connections: int, *, longest: float = 1000) -> None:
    """Let objects survive, then run the collector for so long."""
    gc.collect(2)
    gc.collect(1)  # counts as young objects that have grown older
    running = asyncio.create_task(collect_when_quiet(lambda: connections, look=0.01, longest=longest))
    await asyncio.sleep(seconds)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_quiet_server_collects_what_has_grown_old_once(collections: list[int]) -> None:
    """And then not again before something new has survived."""
    await watched(0.2, connections=QUIET - 1)
    assert collections == [2, 1, 2]


async def test_a_crowded_server_does_not(collections: list[int]) -> None:
    """The pause would be felt by everybody."""
    await watched(0.2, connections=QUIET)
    assert collections == [2, 1]


async def test_a_crowd_that_never_ends_is_no_excuse(collections: list[int]) -> None:
    """After the longest time without one, there is one."""
    await watched(0.2, connections=QUIET, longest=0.05)
    assert collections == [2, 1, 2]


def test_a_growing_heap_is_not_collected_by_itself() -> None:
    """What was there at the start is set aside, and a crowd of objects brings on no full collection."""
    done = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "0"]
