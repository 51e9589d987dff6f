"""Pouring: bytes come in on the event loop, and go to a sink from a worker thread, both at the same time.

Theory of operation. The receiving side calls `feed` with what came and `finish` when nothing more comes. `pour` takes
what has been gathered, up to one PIECE, and hands it over in a worker thread; meanwhile the next bytes gather. When two
pieces' worth is in memory the receiving side is paused, and resumed when a write is done.

    receiving side ── feed ──▶ gathered (≤ 1 PIECE or so) ── worker thread ──▶ sink.write (≤ 1 PIECE under way)

A hand-over costs as much whatever its size. So when hundreds of bodies are poured at once, less than a TRICKLE waits
for more for a while (:mod:`ferryman_server.pacing`). A body that comes in faster than it is handed over
is read by its thread from the socket itself, where a subclass can offer one (:mod:`ferryman_server.pump`).

Why it ends is kept in one place. `finish` comes behind the bytes that arrived before it; `stop` overtakes them.
"""

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from ferryman_server import pacing
from ferryman_server.body import PIECE, End, Sink
from ferryman_server.buffers import spaces
from ferryman_server.pulse import Pulse
from ferryman_server.pump import Ebb, Pump

T = TypeVar("T")

THREADS: Final = 32  # writes under way at once; a write waits for a disk, not for a processor
HIGH_WATER: Final = 2 * PIECE  # bytes: gathered and being written, before the receiving side is paused
EARLY: Final = 64 << 10  # bytes: the same before the first hand-over, so that those who wait for it cost little memory
SMALL: Final = 64 << 10  # bytes: chunks below this (on average) are joined before they are written
TRICKLE: Final = 16 << 10  # bytes: less than this is worth waiting for more
FLOW: Final = 64 << 10  # bytes gathered at once: the body comes faster than the loop hands it over
PAUSE: Final = 0.1  # seconds in which the rest of a small body has to come for it to be had whole


@functools.cache
def pool() -> ThreadPoolExecutor:
    """The threads that sinks are written from: one pool for the process, made when the first body is poured."""
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="ferryman-body")


