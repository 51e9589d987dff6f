"""One end of a connection: a socket that never blocks, and what was read from it and not yet passed on."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

from tests.s3.framing import END_OF_HEAD, Head, Malformed, parse

BUFFER: Final = 512 << 10  # bytes: also the longest head
LINGER: Final = 1.0  # seconds that the other side has to close after our FIN


class Gone(ConnectionError):
    """A side has closed or reset its connection."""

    def __init__(self, stream: "Stream") -> None:
        super().__init__("the other side is gone")
        self.stream = stream


class Stream:
    """Reads and writes without copying. Nothing moves while `flowing` is not set."""

    def __init__(self, connected: socket.socket, flowing: asyncio.Event) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._flowing = flowing
        self._buffer = memoryview(bytearray(BUFFER))
        self._start = self._end = 0
        self._loop = asyncio.get_running_loop()

    @property
    def unread(self) -> memoryview:
        """What has come and was not taken; it may be changed in place."""
        return self._buffer[self._start : self._end]

    def take(self, size: int) -> None:
        """So many bytes of what has come are dealt with."""
        self._start += size
        if self._start == self._end:
            self._start = self._end = 0

    async def fill(self) -> bool:
        """Read more behind what is unread; False at the end. A cancelled call loses nothing."""
        if self._end == BUFFER:
            self._move_to_front()
        await self._flowing.wait()
        while True:
            try:
                size = self._socket.recv_into(self._buffer[self._end :])
                break
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
            except OSError:
                raise Gone(self) from None
        self._end += size
        return size > 0

    @property
    def full(self) -> bool:
        """Whether nothing more can be read before something is taken."""
        return self._end - self._start == BUFFER

    async def head(self) -> Head | None:
        """Take the next head; None when the other side ends before it."""
        while (end := bytes(self.unread).find(END_OF_HEAD)) < 0:
            if self.full:
                raise Malformed(f"a head of more than {BUFFER} bytes")
            if not await self.fill():
                return None
        size = end + len(END_OF_HEAD)
        raw = bytes(self.unread[:size])
        self.take(size)
        return parse(raw)

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it: the kernel has it then."""
        await self._flowing.wait()
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except OSError:
                raise Gone(self) from None

    async def say_goodbye(self) -> None:
        """FIN; what the other side still sends is thrown away until it has read that far."""
        with contextlib.suppress(OSError, TimeoutError):
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(LINGER):
                self.take(len(self.unread))
                while await self.fill():
                    self.take(len(self.unread))

    def close(self) -> None:
        """Close it: FIN, or RST where something came that nobody read."""
        self._socket.close()

    def reset(self) -> None:
        """Close it with RST."""
        with contextlib.suppress(OSError):  # closed already
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _move_to_front(self) -> None:
        assert not self.full, "take something first"
        left = len(self.unread)
        self._buffer[:left] = bytes(self.unread)
        self._start, self._end = 0, left

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        number = self._socket.fileno()
        add(number, _wake, ready)
        try:
            await ready
        finally:
            remove(number)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():  # the loop may call once more before it is told to stop
        ready.set_result(None)
