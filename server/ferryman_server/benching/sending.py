"""Archives on their way to a server, by tus, one connection each; and what has become of them, by its API."""

import http.client
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ferryman_server.benching.address import Address, Answer, answered, ask
from ferryman_server.benching.archives import Archive
from ferryman_server.benching.errors import CannotRate

TUS: Final = {"Tus-Resumable": "1.0.0"}
PATIENCE: Final = 60.0  # seconds
PAUSE: Final = 0.001  # seconds between two questions
_NOT_YET: Final = {"phase": "indexing"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One archive that was uploaded."""

    rate: float  # bytes a second, from the first byte to the answer
    ready: float  # seconds from the answer to the medium in the library; 0 where there is none to be


class Sender:
    """A client of one server. Every upload is deleted again."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def upload(self, archive: Archive, name: str, *, indexed: bool = True) -> Sent:
        """Send the archive whole; with `indexed=False` it is to be taken for any other file. Raises CannotRate."""
        with self._upload(archive, name, **({} if indexed else {"process": "none"})) as path:
            return self.put(path, archive, indexed=indexed)

    def put(self, path: str, archive: Archive, *, indexed: bool = True) -> Sent:
        """Send the archive into an upload that is there, and wait for its frames. Raises CannotRate."""
        with self._address.connection() as connection:
            began = time.perf_counter()
            _begin(connection, path, archive)
            answer = _sent(connection, archive)
            ended = time.perf_counter()
        if answer.status != 204:
            raise CannotRate(f"an archive was not taken: {_told(answer)}")
        if not indexed:
            return Sent(archive.size / (ended - began), 0.0)
        self._await_frames(path)
        return Sent(archive.size / (ended - began), time.perf_counter() - ended)

    def first_frame(self, archive: Archive, name: str, hold: int, patience: float = PATIENCE) -> float | None:
        """Send the first `hold` bytes and no more; seconds from then until a frame is listed, None: none was within
        `patience` (seconds). Raises CannotRate."""
        with self._upload(archive, name) as path, self._address.connection() as connection:
            _begin(connection, path, archive)
            for piece in archive.first(hold):
                connection.sock.sendall(piece)
            began = time.perf_counter()
            with self._address.connection() as other:
                while time.perf_counter() - began < patience:
                    if self._asked(other, path, "/frames?limit=1")["frames"]:
                        return time.perf_counter() - began
                    time.sleep(PAUSE)
        return None

    def create(self, size: int, name: str, **metadata: str) -> str:
        """A new upload; its path. Raises CannotRate."""
        pairs = {"filename": name, **metadata}.items()
        coded = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs)
        fields = {"Upload-Length": str(size), "Upload-Metadata": coded, "Content-Length": "0"}
        answer = self._address.ask("POST", "/files/", {**TUS, **fields})
        if answer.status != 201 or "location" not in answer.headers:
            raise CannotRate(f"{self._address} takes no uploads at /files/: {_told(answer)}")
        return urlsplit(answer.headers["location"]).path

    @contextmanager
    def _upload(self, archive: Archive, name: str, **metadata: str) -> Iterator[str]:
        path = self.create(archive.size, name, **metadata)
        try:
            yield path
        except BaseException:
            with suppress(CannotRate):  # what went wrong first is told
                self._discard(path)
            raise
        self._discard(path)

    def _discard(self, path: str) -> None:
        answer = self._address.ask("DELETE", path, TUS)
        if answer.status not in (204, 404, 410):
            raise CannotRate(f"{self._address}{path} was not deleted: {_told(answer)}; delete it by hand")

    def _await_frames(self, path: str) -> None:
        """Asks for the upload alone: to list its frames a thousand times a second would hold up who finds them."""
        over = time.monotonic() + PATIENCE
        with self._address.connection() as connection:
            while (found := self._asked(connection, path)["processing"] or _NOT_YET)["phase"] != "ready":
                if found["phase"] != "indexing":
                    raise CannotRate(f"an archive of frames became {found['phase']}: {found['reason']}")
                if time.monotonic() > over:
                    raise CannotRate(f"the frames of an archive were not there {PATIENCE:.0f} s after its last byte")
                time.sleep(PAUSE)

    def _asked(self, connection: http.client.HTTPConnection, path: str, more: str = "") -> dict[str, Any]:
        answer = ask(connection, "GET", f"/api/uploads/{path.rpartition('/')[2]}{more}")
        if answer.status != 200:
            raise CannotRate(f"{self._address} does not tell what has become of an upload: {_told(answer)}")
        return answer.document()


def _begin(connection: http.client.HTTPConnection, path: str, archive: Archive) -> None:
    connection.putrequest("PATCH", path, skip_accept_encoding=True)
    fields = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    for name, value in {**TUS, **fields, "Content-Length": str(archive.size)}.items():
        connection.putheader(name, value)
    connection.endheaders()


def _sent(connection: http.client.HTTPConnection, archive: Archive) -> Answer:
    with suppress(BrokenPipeError, ConnectionResetError):  # refused on the way: the answer says why
        for piece in archive.pieces:
            connection.sock.sendall(piece)
    return answered(connection)


def _told(answer: Answer) -> str:
    """An answer that was not expected, for people."""
    text = answer.body[:200].decode(errors="replace").strip()
    return f"it answered {answer.status}{f': {text}' if text else ''}"