class Pouring:
    """A body that gathers what it is fed: the part that is the same however the bytes come.

    A subclass lets bytes come in `_begin`, and holds the receiving side back in `_pause` until `_resume`.
    """

    def __init__(
        self, *, length: int | None, idle_timeout: float, min_rate: float = 0.0, rate_window: float = 300.0
    ) -> None:
        self._length = length
        self._limits = (idle_timeout, min_rate, rate_window)
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
        self._enough = 1  # bytes gathered that wake whoever waits for them
        self._waker: asyncio.Future[None] | None = None
        self._sink: Sink | None = None  # while it is poured
        self._last: Callable[[], None] | None = None
        self._handing = asyncio.Lock()  # a hand-over is under way
        self._failure: BaseException | None = None  # what the sink raised at one that `pour` did not make
        self._flow: Pump | None = None  # reads the body now, in the place of the receiving side
        self._turn: asyncio.Future[bool] | None = None  # at a hand-over; once waited for
        self._pulse: Pulse | None = None
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

    async def whole(self, most: int) -> list[bytes] | None:
        """A body that is not large, all of it; the contract is :meth:`ferryman_server.body.Body.whole`."""
        if self._length is None or self._length > most or self._dropped:
            return None
        if self._end is None:
            self._high = HIGH_WATER
            self._open()
            await self._gather(PAUSE, self._length)
        if self._end is not End.COMPLETE or self._waiting != self._length or self._dropped:
            return None
        chunks = list(self._gathered)
        self._received = self._waiting
        self._shut()
        return chunks

    async def pour(
        self, sink: Sink, moved: Callable[[], None] | None = None, last: Callable[[], None] | None = None
    ) -> End:
        """Hand everything to the sink until the body ends; the contract is :meth:`ferryman_server.body.Body.pour`."""
        if not self._dropped:
            self._open()
            self._sink = sink
            self._last = last
        try:
            with pacing.pouring():
                while await self._something():
                    with pacing.line("hand-over" if self._flow is None else "flow").place() as self._turn:
                        if await self._turn:
                            await self._hand_over(sink)
                    if moved is not None:
                        moved()
        finally:
            self._sink = None
            async with self._handing:  # a flush may still be writing
                self._shut()
            self._count_flow(0, goes_on=False)  # it may have been stopped while it waited for its turn
            await self._ended()
        if self._failure is not None:
            raise self._failure
        assert self._end is not None
        return self._end

    async def flush(self) -> None:
        """Hand over what is gathered; the contract is :meth:`ferryman_server.body.Body.flush`."""
        if self._flow is not None:
            return  # a pump hands over what comes at once; to wait for the end of its run would help nobody
        async with self._handing:
            if self._sink is None or self._flow is not None or not self._gathered:
                return
            try:
                await self._let_drip(self._sink)
            except Exception as failure:  # it is the body's, not of whoever wanted it flushed
                self._failure = failure
                self._wake()

    def stop(self, end: End) -> None:
        """Stop reading and drop what was not handed over; the contract is :meth:`ferryman_server.body.Body.stop`."""
        if self._dropped:
            return
        self._end = end
        self._drop()
        self._unwatch()
        self._pause()
        self._wake()
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(False)

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived. After the end they are dropped; while paused they are still taken."""
        if self._end is not None or not data:
            return
        self._gathered.append(data)
        self._waiting += len(data)
        if self._pulse is not None:
            self._pulse.beat(len(data), self._loop.time())
        if self._waiting >= self._enough:
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

    def _pump(self) -> Pump | None:
        """A pump on the socket that the rest of the body comes from, where there is one and it is worth it."""
        return None

    def _pumped(self, size: int) -> None:
        """So many bytes were read by the pump; calls `finish` when they were the last."""

    async def _ended(self) -> None:
        """Pouring is over: let go of what it needed."""

    # Inside

    def _open(self) -> None:
        self._begin()
        self._relieve()
        if self._end is None and self._watch is None:
            now, (idle_timeout, min_rate, window) = self._loop.time(), self._limits
            self._pulse = Pulse(now, idle_timeout=idle_timeout, min_rate=min_rate, window=window)
            self._watch = self._loop.call_at(self._pulse.due(now), self._look)

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
        """Wait for bytes worth a hand-over; False when there are no more."""
        if self._flow is not None:
            return not self._dropped
        while True:
            while not self._gathered and self._end is None and self._failure is None:
                await self._woken(1)
            if self._end is None and self._waiting < TRICKLE and (patience := pacing.patience()):
                await self._gather(patience, TRICKLE)
            if self._gathered or self._end is not None or self._failure is not None:
                break  # else a flush has handed over everything meanwhile
        return bool(self._gathered) and self._failure is None

    async def _gather(self, seconds: float, enough: int) -> None:
        """Wait until enough bytes have gathered, the body ends, or so many seconds are over."""
        timer = self._loop.call_later(seconds, self._wake)
        try:
            await self._woken(enough)
        finally:
            timer.cancel()

    async def _woken(self, enough: int) -> None:
        self._enough = enough
        self._waker = self._loop.create_future()
        try:
            await self._waker
        finally:
            self._waker = None

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _hand_over(self, sink: Sink) -> None:
        async with self._handing:
            if self._flow is not None:
                await self._let_flow(sink, self._flow)
            elif not self._start_flow() and self._gathered:
                await self._let_drip(sink)

    async def _let_drip(self, sink: Sink) -> None:
        """One piece of what was gathered."""
        self._high = HIGH_WATER  # one whose turn has not come, or that flows, needs no more than it begins with
        chunks = self._take(PIECE)
        self._in_hand = sum(map(len, chunks))
        self._relieve()
        try:
            await uninterrupted(self._loop.run_in_executor(pool(), self._deliver, sink, chunks))
        finally:
            self._in_hand = 0
        self._relieve()

    def _start_flow(self) -> bool:
        """Have a pump read a body that comes so fast, in turn with others from now on. Returns whether one does."""
        if self._waiting < FLOW or self._end is not None:
            return False
        self._flow = self._pump()
        if self._flow is not None:
            self._pause()
            self._full = False  # it is the flow that holds the receiving side back from here on
        return self._flow is not None

    async def _let_flow(self, sink: Sink, pump: Pump) -> None:
        """One run of the pump, behind what was gathered before it."""
        left, ebb = pump.left, Ebb.STOPPED
        chunks = list(self._gathered)
        self._gathered.clear()
        self._waiting = 0
        try:
            ebb = await uninterrupted(self._loop.run_in_executor(pool(), self._run, sink, chunks, pump))
        finally:
            self._count_flow(left - pump.left, goes_on=ebb is Ebb.TURN)
        if ebb is Ebb.GONE:
            self.finish(End.DISCONNECTED)
        if self._flow is None and self._end is None:
            self._resume()

    def _run(self, sink: Sink, chunks: list[bytes], pump: Pump) -> Ebb:
        with spaces(sink) as space:
            ebb = pump.run(
                functools.partial(self._put, sink),
                stopped=lambda: self._dropped or self._end is not None,
                before=chunks,
                space=space,
            )
        if ebb is Ebb.DONE and self._last is not None and not self._dropped:
            self._last()
        return ebb

    def _count_flow(self, size: int, *, goes_on: bool) -> None:
        if size and self._pulse is not None:
            self._pulse.beat(size, self._loop.time())
        if not goes_on and self._flow is not None:
            self._flow.close()
            self._flow = None
        self._pumped(size)

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
            if self._pulse is not None:
                self._pulse.excuse(self._loop.time())
            self._resume()

    def _deliver(self, sink: Sink, chunks: list[bytes]) -> None:
        """In the worker thread: write chunk by chunk, and look before each whether the body was stopped."""
        for piece in _pieces(chunks):
            if self._dropped:
                return
            self._put(sink, piece)

    def _put(self, sink: Sink, piece: memoryview) -> None:
        sink.write(piece)
        self._received += len(piece)

    def _look(self) -> None:
        """Ends a body that lets the server wait. Time in which the server let the client wait does not count."""
        assert self._pulse is not None
        now = self._loop.time()
        if self._full or self._flow is not None:
            self._pulse.excuse(now)
        due = self._pulse.due(now)
        if due > now:
            self._watch = self._loop.call_at(due, self._look)
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
