"""The pump: a thread that reads a long body straight from its socket, past the event loop.

Theory of operation. While a pump runs the transport is paused, so nobody else reads the socket. Each round reads into
memory that it is given, until that is full or the socket is dry, and hands it to the sink: two copies in all (kernel,
memory, page cache or the next socket), no object a chunk, and the interpreter's lock is only held between system calls.
One thread a body: a second one that writes while the first reads was tried, and what waking each other costs eats up
what it gains.

- The socket stays non-blocking: its flags are shared with the event loop's own descriptor. Waiting is `poll`, and the
  kernel is asked to wake us for no less than LOW_WATER bytes.
- The descriptor is a duplicate: whatever happens to the connection meanwhile, its number is not given to another.
- A flag is looked at before every read and every write, so a body that was stopped is left alone within 5 ms.
- Onto a disk, pieces end at multiples of the buffer's size, where the body flows: the page cache then holds large
  pieces as one.
- A run ends after a slice of time, so that more bodies than threads take turns, and as soon as the socket stays dry: a
  thread is for a body that flows; slow ones wait on the event loop, where waiting costs nothing.
"""

import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

from ferryman_server.buffers import SIZE, Chunks

ENOUGH: Final = 256 << 10  # bytes: when the socket is dry, what is worth a write of its own
LOW_WATER: Final = 256 << 10  # bytes worth a wake-up while many more are to come
LEAST: Final = 256 << 10  # bytes still to come from which a pump is worth its start
SLICE: Final = 0.1  # seconds a run lasts at most
DRY: Final = 0.02  # seconds without a byte after which a run ends
LOOK: Final = 5  # milliseconds between two looks at the flag


class Ebb(Enum):
    """Why a run ended."""

    DONE = auto()  # every byte was read
    TURN = auto()  # the slice is over; more may be there
    DRY = auto()  # nothing came for a while
    STOPPED = auto()  # the flag was seen
    GONE = auto()  # the client has closed or reset the connection


class Pump:
    """Reads `left` bytes from one socket. Use `run` from one thread at a time; `close` when no run is under way."""

    def __init__(self, descriptor: int, left: int) -> None:
        """Duplicate `descriptor`, a non-blocking stream socket. Raises OSError."""
        self.left = left
        self._socket: socket.socket | None = socket.socket(fileno=os.dup(descriptor))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._low_water = 1

    def run(
        self,
        write: Callable[[memoryview], None],
        stopped: Callable[[], bool],
        before: Iterable[bytes],
        space: Callable[[], memoryview],
    ) -> Ebb:
        """Read and write for a while, first what came `before`; each round into the `space` that it is given. What
        `write` and `space` raise comes out; the bytes refused, and what was read meanwhile, are read and gone."""
        try:
            return self._run(write, stopped, Chunks(before), space)
        finally:
            self._wake_for(1)

    def close(self) -> None:
        """Let go of the socket. Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _run(
        self,
        write: Callable[[memoryview], None],
        stopped: Callable[[], bool],
        before: "Chunks",
        space: Callable[[], memoryview],
    ) -> Ebb:
        over = time.monotonic() + SLICE
        while not stopped():
            here = space()
            had = before.fill(here)  # and what is read goes behind it
            filled, gone = self._fill(here, had, min(len(here), had + self.left), stopped)
            if filled and not stopped():
                write(here[:filled])
            if gone:
                return Ebb.GONE
            if not self.left and not before:
                return Ebb.DONE
            if not filled:
                return Ebb.STOPPED if stopped() else Ebb.DRY
            if time.monotonic() > over and not before:
                return Ebb.TURN
        return Ebb.STOPPED

    def _fill(self, here: memoryview, filled: int, most: int, stopped: Callable[[], bool]) -> tuple[int, bool]:
        """Read until `most` bytes are there or the socket is dry: how many are, and whether the client is gone."""
        assert self._socket is not None
        patience, dry = int(DRY * 1000 / LOOK), False
        self._wake_for(LOW_WATER if self.left >= 2 * SIZE else 1)
        while filled < most and not stopped():
            try:
                count = self._socket.recv_into(here[filled:most])
            except BlockingIOError:
                if filled >= ENOUGH or dry:
                    break
                if not self._poll.poll(LOOK):
                    patience -= 1
                    dry = filled > 0 or not patience  # less than the low-water mark may be there all the same
                continue
            except OSError:  # reset
                return filled, True
            if not count:
                return filled, True
            filled, dry = filled + count, False
            self.left -= count
        return filled, False

    def _wake_for(self, size: int) -> None:
        """Have `poll` answer when so many bytes are there, or the end is."""
        if size != self._low_water and self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            self._low_water = size


def available() -> bool:
    """Whether this platform has what a pump needs."""
    return hasattr(select, "poll") and hasattr(socket, "SO_RCVLOWAT") and sys.platform != "win32"
