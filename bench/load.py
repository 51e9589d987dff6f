"""A load client on raw sockets: creates uploads over tus and sends their bytes, nothing else."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

PIECE: Final = b"\xa5" * (1 << 20)
_LOCATION: Final = re.compile(rb"^location: *(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Target:
    """A server that speaks tus: where, and the path uploads are created at."""

    port: int
    path: str


class Connection:
    """One keep-alive connection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = socket.create_connection(("127.0.0.1", target.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def create(self, length: int) -> str:
        """POST; returns the path of the new upload."""
        head = self._ask(f"POST {self._target.path} HTTP/1.1", f"Upload-Length: {length}", "Content-Length: 0")
        found = _LOCATION.search(head)
        if found is None:
            raise RuntimeError(f"no upload was created: {head!r}")
        location = found[1].decode()
        return location[location.index("/", 8) :] if location.startswith("http") else location

    def append(self, path: str, offset: int, size: int) -> None:
        """PATCH `size` bytes at `offset`."""
        kind = "Content-Type: application/offset+octet-stream"
        small = PIECE[:size] if size <= 65536 else b""
        head = self._ask(
            f"PATCH {path} HTTP/1.1", kind, f"Upload-Offset: {offset}", f"Content-Length: {size}",
            body=small, more=size - len(small),
        )  # fmt: skip
        if b" 204 " not in head[:20]:
            raise RuntimeError(f"the bytes were refused: {head!r}")

    def delete(self, path: str) -> None:
        """DELETE, so that rounds do not fill the disk."""
        self._ask(f"DELETE {path} HTTP/1.1", "Content-Length: 0")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _ask(self, line: str, *fields: str, body: bytes = b"", more: int = 0) -> bytes:
        head = "\r\n".join((line, "Host: 127.0.0.1", "Tus-Resumable: 1.0.0", *fields, "", ""))
        self._socket.sendall(head.encode() + body)
        while more > 0:
            piece = PIECE if more >= len(PIECE) else PIECE[:more]
            self._socket.sendall(piece)
            more -= len(piece)
        return self._answer()

    def _answer(self) -> bytes:
        while b"\r\n\r\n" not in self._rest:
            received = self._socket.recv(65536)
            if not received:
                raise RuntimeError("the server hung up")
            self._rest += received
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = re.search(rb"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
        missing = int(length[1]) - len(self._rest) if length else 0
        while missing > 0:
            received = self._socket.recv(65536)
            missing -= len(received)
            self._rest += received
        self._rest = b""
        return head


def one_large(target: Target, size: int, patch: int) -> float:
    """Seconds for one upload of `size` bytes in PATCHes of `patch` bytes."""
    connection = Connection(target)
    path = connection.create(size)
    began = time.perf_counter()
    for offset in range(0, size, patch):
        connection.append(path, offset, min(patch, size - offset))
    seconds = time.perf_counter() - began
    connection.delete(path)
    connection.close()
    return seconds


def many_small(target: Target, count: int, size: int, connections: int) -> float:
    """Seconds for `count` uploads of `size` bytes (create + PATCH) over so many connections."""

    def work(share: int) -> list[str]:
        connection = Connection(target)
        paths = []
        for _ in range(share):
            path = connection.create(size)
            connection.append(path, 0, size)
            paths.append(path)
        connection.close()
        return paths

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, [count // connections] * connections))
    return time.perf_counter() - began
