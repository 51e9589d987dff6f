"""The pump: a thread that reads a long body straight from its socket, past the event loop.

Theory of operation. While a pump runs the transport is paused, so nobody else reads the socket. Each round reads into a
buffer that the thread keeps, until the buffer is full or the socket is dry, and hands it to the sink: two copies in all
(kernel, buffer, page cache), no object a chunk, and the interpreter's lock is only held between system calls.

- The socket stays non-blocking: its flags are shared with the event loop's own descriptor. Waiting is `poll`.
- The descriptor is a duplicate: whatever happens to the connection meanwhile, its number is not given to another.
- A flag is looked at before every read and every write, so a body that was stopped is left alone within 5 ms.
- A run ends after a slice of time, so that more bodies than threads take turns, and as soon as the socket stays dry: a
  thread is for a body that flows; slow ones wait on the event loop, where waiting costs nothing.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

BUFFER: Final = 512 << 10  # bytes: what a thread reads before it writes
ENOUGH: Final = 64 << 10  # bytes: when the socket is dry, what is worth a write of its own
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
        self._descriptor = os.dup(descriptor)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def run(self, write: Callable[[memoryview], None], stopped: Callable[[], bool]) -> Ebb:
        """Read and write for a while. What `write` raises comes out; the bytes it refused are read and gone."""
        buffer = _buffer()
        over = time.monotonic() + SLICE
        while not stopped():
            filled, gone = self._fill(buffer, stopped)
            if filled and not stopped():
                write(buffer[:filled])
            if gone:
                return Ebb.GONE
            if not self.left:
                return Ebb.DONE
            if not filled:
                return Ebb.STOPPED if stopped() else Ebb.DRY
            if time.monotonic() > over:
                return Ebb.TURN
        return Ebb.STOPPED

    def close(self) -> None:
        """Let go of the socket. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _fill(self, buffer: memoryview, stopped: Callable[[], bool]) -> tuple[int, bool]:
        """Read until the buffer is full or the socket is dry: how many bytes, and whether the client is gone."""
        most, filled, patience = min(len(buffer), self.left), 0, int(DRY * 1000 / LOOK)
        while filled < most and not stopped():
            try:
                count = os.readv(self._descriptor, [buffer[filled:most]])
            except BlockingIOError:
                if filled >= ENOUGH:
                    break
                if not self._poll.poll(LOOK):
                    patience -= 1
                    if filled or not patience:
                        break
                continue
            except OSError:  # reset
                return filled, True
            if not count:
                return filled, True
            filled += count
            self.left -= count
        return filled, False


def available() -> bool:
    """Whether this platform has what a pump needs."""
    return hasattr(os, "readv") and hasattr(select, "poll") and sys.platform != "win32"


class _Buffers(threading.local):
    buffer: memoryview | None = None


_buffers: Final = _Buffers()


def _buffer() -> memoryview:
    """This thread's buffer, made when it is first needed."""
    if _buffers.buffer is None:
        _buffers.buffer = memoryview(bytearray(BUFFER))
    return _buffers.buffer
