"""A thread that works off what the event loop gathers, batch by batch.

Theory: a commit costs one sync of the disk however many rows it holds, and a hop between the loop and a thread costs
as much as several statements. So work is gathered on the loop and done together; while a batch is with the thread,
the next one gathers. The thread fetches it itself as soon as it is through, while it has the interpreter lock: a loop
that is busy would hand it over milliseconds later, and the disk would rest so long.

- Work runs in the order in which it was submitted.
- Work that was submitted runs, also when the task that waits for it is cancelled.
- Everything here runs on the event loop, but for `_main` and what it calls.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Protocol, TypeAlias, TypeVar

from ferryman_server.state.base import StateError

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
Told: TypeAlias = Callable[[object], None]  # what is to hear of an outcome, a Failure included


@dataclass(frozen=True, slots=True)
class Failure:
    """The outcome of work that raised."""

    error: Exception


class Session(Protocol):
    """What the thread does with a batch; every method is called in the thread."""

    def open(self) -> None:
        """Connect. May raise: then the thread ends and `BatchThread.start` raises it."""

    def run(self, works: Sequence[Work[Any]]) -> list[object]:
        """Do all of it and return one outcome each, a Failure for what went wrong. Never raises."""

    def rest(self) -> None:
        """Do what can wait until the outcomes of a batch have been handed out. Never raises."""

    def close(self) -> None:
        """Disconnect. Never raises."""


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    key: str | None
    told: Told | None
    future: "asyncio.Future[Any]"


class BatchThread:
    """One thread over one session. Started once, stopped once."""

    def __init__(self, session: Session, *, name: str) -> None:
        self.batches = 0  # how many the thread has begun
        self._session = session
        self._name = name
        self._lock = Lock()  # for the three behind it
        self._gathered: list[_Job] = []
        self._resting = False  # the thread waits to be woken
        self._ending = False  # no more will come
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._ringing = False  # it will be woken in this round of the loop
        self._keys: dict[str, int] = {}  # how much work with this key has not ended
        self._open = False

    async def start(self) -> None:
        """Start the thread and wait until its session is open. Raises what the session's `open` raises."""
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        opened: asyncio.Future[None] = self._loop.create_future()
        # A daemon, since a state that nobody closed must not keep the process from ending: commits are atomic anyway.
        self._thread = Thread(target=self._main, args=(opened,), name=self._name, daemon=True)
        self._thread.start()
        self._open = True
        await opened

    def submit(self, work: Work[T], key: str | None = None, told: Told | None = None) -> "asyncio.Future[T]":
        """Queue work and return where its outcome will be. Raises StateError when the thread was stopped.

        `told` hears the outcome on the event loop, in the order of the work and before any task that waits for any of
        its batch goes on; also when nobody waits any more.
        """
        if not self._open:
            raise StateError("The state is closed: the server is going down.")
        future: asyncio.Future[T] = self._loop.create_future()
        if key is not None:
            self._keys[key] = self._keys.get(key, 0) + 1
        with self._lock:
            self._gathered.append(_Job(work, key, told, future))
            resting = self._resting
        if resting and not self._ringing:
            self._ringing = True
            self._loop.call_soon(self._ring)  # not at once: other tasks of this round join the batch
        return future

    def busy_with(self, key: str) -> bool:
        """Whether work submitted with this key has not ended."""
        return key in self._keys

    async def stop(self) -> None:
        """Finish what is queued, close the session, end the thread. Idempotent."""
        if self._open:
            self._open = False
            self._ring(ending=True)
        await self._ended.wait()
        self._thread.join()

    def _ring(self, *, ending: bool = False) -> None:
        """Wake the thread, if it rests. Called in the thread, too, when the loop is gone."""
        with self._lock:
            self._ending = self._ending or ending
            wake, self._resting = self._resting, False
        self._ringing = False
        if wake:
            self._bell.put(None)

    def _deliver(self, batch: list[_Job], outcomes: list[object]) -> None:
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.key is not None:
                self._end_key(job.key)
            if job.told is not None:
                job.told(outcome)
            _settle(job.future, outcome)

    def _end_key(self, key: str) -> None:
        left = self._keys.pop(key) - 1
        if left:
            self._keys[key] = left

    def _main(self, opened: "asyncio.Future[None]") -> None:
        try:
            self._session.open()
        except Exception as error:
            self._session.close()
            self._tell(_settle, opened, Failure(error))
        else:
            self._tell(_settle, opened, None)
            self._work_off()
            self._session.close()
        self._tell(self._ended.set)

    def _work_off(self) -> None:
        while batch := self._next():
            outcomes = self._session.run([job.work for job in batch])
            self._tell(self._deliver, batch, outcomes)
            del batch, outcomes  # what was written is not kept until there is more to write
            self._session.rest()

    def _next(self) -> list[_Job]:
        """What has gathered, as soon as there is any; nothing when no more will come."""
        while True:
            with self._lock:
                if self._gathered or self._ending:
                    batch, self._gathered = self._gathered, []
                    self.batches += bool(batch)
                    return batch
                self._resting = True
            self._bell.get()

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            self._ring(ending=True)  # the loop was closed without stopping us: nobody waits any more


def _settle(future: "asyncio.Future[Any]", outcome: object) -> None:
    if future.done():
        return  # the task that waited was cancelled
    if isinstance(outcome, Failure):
        future.set_exception(outcome.error)
    else:
        future.set_result(outcome)
