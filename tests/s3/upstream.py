"""A small HTTP/1.1 server that stands where S3 would: it remembers what it got and answers as a test says."""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

STEP = 1 << 20  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Got:
    """A request, whole or broken off."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    size: int  # bytes of the body that came
    sha256: str
    whole: bool
    beginning: bytes  # of the body
    connection: int  # the client's port


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer."""

    status: int = 200
    body: bytes = b"done"
    chunks: tuple[bytes, ...] = ()  # sent so instead, when there are any
    closes: bool = False
    sized: bool = True  # False: the body ends with the connection
    headers: dict[str, str] = field(default_factory=dict)


class Upstream:
    """Where it is, what it got, and how it answers."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.got: list[Got] = []
        self.early: Callable[[str], Reply | None] = lambda target: None  # answers before the body is read
        self.answer: Callable[[Got], Reply] = lambda got: Reply()
        self.port: int = server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [got.target for got in self.got]


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them
    request_queue_size = 128
    upstream: Upstream

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was reset is what these tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20

    def do_GET(self) -> None:
        """Answer any method."""
        upstream = cast(_Server, self.server).upstream
        early = upstream.early(self.path)
        if early is not None:
            self._reply(early)
            return
        got = self._receive()
        upstream.got.append(got)
        if got.whole:
            self._reply(upstream.answer(got))
        else:
            self.close_connection = True

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _receive(self) -> Got:
        headers = {name.lower(): value for name, value in self.headers.items()}
        digest, size, beginning, whole = hashlib.sha256(), 0, b"", False
        try:
            for piece in self._chunks() if "transfer-encoding" in headers else self._sized(headers):
                digest.update(piece)
                size += len(piece)
                beginning += piece[: 100 - len(beginning)]
            whole = True
        except ConnectionError:
            pass
        return Got(
            method=self.command,
            target=self.path,
            headers=headers,
            size=size,
            sha256=digest.hexdigest(),
            whole=whole,
            beginning=beginning,
            connection=self.client_address[1],
        )

    def _sized(self, headers: dict[str, str]) -> Iterator[bytes]:
        left = int(headers.get("content-length", 0))
        while left:
            piece = self.rfile.read1(min(left, STEP))
            if not piece:
                raise ConnectionError
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line(), 16):
            yield self.rfile.read(size)
            self._line()
        while self._line():
            pass

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise ConnectionError
        return line.strip()

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunks:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.sized:
            self.send_header("Content-Length", str(len(reply.body)))
        if reply.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            chunks = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*reply.chunks, b"")]
            self.wfile.write(b"".join(chunks) if reply.chunks else reply.body)
        self.close_connection = self.close_connection or reply.closes or not reply.sized


@contextmanager
def upstream_server() -> Iterator[Upstream]:
    """A server for the length of the `with`."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.upstream = Upstream(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.upstream
        finally:
            server.shutdown()
            thread.join()
