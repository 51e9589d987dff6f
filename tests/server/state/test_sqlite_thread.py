"""The thread that works off what the event loop gathers."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ferryman_server.state.base import StateError
from ferryman_server.state.sqlite_thread import BatchThread, Failure, Work

SOON = 10.0  # seconds


class Memory:
    """A session that notes its batches' sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.rests = 0
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Connect to nothing."""
        self._connection = sqlite3.connect(":memory:")

    def run(self, works: Sequence[Work[Any]]) -> list[object]:
        """Do all of it."""
        self.sizes.append(len(works))
        return [self._one(work) for work in works]

    def rest(self) -> None:
        """Count it."""
        self.rests += 1

    def close(self) -> None:
        """Disconnect."""
        assert self._connection is not None
        self._connection.close()

    def _one(self, work: Work[Any]) -> object:
        assert self._connection is not None
        try:
            return work(self._connection)
        except Exception as error:
            return Failure(error)


def told(value: int) -> Work[int]:
    """Work that only has an outcome."""
    return lambda _: value


def held(entered: threading.Event, gate: threading.Event) -> Work[bool]:
    """Work that says when it is under way, and waits for a gate."""

    def work(_: sqlite3.Connection) -> bool:
        entered.set()
        return gate.wait(SOON)

    return work


@asynccontextmanager
async def started() -> AsyncIterator[tuple[BatchThread, Memory]]:
    """A thread and its session."""
    session = Memory()
    thread = BatchThread(session, name="batches")
    await thread.start()
    try:
        yield thread, session
    finally:
        await thread.stop()


async def test_work_of_one_round_is_one_batch() -> None:
    """What several tasks submit in one round of the loop is done together, in its order."""
    async with started() as (thread, session):
        outcomes = await asyncio.gather(*[thread.submit(told(number)) for number in range(5)])
    assert outcomes == [0, 1, 2, 3, 4]
    assert session.sizes == [5]


async def test_what_gathered_meanwhile_needs_no_loop() -> None:
    """While the loop is busy the thread goes on with what was submitted during the batch before."""
    entered, gate, through = threading.Event(), threading.Event(), threading.Event()
    async with started() as (thread, session):
        first = thread.submit(held(entered, gate))
        await asyncio.to_thread(entered.wait, SOON)
        others = [thread.submit(lambda _: None), thread.submit(lambda _: through.set())]
        gate.set()
        assert through.wait(SOON), "the loop stands still here, and the work is done all the same"
        assert not first.done()
        await asyncio.gather(first, *others)
    assert session.sizes == [1, 2]
    assert session.rests == 2


async def test_every_submission_is_done() -> None:
    """However submissions and the ends of batches fall together, none is left lying."""
    async with started() as (thread, session):

        async def client() -> None:
            for number in range(200):
                assert await asyncio.wait_for(thread.submit(told(number)), SOON) == number

        await asyncio.gather(*(client() for _ in range(8)))
    assert sum(session.sizes) == 1600
    assert thread.batches == len(session.sizes)


async def test_failing_work_is_told_to_whoever_waits() -> None:
    """The thread lives on."""
    async with started() as (thread, _):
        with pytest.raises(sqlite3.OperationalError):
            await thread.submit(lambda connection: connection.execute("nonsense"))
        assert await thread.submit(lambda connection: connection.execute("SELECT 7").fetchone()) == (7,)


async def test_a_stop_finishes_what_was_submitted() -> None:
    """And takes no more."""
    done: list[int] = []
    async with started() as (thread, _):
        thread.submit(lambda _: done.append(1))
        await thread.stop()
        assert done == [1]
        with pytest.raises(StateError, match="closed"):
            thread.submit(lambda _: done.append(2))


def test_a_loop_that_is_gone_ends_the_thread() -> None:
    """A state that nobody closed leaves no thread behind that waits for ever."""
    gate = threading.Event()
    threads: list[BatchThread] = []

    async def leave() -> None:
        thread = BatchThread(Memory(), name="left behind")
        await thread.start()
        entered = threading.Event()
        thread.submit(held(entered, gate))
        await asyncio.to_thread(entered.wait, SOON)
        threads.append(thread)

    asyncio.run(leave())
    gate.set()
    threads[0]._thread.join(SOON)
    assert not threads[0]._thread.is_alive()
