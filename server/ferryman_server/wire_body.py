"""The body of a request under our own protocol class: fed by it, straight from the socket.

Besides pouring it serves ASGI's `receive()`, for endpoints that read small bodies the usual way. One body is read in
one of the two ways, never both.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from uvicorn.protocols.http.flow_control import FlowControl

from ferryman_server import pump
from ferryman_server.body import PIECE, End
from ferryman_server.pouring import HIGH_WATER, Pouring


@dataclass(frozen=True, slots=True)
class Spring:
    """Where the rest of a long body can be read past the event loop."""

    descriptor: int  # the connection's socket
    drawn: Callable[[int], None]  # so many bytes were read from it by somebody else


class WireBody(Pouring):
    """One request's body. `here` turns true when its last byte came in, whether anybody wanted it or not."""

    def __init__(
        self,
        *,
        length: int | None,
        flow: FlowControl,
        invite: Callable[[], None],
        idle_timeout: float,
        min_rate: float = 0.0,
        rate_window: float = 300.0,
    ) -> None:
        super().__init__(length=length, idle_timeout=idle_timeout, min_rate=min_rate, rate_window=rate_window)
        self.here = length == 0
        self.arrived = 0  # bytes that came in, thrown away or not
        self.spring: Spring | None = None  # set by the protocol once only plain bytes of the body are to come
        self._reading = flow
        self._invite: Callable[[], None] | None = invite  # sends 100 (Continue) to a client that waits for it
        if self.here:
            self.finish(End.COMPLETE)

    @property
    def unread(self) -> int | None:
        """Bytes of the body that have not come in yet; None when it cannot be known."""
        if self.here:
            return 0
        return None if self._length is None else self._length - self.arrived

    @property
    def stopped(self) -> bool:
        """Whether the body ended for another reason than its own end or the client's."""
        return self._end in (End.STALLED, End.SUPERSEDED, End.SHUTDOWN)

    def arrive(self, data: bytes) -> None:
        """Bytes came in."""
        self.arrived += len(data)
        self.feed(data)

    def complete(self) -> None:
        """The end of the body came in."""
        self.here = True
        self.finish(End.COMPLETE)

    def trail(self, name: str, value: str) -> None:
        """A trailer field came in."""
        self._trailers.append((name, value))

    def interrupt(self) -> None:
        """The server is going down: end the body unless all of it is here already."""
        if not self.here:
            self.stop(End.SHUTDOWN)

    def abandon(self) -> None:
        """The answer is out: what still comes is thrown away."""
        self.finish(End.DISCONNECTED)
        self._shut()

    def forget_invitation(self) -> None:
        """The application is through with the request."""
        self._invite = None

    async def chunk(self) -> bytes:
        """The next bytes, for `receive()`: empty when there are no more (see `over`)."""
        if not self._dropped:
            self._high = HIGH_WATER
            self._open()
        data = b"".join(self._take(PIECE)) if await self._something() else b""
        self._relieve()
        return data

    @property
    def over(self) -> End | None:
        """How the body ended, once all of it was given out by `chunk`."""
        return None if self._gathered else self._end

    def _begin(self) -> None:
        if not self.here and self._invite is not None:
            self._invite()

    def _pause(self) -> None:
        if not self.here:
            self._reading.pause_reading()

    def _resume(self) -> None:
        if not self.here:
            self._reading.resume_reading()

    def _pump(self) -> pump.Pump | None:
        unread = self.unread
        if self.spring is None or unread is None or unread < pump.LEAST:
            return None
        with suppress(OSError):  # no descriptor is free: it goes without
            return pump.Pump(self.spring.descriptor, unread)
        return None

    def _pumped(self, size: int) -> None:
        self.arrived += size
        if self.spring is not None:
            self.spring.drawn(size)

    async def _ended(self) -> None:
        self.spring = None
