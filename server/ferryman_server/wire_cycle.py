"""One request and its answer on a connection: uvicorn's cycle, with the body and the end of the connection made ours.

What differs from uvicorn:

- The body is a :class:`WireBody`. The application finds it, and a way to send interim answers, in
  `scope["extensions"]["ferryman.wire"]`; ASGI's `receive()` reads the same body and works as ever.
- Bytes that came before a disconnect are given out before the disconnect is told.
- An answer that is complete before its request is keeps the connection only if little is left to read. Otherwise it
  carries `Connection: close`, and the connection lingers (:mod:`ferryman_server.linger`).
- A client of HTTP/1.0 never gets a chunked answer (RFC 9112 §6.1).
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from ferryman_server.body import Body, End
from ferryman_server.wire_body import WireBody

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPScope

EXTENSION: Final = "ferryman.wire"  # the key in scope["extensions"]
JOINED: Final = 16 << 10  # bytes of a body's beginning that are worth copying behind the answer's head
REASONS: Final = {102: "Processing", 103: "Early Hints", 104: "Upload Resumption Supported"}

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2: token
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5: field-value


@dataclass(frozen=True, slots=True)
class Wire:
    """What the wire offers to the application beyond ASGI."""

    body: Body
    inform: Callable[[int, Sequence[tuple[str, str]]], bool]
    """Send an interim answer (102 to 199) with these fields; False when it cannot be (any more, or to this client).

    It never stands for 100 (Continue), which is sent by itself when the body is first read (RUFH forbids that a 104
    replaces it). Raises ValueError for another status or for fields that would break the message.
    """


class Farewell(asyncio.Transport):
    """The transport as a cycle sees it: closing it is left to the connection, which may have to linger.

    It also keeps an answer's head back for the body that mostly follows in the same turn of the loop: one system call
    and one packet instead of two.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, part: Callable[[], None]) -> None:
        self._transport = transport
        self._loop = loop
        self._part = part
        self._held = b""
        self._closed = False
        self.hold_next = False  # the next write is an answer's head

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Write, unless the connection is closing: uvloop raises for a closed one, and nobody would read it."""
        if self.hold_next:
            self.hold_next = False
            self._held = bytes(data)
            self._loop.call_soon(self.release)
            return
        if self._held and len(data) <= JOINED:
            data, self._held = b"".join((self._held, data)), b""
        self.release()
        if data and not self.is_closing():
            self._transport.write(data)

    def release(self) -> None:
        """Write what is held, now."""
        held, self._held = self._held, b""
        if held and not self.is_closing():
            self._transport.write(held)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closed or self._transport.is_closing()

    def close(self) -> None:
        """The answer is complete, or never will be: the connection may end."""
        self.release()
        self._closed = True
        self._part()


class Cycle(RequestResponseCycle):
    """One request and its answer. Takes what uvicorn's cycle takes, and the body's length."""

    def __init__(self, *, length: int | None, idle_timeout: float, drain: int, **base: Any) -> None:
        super().__init__(**base)
        self._door: Farewell = base["transport"]
        self.content = WireBody(length=length, flow=self.flow, invite=self.invite, idle_timeout=idle_timeout)
        self._drain = drain
        self._old = self.scope["http_version"] == "1.0"
        self._bodiless = self.scope["method"] == "HEAD"
        self._told = False  # `receive` gave the last of the body
        self._until_close = False  # the answer's end is the connection's end: HTTP/1.0 without a Content-Length
        extensions: dict[str, Any] = {EXTENSION: Wire(self.content, self.inform)}
        self.scope["extensions"] = extensions

    def invite(self) -> None:
        """Send 100 (Continue) if the client waits for it; a 104 that went out before does not stand for it (R24)."""
        if self.waiting_for_100_continue and not self.response_started and not self.disconnected:
            self.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def inform(self, status: int, headers: Sequence[tuple[str, str]]) -> bool:
        """Send an interim answer; see :class:`Wire`."""
        message = _interim(status, headers)
        late = self.response_started or self.disconnected or self.transport.is_closing()
        # Interim answers nobody reads must not fill the memory: progress that cannot be told now will be told later.
        if late or self.flow.write_paused or self._old:
            return False
        self.transport.write(message)
        return True

    def vanish(self) -> None:
        """The client is gone, or has had its answer by other means: whatever the application sends goes nowhere."""
        self.content.finish(End.DISCONNECTED)
        if not self.response_complete:
            self.disconnected = True
        self.message_event.set()

    async def run_asgi(self, app: "ASGI3Application") -> None:
        """Run the application; afterwards nothing points in a circle, so that the memory is free at once."""
        try:
            await super().run_asgi(app)
        finally:
            self.content.forget_invitation()
            self.scope = cast("HTTPScope", {})  # it holds the Wire, which holds this cycle

    async def send(self, message: "ASGISendEvent") -> None:
        """ASGI's send."""
        if not self.response_started and message["type"] == "http.response.start":
            self._decide_persistence()
            self._decide_framing(list(message.get("headers", [])))
            self._door.hold_next = True
        elif self._until_close and message["type"] == "http.response.body":
            self.expected_content_length = len(message.get("body", b""))  # uvicorn checks against it
        elif self._bodiless:
            self._door.release()  # no body will be written behind the head
        await super().send(message)
        if self.response_complete:
            self.content.abandon()

    async def receive(self) -> "ASGIReceiveEvent":
        """ASGI's receive: the body first, then, when the client leaves or the answer is complete, `http.disconnect`."""
        if not self._told and not self.response_complete:
            data = await self.content.chunk()
            over = self.content.over
            self._told = over is not None
            if data or over is End.COMPLETE:
                return {"type": "http.request", "body": data, "more_body": over is not End.COMPLETE}
            return {"type": "http.disconnect"}
        while not self.disconnected and not self.response_complete and self.content.over is End.COMPLETE:
            self.flow.resume_reading()
            self.message_event.clear()
            await self.message_event.wait()
        return {"type": "http.disconnect"}

    def _decide_persistence(self) -> None:
        """RFC 9112 §9.3: a server that does not read a request to its end closes the connection after its answer."""
        unread = self.content.unread
        # RFC 9110 §10.1.1: a client that waits for 100 may send its body all the same, or not: nobody can know.
        undecided = self.waiting_for_100_continue and self.content.arrived == 0 and unread != 0
        if undecided or self.content.stopped or unread is None or unread > self._drain:
            self.keep_alive = False

    def _decide_framing(self, headers: list[tuple[bytes, bytes]]) -> None:
        if self._old and all(name.lower() != b"content-length" for name, _ in headers):
            self.chunked_encoding = False
            self._until_close = True


def _interim(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    if not 102 <= status <= 199:
        raise ValueError(f"{status} is not an interim status that can be sent here (102 to 199)")
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n"]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"the interim answer's field {name!r} cannot be sent with the value {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join([*lines, "\r\n"]).encode("latin-1")
