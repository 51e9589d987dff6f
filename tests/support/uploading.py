"""Uploading by hand, in both protocols: requests as a test wants them, to be cut, stalled, doubled or finished.

Everything here opens a connection of its own for each request, so that nothing outlives what a test broke.
"""

import hashlib
import random
from pathlib import Path
from typing import Final, Literal, Protocol

import httpx

from tests.support.process import eventually
from tests.support.raw_http import RawClient, RawResponse, head

Dialect = Literal["tus", "rufh"]
DIALECTS: Final[tuple[Dialect, ...]] = ("tus", "rufh")
INTEROP: Final = "Upload-Draft-Interop-Version: 8"
TUS: Final = "Tus-Resumable: 1.0.0"
KIB: Final = 1 << 10
MIB: Final = 1 << 20


class Running(Protocol):
    """A server, in a process of its own or in this one."""

    @property
    def port(self) -> int:
        """The TCP port."""

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that look like nothing in particular and are the same each time."""
    return random.Random(seed).randbytes(size)


def create_head(dialect: Dialect, *fields: str, length: int | None = None) -> bytes:
    """The head of a creation without a body, or with one that `fields` describe. RUFH: more is to follow."""
    if dialect == "tus":
        size = "Upload-Defer-Length: 1" if length is None else f"Upload-Length: {length}"
        return head("POST", "/files/", TUS, size, *(fields or ("Content-Length: 0",)))
    size_fields = () if length is None else (f"Upload-Length: {length}",)
    return head("POST", "/files/", INTEROP, "Upload-Complete: ?0", *size_fields, *(fields or ("Content-Length: 0",)))


def append_head(dialect: Dialect, path: str, offset: int, *fields: str, size: int | None, last: bool = True) -> bytes:
    """The head of a PATCH that brings `size` bytes; None: chunked. `last`: RUFH is told that these are the last."""
    framing = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    own = {
        "tus": (TUS, "Content-Type: application/offset+octet-stream"),
        "rufh": (INTEROP, "Content-Type: application/partial-upload", f"Upload-Complete: ?{int(last)}"),
    }
    return head("PATCH", path, *own[dialect], f"Upload-Offset: {offset}", framing, *fields)


def create(server: Running, dialect: Dialect, *fields: str, length: int | None = None) -> str:
    """Create an empty upload; its path."""
    with RawClient(server.port) as client:
        client.send(create_head(dialect, *fields, length=length))
        answer = client.responses()[-1]
    assert answer.status == 201, answer
    return answer.headers["location"]


def append(
    server: Running, dialect: Dialect, path: str, offset: int, body: bytes, *fields: str, last: bool = True
) -> RawResponse:
    """Send a PATCH whole; its final answer."""
    with RawClient(server.port) as client:
        client.send(append_head(dialect, path, offset, *fields, size=len(body), last=last))
        client.send(body)
        return client.responses()[-1]


def inspect(server: Running, dialect: Dialect, path: str) -> RawResponse:
    """The answer to HEAD."""
    with RawClient(server.port) as client:
        client.send(head("HEAD", path, TUS if dialect == "tus" else INTEROP))
        return client.response(to_head=True)


def offset_of(server: Running, dialect: Dialect, path: str) -> int:
    """The offset that HEAD tells."""
    answer = inspect(server, dialect, path)
    assert answer.status in (200, 204), answer
    return int(answer.headers["upload-offset"])


def delete(server: Running, dialect: Dialect, path: str) -> int:
    """The status of a DELETE."""
    with RawClient(server.port) as client:
        client.send(head("DELETE", path, TUS if dialect == "tus" else INTEROP))
        return client.responses()[-1].status


def observed(server: Running, path: str) -> int:
    """The last committed offset, as the JSON listing tells it: nobody is disturbed by the question."""
    document = httpx.get(f"{server.url}/api/uploads/{id_of(path)}").json()
    return int(document["offset"])


def finish(server: Running, dialect: Dialect, path: str, whole: bytes) -> None:
    """Resume from where HEAD says, and check that what can be downloaded is the whole."""
    offset = offset_of(server, dialect, path)
    if dialect == "rufh" or offset < len(whole):
        answer = append(server, dialect, path, offset, whole[offset:])
        assert answer.status in (201, 204), answer
    assert_whole(server, path, whole)


def assert_whole(server: Running, path: str, whole: bytes) -> None:
    """What can be downloaded has the SHA-256 of what was to be uploaded."""
    answer = httpx.get(server.url + path)
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(whole).digest(), f"{path} differs"


def id_of(path: str) -> str:
    """The upload's id, from its path."""
    return path.rpartition("/")[2]


def receiving(data: Path, path: str) -> Path:
    """The file of an upload that is being received."""
    upload_id = id_of(path)
    return data / "uploads" / upload_id


def published(data: Path, path: str) -> Path:
    """The file of an upload that is complete."""
    upload_id = id_of(path)
    return data / "files" / upload_id[:2] / upload_id


def finished_bytes(data: Path, path: str) -> bytes:
    """What lies on the disk of an upload that is complete, once it was moved to its place."""
    eventually(lambda: published(data, path).exists())
    return published(data, path).read_bytes()


def stored(data: Path, path: str) -> int:
    """How many bytes of an unfinished upload the server has written, committed or not."""
    file = receiving(data, path)
    return file.stat().st_size if file.exists() else 0


def await_stored(data: Path, path: str, size: int) -> None:
    """Wait until the server has written exactly `size` bytes of an unfinished upload."""
    eventually(lambda: stored(data, path) == size)
