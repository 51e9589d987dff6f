"""The wire: uvicorn's HTTP protocol class, made fit for large bodies and for clients that break.

Use it as `uvicorn.Config(http=wire.Protocol)`, or `http=wire.protocol_class(idle_timeout=…)`. Private attributes of
uvicorn are used throughout, so its version is pinned. What is different from uvicorn's own class:

- A request's head is judged before any application sees it (:mod:`ferryman_server.wire_head`), and has to come in time.
- Bodies gather in a :class:`WireBody` up to 2 MiB, uncopied; a long one with a Content-Length goes past the parser,
  and, while it flows, past the event loop (:mod:`ferryman_server.pump`).
- What a refused or ended request is told, it gets to read (:mod:`ferryman_server.linger`).
- Trailers are the body's, and never show up among the request's header fields.
- `Upgrade` is ignored, as RFC 9110 §7.8 allows, and the request's body is still read.

A connection's input is at one of three stages: between requests, in a head, in a body. Its output belongs to one cycle
at a time, the running one; requests that came behind it (pipelining) wait in a queue. Whenever the server waits for the
client, one timer is set: for a head (`head_timeout`), for the rest of a body that nobody wants (`linger`), or uvicorn's
own for an idle connection; the body's own idle timer covers the rest.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ferryman_protocol.problems import Problem, Refused
from ferryman_server import pump
from ferryman_server.body import End
from ferryman_server.linger import Linger
from ferryman_server.wire_body import Spring
from ferryman_server.wire_cycle import Cycle, Farewell
from ferryman_server.wire_head import Head, answer, header_too_large, read_head, slow_header, unreadable

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

DIRECT: Final = 64 << 10  # bytes of a body still to come from which it goes past the parser


@dataclass(frozen=True, kw_only=True, slots=True)
class WireLimits:
    """The limits of one kind of connection. Times in seconds, sizes in bytes."""

    idle_timeout: float = 60.0  # without a byte of a body that is waited for: it has stalled
    min_rate: float = 64.0  # bytes a second that such a body has to bring on average within each `rate_window`
    rate_window: float = 300.0
    head_timeout: float = 15.0  # from a connection's start, or a head's first bytes, to the head's end
    max_head: int = 32 << 10  # request line and header fields (nginx: 32 KiB, h11: 16 KiB); trailers count too
    drain: int = 256 << 10  # of a body nobody wants: read so that the connection can be kept
    linger: float = 5.0  # how long a client may go on sending after an early answer
    brief_linger: float = 0.5  # the same after a body that was stopped: its sender is to be cut off
    linger_most: int = 64 << 20  # how much it may send

    @property
    def pulse(self) -> dict[str, float]:
        """What a body is told of them."""
        return {"idle_timeout": self.idle_timeout, "min_rate": self.min_rate, "rate_window": self.rate_window}


_FORESEEN: Final = (Refused, httptools.HttpParserError)


class _Stage(Enum):
    BETWEEN = "between"
    HEAD = "head"
    BODY = "body"


class Protocol(HttpToolsProtocol):
    """One connection."""

    limits: ClassVar[WireLimits] = WireLimits()
    _pulse: ClassVar[dict[str, float]] = WireLimits().pulse

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._stage = _Stage.BETWEEN
        self._incoming: Cycle | None = None  # whose body is being read, or was read last
        self._running: Cycle | None = None  # whose answer is being written, or was written last
        self._head_size = 0  # bytes of the head read so far, in whole fields
        self._carried = 0  # bytes that came in pieces belonging to this head alone
        self._direct = 0  # bytes of the body that go past the parser
        self._descriptor = -1  # the socket's
        self._plain = False  # what comes from the socket is what was sent: no TLS
        self._upgrading = False  # the parser believes that HTTP ends here
        self._priming = False  # the parser reads a head of our own making
        self._refused = False  # nothing more is read from this connection
        self._last_words: bytes | None = None  # an answer that waits for the running one
        self._linger: Linger | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # The transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        own = transport.get_extra_info("socket")
        if own is not None and pump.available():
            self._descriptor = own.fileno()
            self._plain = transport.get_extra_info("sslcontext") is None
        self._await_client()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._linger is not None:
            self._linger.discard(len(data))
        elif not self._refused:
            self._unset_keepalive_if_required()
            self._read(data)

    def eof_received(self) -> None:
        """The client has closed its side; the transport closes ours."""
        if self._incoming is not None:
            self._incoming.content.finish(End.DISCONNECTED)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._set_deadline(None)
        if self._linger is not None:
            self._linger.forget()
        self.pipeline.clear()
        for cycle in (self._running, self._incoming):
            if cycle is not None:
                cycle.vanish()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server is going down: a body that is still coming ends, idle and lingering connections close."""
        if self._linger is not None:
            self._linger.end()
            return
        for cycle in (self._running, self._incoming):
            if cycle is not None and not cycle.response_complete:
                cycle.content.interrupt()
        super().shutdown()

    # Reading

    def _read(self, data: bytes) -> None:
        head_only = self._stage is _Stage.HEAD
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Exception) and not isinstance(error.__context__, _FORESEEN):
                raise  # a mistake of ours in one of the calls below: the event loop logs it and closes
            in_head = self._stage is not _Stage.BODY
            self._refuse(unreadable(error, self.headers if in_head else None))
            return
        if head_only and self._stage is _Stage.HEAD:
            self._carried += len(data)
            if self._carried > self.limits.max_head:
                self._refuse(header_too_large(self.limits.max_head).problem)
                return
        self._await_client()

    def _feed(self, data: bytes) -> None:
        while data:
            if self._direct:
                data = self._feed_direct(data)
                continue
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as pause:
                data = data[pause.args[0] :]
                self._stay_with_http()
        if self._stage is _Stage.BODY and not self._direct and self._incoming is not None:
            unread = self._incoming.content.unread
            if unread is not None and unread >= DIRECT:
                self._direct = unread
                if unread >= pump.LEAST and self._plain:
                    self._incoming.content.spring = Spring(self._descriptor, self._drawn)

    def _feed_direct(self, data: bytes) -> bytes:
        """Take the body's part of `data` past the parser, which would copy it; returns the rest."""
        part = data if len(data) <= self._direct else data[: self._direct]
        self.on_body(part)
        self._drawn(len(part))
        return data[len(part) :]

    def _drawn(self, size: int) -> None:
        """So many bytes of the body went past the parser."""
        self._direct -= size
        if size and not self._direct:
            self.parser = self._fresh_parser()  # the old one still waits for the bytes it was not shown
            self.on_message_complete()

    def _fresh_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _stay_with_http(self) -> None:
        """Go on after a request that asked for another protocol; the parser has skipped to the end of its head."""
        self._upgrading = False
        self.parser = self._fresh_parser()
        content = cast(Cycle, self._incoming).content
        if content.length is None:
            self._priming = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
            self._priming = False
        elif content.length:
            self._direct = content.length
        else:
            self.on_message_complete()

    # The parser's calls; what they raise comes out of feed_data as the context of its own error

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._priming:
            return
        super().on_message_begin()
        self._stage = _Stage.HEAD
        self._head_size = self._carried = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        if not self._priming:
            self._count(len(url))
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; after the head, a trailer field."""
        if self._priming:
            return
        self._count(len(name) + len(value) + 4)
        name, value = name.lower(), value.strip(b" \t")
        if self._stage is _Stage.HEAD:
            self.headers.append((name, value))
        else:
            cast(Cycle, self._incoming).content.trail(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The head is complete: judge it, and start the application or let the request wait for its turn."""
        if self._priming:
            return
        version = self.parser.get_http_version()
        head = read_head(version, self.url, self.headers)
        self._describe(version, head)
        cycle = self._open_cycle(version, head)
        self._stage = _Stage.BODY
        self._upgrading = self.parser.should_upgrade()
        self.cycle = self._incoming = cycle
        app = self._choose_app()
        if self._running is None or self._running.response_complete:
            self._start_asgi_task(cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        cast(Cycle, self._incoming).content.arrive(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._upgrading:
            return
        self._stage = _Stage.BETWEEN
        cast(Cycle, self._incoming).content.complete()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.limits.max_head:
            raise header_too_large(self.limits.max_head)

    def _describe(self, version: str, head: Head) -> None:
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"] = self.root_path + head.path
        self.scope["raw_path"] = self.root_path.encode("ascii") + head.raw_path
        self.scope["query_string"] = head.query

    def _open_cycle(self, version: str, head: Head) -> Cycle:
        return Cycle(
            length=head.length,
            pulse=self._pulse,
            drain=self.limits.drain,
            scope=self.scope,
            transport=Farewell(self.transport, self.loop, self._part),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.waits,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def _choose_app(self) -> "ASGI3Application":
        limit = self.limit_concurrency
        if limit is not None and max(len(self.connections), len(self.tasks)) >= limit:
            return service_unavailable
        return cast("ASGI3Application", self.app)

    def _start_asgi_task(self, cycle: "RequestResponseCycle", app: "ASGI3Application") -> None:
        self._running = cast(Cycle, cycle)
        super()._start_asgi_task(cycle, app)

    # Ending

    def on_response_complete(self) -> None:
        """The running answer is out: go on with the next request, say the last words, or wait for the client."""
        if self._linger is not None:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self._refused and not self._busy:
            self._leave()
        elif not self.transport.is_closing():
            self._await_client()

    @property
    def _busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _part(self) -> None:
        """A cycle wants the connection closed. Close at once if the client has nothing more to say, else linger."""
        if self.transport.is_closing() or self._linger is not None:
            return
        if self._stage is _Stage.BETWEEN and not self.pipeline:
            self._set_deadline(None)
            self.transport.close()
        else:
            self._last_words = None  # the client has been told that this answer is the last
            self._leave()

    def _leave(self) -> None:
        """Say what is still to be said, then linger."""
        if self.transport.is_closing():
            return
        if self._last_words is not None:
            self.transport.write(self._last_words)
            self._last_words = None
        self._unset_keepalive_if_required()
        self._set_deadline(None)
        self.pipeline.clear()
        cut = self._incoming is not None and self._incoming.content.stopped
        seconds = self.limits.brief_linger if cut else self.limits.linger
        self._linger = Linger(self.transport, self.loop, seconds=seconds, most=self.limits.linger_most)
        self.flow.resume_reading()

    def _refuse(self, problem: Problem) -> None:
        """Read no further. The refusal is the answer to the request it was found in, behind the answers before it."""
        self.logger.info("refused %s: %d %s", self.client, problem.kind.status, problem.detail)
        self._refused = True
        self._last_words = answer(problem, self.server_state.default_headers)
        if self._stage is _Stage.BODY:
            self._break_off(cast(Cycle, self._incoming))
        if self._busy:
            self.flow.pause_reading()
        else:
            self._leave()

    def _break_off(self, cycle: Cycle) -> None:
        """The body cannot be read to its end: what arrived is kept, and the client is told unless it has its answer."""
        if cycle.response_started:
            self._last_words = None
            cycle.keep_alive = False
            cycle.content.finish(End.DISCONNECTED)
            return
        cycle.vanish()
        if cycle is self._running:
            self._running = None  # its application goes on, but nothing it says is heard
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self.cycle = cast(Cycle, self._running)

    # Waiting for the client

    def _await_client(self) -> None:
        """Set the timer for what the client owes now, if it is its turn."""
        if self._busy:
            self._set_deadline(None)
        elif self._stage is _Stage.BETWEEN and self._running is not None:
            self._set_deadline(None)
            if self.timeout_keep_alive_task is None:
                seconds = self.timeout_keep_alive
                self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
        else:
            self._unset_keepalive_if_required()
            if self._deadline is None:
                self._set_deadline(self._client_timer())

    def _client_timer(self) -> asyncio.TimerHandle:
        if self._stage is _Stage.BODY:
            return self.loop.call_later(self.limits.linger, self.transport.abort)
        return self.loop.call_later(self.limits.head_timeout, self._head_is_late)

    def _set_deadline(self, timer: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = timer

    def _head_is_late(self) -> None:
        self._deadline = None
        if self._stage is _Stage.HEAD:
            self._refuse(slow_header(self.limits.head_timeout))
        else:
            self.transport.close()  # not a byte of a request: nothing to answer


def protocol_class(**limits: Any) -> type[Protocol]:
    """A protocol class with other limits, by the names of :class:`WireLimits`: `protocol_class(idle_timeout=5.0)`."""
    told = WireLimits(**limits)
    return type("Protocol", (Protocol,), {"limits": told, "_pulse": told.pulse})
