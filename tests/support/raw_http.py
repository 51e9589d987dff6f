"""A client of raw bytes on a socket: it sends exactly what a test says, breaks as a test says, and reads answers."""

import contextlib
import json
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class RawResponse:
    """One answer, final or interim."""

    status: int
    headers: dict[str, str]  # names in lower case; of a doubled field the last
    body: bytes

    @property
    def document(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def head(
    method: str, target: str = "/", *fields: str, version: str = "1.1", host: str | None = "test.invalid"
) -> bytes:
    """The head of a request with these field lines; Host comes by itself unless `host` is None."""
    lines = [f"{method} {target} HTTP/{version}", *([] if host is None else [f"Host: {host}"]), *fields]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def chunked(*chunks: bytes, trailers: tuple[str, ...] = (), last: bool = True) -> bytes:
    """Bytes as chunks, with the last chunk and the trailer fields behind them."""
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    end = "".join(f"{line}\r\n" for line in ["0", *trailers, ""]).encode()
    return coded + end if last else coded


class RawClient:
    """One connection to a server on loopback. Use it as a context manager."""

    def __init__(self, port: int, *, timeout: float = 20.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(b"".join(data))

    def flood(self, size: int, *, step: int = 1 << 18, fill: bytes = b"\0") -> int:
        """Send `size` equal bytes as fast as they are taken; stops when the connection is cut, tells how many went."""
        block, sent = memoryview(fill * step), 0
        with contextlib.suppress(ConnectionError):
            while sent < size:
                sent += self.socket.send(block[: min(step, size - sent)])
        return sent

    def half_close(self) -> None:
        """Send FIN: nothing more comes from this side."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def response(self, *, to_head: bool = False) -> RawResponse:
        """The next answer, be it interim or final. `to_head`: it answers HEAD, so no body follows."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        bodiless = to_head or status < 200 or status in (204, 304)
        return RawResponse(status=status, headers=headers, body=b"" if bodiless else self._body(headers))

    def responses(self) -> list[RawResponse]:
        """The answers up to the final one, which comes last."""
        answers = [self.response()]
        while answers[-1].status < 200:
            answers.append(self.response())
        return answers

    def closed(self) -> bool:
        """Wait until the server closes; True when nothing unread came before that."""
        try:
            return not (self._buffer or self.socket.recv(1 << 16))
        except ConnectionError:
            return True

    def rest(self) -> bytes:
        """Everything up to the server's end of the connection."""
        data, self._buffer = self._buffer, b""
        with contextlib.suppress(ConnectionError):
            while more := self.socket.recv(1 << 16):
                data += more
        return data

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return self.rest()
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._exactly(2)
        self._until(b"\r\n")
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError(f"the server closed in the middle of an answer: {self._buffer!r}")
        self._buffer += data
