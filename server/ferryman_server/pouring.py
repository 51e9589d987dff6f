"""Pouring: bytes come in on the event loop, and go to a sink from a worker thread, both at the same time.

Theory of operation. The receiving side calls `feed` with what came and `finish` when nothing more comes. `pour` takes
what has been gathered, up to one PIECE, and hands it over in a worker thread; meanwhile the next bytes gather. As soon
as a write is done the next one begins with whatever is there: a fast sender gets large pieces, a trickling one is never
kept waiting. When two pieces' worth is in memory the receiving side is paused, and resumed when a write is done.

    receiving side ── feed ──▶ gathered (≤ 1 PIECE or so) ── worker thread ──▶ sink.write (≤ 1 PIECE under way)

Why it ends is kept in one place. `finish` comes behind the bytes that arrived before it; `stop` overtakes them.
"""

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from ferryman_server.body import PIECE, End, Sink

T = TypeVar("T")

THREADS: Final = 32  # writes under way at once; a write waits for a disk, not for a processor
HIGH_WATER: Final = 2 * PIECE  # bytes: gathered and being written, before the receiving side is paused
EARLY: Final = 64 << 10  # bytes: the same before pouring has begun, so that waiting requests cost little memory
SMALL: Final = 64 << 10  # bytes: chunks below this (on average) are joined before they are written


@functools.cache
def pool() -> ThreadPoolExecutor:
    """The threads that sinks are written from: one pool for the process, made when the first body is poured."""
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="ferryman-body")


class Pouring:
    """A body that gathers what it is fed: the part that is the same however the bytes come.

    A subclass lets bytes come in `_begin`, and holds the receiving side back in `_pause` until `_resume`.
    """

    def __init__(self, *, length: int | None, idle_timeout: float) -> None:
        self._length = length
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._gathered: deque[bytes] = deque()
        self._waiting = 0  # bytes in `_gathered`
        self._in_hand = 0  # bytes that a worker thread is writing
        self._high = EARLY
        self._full = False
        self._received = 0
        self._trailers: list[tuple[str, str]] = []
        self._end: End | None = None
        self._dropped = False  # what is still gathered goes nowhere: stopped, failed or over
        self._waker: asyncio.Future[None] | None = None
        self._last = 0.0  # loop time of the last byte
        self._watch: asyncio.TimerHandle | None = None

    @property
    def length(self) -> int | None:
        """Content-Length in bytes; None when it is not known beforehand."""
        return self._length

    @property
    def received(self) -> int:
        """Bytes the sink has taken so far."""
        return self._received

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """Trailer fields, names in lower case; there once `pour` returned COMPLETE."""
        return self._trailers

    async def pour(self, sink: Sink) -> End:
        """Hand everything to the sink until the body ends; the contract is :meth:`ferryman_server.body.Body.pour`."""
        if not self._dropped:
            self._open()
        try:
            while await self._something():
                await self._hand_over(sink)
        finally:
            self._shut()
            await self._ended()
        assert self._end is not None
        return self._end

    def stop(self, end: End) -> None:
        """Stop reading and drop what was not handed over; the contract is :meth:`ferryman_server.body.Body.stop`."""
        if self._dropped:
            return
        self._end = end
        self._drop()
        self._unwatch()
        self._pause()
        self._wake()

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived. After the end they are dropped; while paused they are still taken."""
        if self._end is not None or not data:
            return
        self._gathered.append(data)
        self._waiting += len(data)
        self._last = self._loop.time()
        self._wake()
        if self._waiting + self._in_hand >= self._high:
            self._full = True
            self._pause()

    def finish(self, end: End) -> None:
        """Nothing more comes. What arrived before is still handed over. Later calls change nothing."""
        if self._end is None:
            self._end = end
            self._unwatch()
            self._wake()

    # What a subclass knows

    def _begin(self) -> None:
        """Somebody wants the bytes now: let them come."""

    def _pause(self) -> None:
        """Let no more bytes come; a piece that was under way may still be fed."""

    def _resume(self) -> None:
        """Let bytes come again."""

    async def _ended(self) -> None:
        """Pouring is over: let go of what it needed."""

    # Inside

    def _open(self) -> None:
        self._high = HIGH_WATER
        self._begin()
        self._relieve()
        if self._end is None and self._watch is None:
            self._last = self._loop.time()
            self._watch = self._loop.call_later(self._idle_timeout, self._check_idle)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _shut(self) -> None:
        self._unwatch()
        if self._end is None:  # the sink refused, or the task was cancelled
            self._end = End.DISCONNECTED
            self._pause()
        self._drop()

    def _drop(self) -> None:
        self._dropped = True
        self._gathered.clear()
        self._waiting = 0

    async def _something(self) -> bool:
        while not self._gathered:
            if self._end is not None:
                return False
            await self._woken()
        return True

    async def _woken(self) -> None:
        self._waker = self._loop.create_future()
        try:
            await self._waker
        finally:
            self._waker = None

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _hand_over(self, sink: Sink) -> None:
        chunks = self._take(PIECE)
        self._in_hand = sum(map(len, chunks))
        try:
            await uninterrupted(self._loop.run_in_executor(pool(), self._deliver, sink, chunks))
        finally:
            self._in_hand = 0
        self._relieve()

    def _take(self, most: int) -> list[bytes]:
        """Take gathered chunks up to `most` bytes, at least one."""
        chunks = [self._gathered.popleft()]
        size = len(chunks[0])
        while self._gathered and size + len(self._gathered[0]) <= most:
            chunks.append(self._gathered.popleft())
            size += len(chunks[-1])
        self._waiting -= size
        return chunks

    def _relieve(self) -> None:
        if self._full and self._end is None and self._waiting + self._in_hand < self._high:
            self._full = False
            self._last = self._loop.time()
            self._resume()

    def _deliver(self, sink: Sink, chunks: list[bytes]) -> None:
        """In the worker thread: write chunk by chunk, and look before each whether the body was stopped."""
        for piece in _pieces(chunks):
            if self._dropped:
                return
            sink.write(piece)
            self._received += len(piece)

    def _check_idle(self) -> None:
        """Ends a body that lets the server wait. Time in which the server let the client wait does not count."""
        now = self._loop.time()
        due = (now if self._full else self._last) + self._idle_timeout
        if due > now:
            self._watch = self._loop.call_at(due, self._check_idle)
        else:
            self.finish(End.STALLED)


async def uninterrupted(future: "asyncio.Future[T]") -> T:
    """Wait for a thread's result. Cancelling the waiting task takes effect when the thread is done, not before."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        raise


def _pieces(chunks: list[bytes]) -> Iterator[memoryview]:
    """The chunks as pieces of at most PIECE bytes: small ones joined, large ones as they are."""
    if len(chunks) > 1 and sum(map(len, chunks)) < SMALL * len(chunks):
        chunks = [b"".join(chunks)]
    for chunk in chunks:
        whole = memoryview(chunk)
        for start in range(0, len(whole), PIECE):
            yield whole[start : start + PIECE]
