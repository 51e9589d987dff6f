"""Asking a live server one thing at a time, and looking at what it holds before and after.

Every answer that comes through here is checked: a refusal is a whole problem document, nothing is a 500, and no body
tells a path of the server's machine or a trace of its code.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.support.conversation import check_problem
from tests.support.process import Server, eventually
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.uploading import append, assert_whole, create, delete, offset_of

PROMPT: Final = 5.0  # seconds within which every answer must come: what takes longer is a hang
TUS: Final = "Tus-Resumable: 1.0.0"
STREAM: Final = "Content-Type: application/offset+octet-stream"
GROWTH: Final = 96 << 20  # bytes of memory that a server may keep after much use: arenas of its threads, caches
SPARE: Final = 4  # descriptors that come and go by themselves: a checkpoint of the database, a file being published
NOBODY: Final = "/files/" + "a" * 26  # a well-formed URL of no upload
_LEAK: Final = re.compile(rb"Traceback|File \"|\.py\b|site-packages|/tmp/|sqlite|Errno", re.IGNORECASE)


def ask(server: Server, method: str, target: str, *fields: str, body: bytes | None = None) -> RawResponse:
    """Send one request on a connection of its own; the final answer. `body` brings its Content-Length with it."""
    framing = () if body is None else (f"Content-Length: {len(body)}",)
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(head(method, target, *fields, *framing), body or b"")
        return final(client, method)


def final(client: RawClient, method: str = "GET") -> RawResponse:
    """The final answer on this connection, checked."""
    while (answer := client.response(to_head=method == "HEAD")).status < 200:
        pass
    return checked(answer, bodiless=method == "HEAD")


def checked(answer: RawResponse, *, bodiless: bool = False) -> RawResponse:
    """The answer itself, if it is no server's mistake, leaks nothing, and says what to do when it refuses."""
    assert answer.status != 500, answer
    if answer.status >= 400:
        assert not _LEAK.search(answer.body), answer
        if not bodiless:
            check_problem(answer)
    return answer


@dataclass(frozen=True)
class Stored:
    """Everything a server holds: its uploads' rows without their times, and its files with their bytes."""

    rows: dict[str, tuple[object, ...]]
    files: dict[Path, bytes]


def stored(server: Server) -> Stored:
    """What the server holds, once the small uploads that are complete have their files. Nobody is disturbed by it."""
    found = _stored(server)
    eventually(lambda: _settled(found) or _settled(_stored(server)))
    return found if _settled(found) else _stored(server)


def _settled(found: Stored) -> bool:
    published = {path.name for path in found.files if path.parent.parent.name == "files"}
    return all(url.rpartition("/")[2] in published for url, facts in found.rows.items() if facts[0] == "complete")


def _stored(server: Server) -> Stored:
    rows = httpx.get(f"{server.url}/api/uploads", params={"limit": 500}).json()["uploads"]
    facts = ("phase", "offset", "length", "filename", "content_type", "reason")
    folders = [server.data / "uploads", server.data / "files"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    contents: dict[Path, bytes] = {}
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # it is being moved: the next look finds it at its place
            contents[path] = path.read_bytes()
    return Stored(rows={row["url"]: tuple(row[fact] for fact in facts) for row in rows}, files=contents)


@contextmanager
def unchanged(server: Server, *paths: str) -> Iterator[None]:
    """Whatever happens inside stores nothing, loses nothing and changes nothing; HEAD of `paths` says the same."""
    before, offsets = stored(server), [offset_of(server, "tus", path) for path in paths]
    yield
    assert stored(server) == before
    assert [offset_of(server, "tus", path) for path in paths] == offsets


def assert_works(server: Server) -> None:
    """The server still does its work: an upload in two parts, its download, its end."""
    assert server.running, server.log()[-3000:]
    for dialect in ("tus", "rufh"):
        path = create(server, dialect, length=6)
        assert append(server, dialect, path, 0, b"abc", last=False).status == 204
        assert append(server, dialect, path, 3, b"def").status in (201, 204)
        assert_whole(server, path, b"abcdef")
        assert delete(server, dialect, path) == 204


def descriptors(server: Server) -> int:
    """How many files and sockets the server process holds open."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def resident(server: Server) -> int:
    """Bytes of memory that the server process holds."""
    pages = Path(f"/proc/{server.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """After whatever happens inside, the server works, has let go of what it held, and was surprised by nothing."""
    assert_works(server)
    before, memory = descriptors(server), resident(server)
    yield
    assert_works(server)
    eventually(lambda: descriptors(server) <= before + SPARE, timeout=20)
    assert resident(server) <= memory + GROWTH
    assert "Traceback" not in server.log(), server.log()[-5000:]
    assert '"level":"error"' not in server.log().replace(" ", ""), server.log()[-5000:]
