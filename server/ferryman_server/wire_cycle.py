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
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from ferryman_server.body import Body, End
from ferryman_server.wire_answer import AnswerHead, chunk
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
    break_off: Callable[[], None]
    """End the connection in the middle of the answer: its rest cannot be had, and the client is to know. Nothing more
    may be sent."""
    abort: Callable[[], None]
    """The same, without waiting until the client has taken what was written already."""


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

    def hold(self, head: bytes, *, briefly: bool) -> None:
        """Keep an answer's head back until something is written behind it; `briefly`: not beyond this turn."""
        self._held = head
        if briefly:
            self._loop.call_soon(self.release)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Write, unless the connection is closing: uvloop raises for a closed one, and nobody would read it."""
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

    def abort(self) -> None:
        """Close the connection at once; what is not sent yet is lost."""
        self._closed = True
        self._transport.abort()

    def close(self) -> None:
        """The answer is complete, or never will be: the connection may end."""
        self.release()
        self._closed = True
        self._part()


class Cycle(RequestResponseCycle):
    """One request and its answer. Takes what uvicorn's cycle takes, the body's length, and what keeps its pulse."""

    def __init__(  # each by its name: passing uvicorn's on as `**base` took a thirtieth of a small request's time
        self,
        *,
        length: int | None,
        pulse: Mapping[str, float],
        drain: int,
        scope: "HTTPScope",
        transport: Farewell,
        flow: FlowControl,
        logger: logging.Logger,
        access_logger: logging.Logger,
        access_log: bool,
        default_headers: list[tuple[bytes, bytes]],
        message_event: asyncio.Event,
        expect_100_continue: bool,
        keep_alive: bool,
        on_response: Callable[..., None],
    ) -> None:
        super().__init__(
            scope=scope,
            transport=transport,
            flow=flow,
            logger=logger,
            access_logger=access_logger,
            access_log=access_log,
            default_headers=default_headers,
            message_event=message_event,
            expect_100_continue=expect_100_continue,
            keep_alive=keep_alive,
            on_response=on_response,
        )
        self._door = transport
        self.content = WireBody(length=length, flow=self.flow, invite=self.invite, **pulse)
        self._drain = drain
        self._old = self.scope["http_version"] == "1.0"
        self._bodiless = self.scope["method"] == "HEAD"
        self._told = False  # `receive` gave the last of the body
        self._chunked = False  # the answer's body
        self._left: int | None = None  # bytes of it that are still to be written, when its head tells them
        extensions: dict[str, Any] = {EXTENSION: Wire(self.content, self.inform, self.break_off, self.abort)}
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

    def break_off(self) -> None:
        """End the connection though the answer is not complete; see :class:`Wire`."""
        if not self.response_complete:
            self.disconnected = True
            self.transport.close()

    def abort(self) -> None:
        """End the connection, now; see :class:`Wire`."""
        if not self.response_complete:
            self.disconnected = True
            self._door.abort()

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
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started and message["type"] == "http.response.start":
            self._begin_answer(message["status"], message.get("headers", ()))
        elif self.response_started and not self.response_complete and message["type"] == "http.response.body":
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} cannot be sent at this point of an answer")

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

    def _begin_answer(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._decide_persistence()
        head = AnswerHead(
            status,
            [*self.default_headers, *fields],
            keep_alive=self.keep_alive,
            bodiless=self._bodiless,
            may_chunk=not self._old,
        )
        self.response_started, self.waiting_for_100_continue = True, False
        self.keep_alive, self._chunked, self._left = head.keep_alive, head.chunked, head.length
        if self.access_log:
            self._log_access(status)
        # A body of a known length is sent at once; one that is made bit by bit may begin with a long wait.
        self._door.hold(head.data, briefly=head.length is None)

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self._bodiless:
            self._door.release()
        elif self._chunked:
            self._door.write(chunk(body, last=not more))
        else:
            self._write_counted(body, more=more)
        if not more:
            self._end_answer()

    def _write_counted(self, body: bytes, *, more: bool) -> None:
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("Response content longer than Content-Length")
        self._door.write(body)
        if self._left and not more:
            raise RuntimeError("Response content shorter than Content-Length")

    def _end_answer(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self._door.close()
        self.on_response()
        self.content.abandon()

    def _log_access(self, status: int) -> None:
        client, path = get_client_addr(self.scope), get_path_with_query_string(self.scope)
        method, version = self.scope["method"], self.scope["http_version"]
        self.access_logger.info('%s - "%s %s HTTP/%s" %d', client, method, path, version, status)


def _interim(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    if not 102 <= status <= 199:
        raise ValueError(f"{status} is not an interim status that can be sent here (102 to 199)")
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n"]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"the interim answer's field {name!r} cannot be sent with the value {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join([*lines, "\r\n"]).encode("latin-1")
