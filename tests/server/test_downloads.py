"""Downloads: conditions and ranges by RFC 9110, safe header fields, and clients and stores that break off."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Phase, Request, Upload
from ferryman_server import wire
from ferryman_server.digests import Crc64
from ferryman_server.downloads import INLINE_TYPES, Plan, etag_of, plan, plan_for, respond
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore
from tests.support.raw_http import RawClient, head
from tests.support.serving import Serving

ID: Final = "a" * 26
ETAG: Final = '"00000000deadbeef-a"'
MODIFIED: Final = 1_700_000_000  # seconds since the epoch
BEFORE, AT, AFTER = (formatdate(MODIFIED + shift, usegmt=True) for shift in (-1, 0, 1))


def planned(fields: dict[str, str] | None = None, *, method: str = "GET", length: int = 10) -> Plan:
    """The plan for a request with these header fields."""
    headers = Headers(tuple((fields or {}).items()))
    return plan(method, headers, length=length, etag=ETAG, last_modified=MODIFIED + 0.75)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        # step 1: If-Match compares strongly
        ({"if-match": ETAG}, 200),
        ({"if-match": f'"other", {ETAG}'}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-match": f"W/{ETAG}"}, 412),
        ({"if-match": ETAG.strip('"')}, 412),
        ({"if-match": f"{ETAG} {ETAG}"}, 412),
        ({"if-match": '"with,comma"'}, 412),
        # step 2: If-Unmodified-Since counts only without If-Match
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": AT}, 200),
        ({"if-unmodified-since": "yesterday"}, 200),
        ({"if-match": ETAG, "if-unmodified-since": BEFORE}, 200),
        # step 3: If-None-Match compares weakly
        ({"if-none-match": ETAG}, 304),
        ({"if-none-match": f"W/{ETAG}"}, 304),
        ({"if-none-match": f'"with,comma" ,, {ETAG}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"other"'}, 200),
        ({"if-none-match": ""}, 200),
        # step 4: If-Modified-Since counts only without If-None-Match
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": AT}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": "Tuesday, 14-Nov-23 22:13:20 GMT"}, 304),
        ({"if-modified-since": "Tue Nov 14 22:13:20 2023"}, 304),
        ({"if-modified-since": "Tue Nov 14 22:13:19 2023"}, 200),
        ({"if-modified-since": f"{AT}, {AT}"}, 200),
        ({"if-modified-since": "Tue, 14 Nov 2023 22:13:20 +0000"}, 200),
        ({"if-modified-since": "Tue, 14 Nov 2023 22:13:99 GMT"}, 200),
        ({"if-none-match": '"other"', "if-modified-since": AFTER}, 200),
        # the order: a failed precondition before "not modified", both before the range
        ({"if-match": '"other"', "if-none-match": ETAG}, 412),
        ({"if-none-match": ETAG, "range": "bytes=0-1"}, 304),
        ({"if-match": '"other"', "range": "bytes=0-1"}, 412),
        # step 5: If-Range takes a strong tag or the exact date
        ({"if-range": ETAG, "range": "bytes=0-1"}, 206),
        ({"if-range": AT, "range": "bytes=0-1"}, 206),
        ({"if-range": f"W/{ETAG}", "range": "bytes=0-1"}, 200),
        ({"if-range": '"other"', "range": "bytes=0-1"}, 200),
        ({"if-range": AFTER, "range": "bytes=0-1"}, 200),
        ({"if-range": BEFORE, "range": "bytes=0-1"}, 200),
        ({"if-range": "", "range": "bytes=0-1"}, 200),
        ({"if-range": '"other"', "range": "bytes=99-"}, 200),
        ({"if-range": ETAG}, 200),
    ],
)
def test_conditions(fields: dict[str, str], status: int) -> None:
    """Each condition of RFC 9110 §13, its comparison, and the order of §13.2.2, and HEAD, which has no ranges."""
    assert planned(fields).status == status
    assert planned(fields, method="HEAD").status == (200 if status == 206 else status)


@pytest.mark.parametrize(
    ("value", "status", "start", "stop"),
    [
        ("bytes=0-3", 206, 0, 4),
        ("bytes=4-", 206, 4, 10),
        ("bytes=-3", 206, 7, 10),
        ("bytes=-30", 206, 0, 10),
        ("bytes=9-9", 206, 9, 10),
        ("bytes=2-99999999999999999999999999", 206, 2, 10),
        ("Bytes= 0-3 ,", 206, 0, 4),
        ("bytes=000-003", 206, 0, 4),
        ("bytes=10-", 416, 0, 10),
        ("bytes=10-12", 416, 0, 10),
        ("bytes=" + "9" * 5000 + "-", 416, 0, 10),
        ("bytes=-0", 416, 0, 10),
        ("bytes=0-1,3-4", 200, 0, 10),
        ("bytes=10-,20-", 200, 0, 10),
        ("bytes=3-2", 200, 0, 10),
        ("bytes=-", 200, 0, 10),
        ("bytes=", 200, 0, 10),
        ("bytes=a-b", 200, 0, 10),
        ("bytes=+1-2", 200, 0, 10),
        ("bytes=1 - 2", 200, 0, 10),
        ("bytes=٣-٤", 200, 0, 10),
        ("bytes 0-3", 200, 0, 10),
        ("lines=0-3", 200, 0, 10),
        ("", 200, 0, 10),
    ],
)
def test_ranges(value: str, status: int, start: int, stop: int) -> None:
    """One byte range is served or unsatisfiable; several, malformed ones and other units are ignored."""
    answer = planned({"range": value})
    assert (answer.status, answer.start, answer.stop) == (status, start, stop)


@pytest.mark.parametrize(("value", "status"), [("bytes=0-", 416), ("bytes=-1", 200), ("bytes=-0", 416)])
def test_ranges_of_an_empty_file(value: str, status: int) -> None:
    """No byte can be asked for by its number; its last bytes are all there is."""
    assert planned({"range": value}, length=0).status == status


@given(length=st.integers(0, 50), first=st.integers(0, 60), size=st.none() | st.integers(1, 60))
def test_a_range_means_the_bytes_that_a_slice_means(length: int, first: int, size: int | None) -> None:
    """Wherever a range lies, what is sent is what slicing the file gives, and nothing at all is 416."""
    data = bytes(range(length))
    answer = planned({"range": f"bytes={first}-{'' if size is None else first + size - 1}"}, length=length)
    wanted = data[first:] if size is None else data[first : first + size]
    assert answer.status == (206 if wanted else 416)
    if wanted:
        assert data[answer.start : answer.stop] == wanted


FIELDS: Final = ("range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
VALUES: Final = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.text(alphabet='bytes=0129-, "W/*', max_size=30),
    st.sampled_from([ETAG, "*", AT, BEFORE, "bytes=0-1", "Mon, 99 Foo 0000 99:99:99 GMT", "1 Jan 99999 0:0 GMT"]),
)


@given(
    fields=st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=6),
    method=st.sampled_from(["GET", "HEAD"]),
    length=st.integers(0, 20),
    modified=st.none() | st.just(float(MODIFIED)),
)
def test_any_fields_make_a_plan(
    fields: list[tuple[str, str]], method: str, length: int, modified: float | None
) -> None:
    """Whatever a client sends, there is an answer, and it never reaches outside the file."""
    answer = plan(method, Headers(tuple(fields)), length=length, etag=ETAG, last_modified=modified)
    assert answer.status in (200, 206, 304, 412, 416)
    assert 0 <= answer.start <= answer.stop <= length
    assert (answer.problem is not None) == (answer.status in (412, 416))


def test_without_a_date_date_conditions_are_ignored() -> None:
    """RFC 9110 §13.1.3 and §13.1.4: there is nothing to compare with."""
    for name in ("if-modified-since", "if-unmodified-since"):
        answer = plan("GET", Headers(((name, BEFORE),)), length=10, etag=ETAG, last_modified=None)
        assert answer.status == 200


def record_of(data: bytes, **changes: str | None) -> Record:
    """The record of a complete upload with these bytes."""
    crc = Crc64()
    crc.update(memoryview(data))
    upload = Upload(id=ID, phase=Phase.COMPLETE, offset=len(data), length=len(data))
    return Record(upload=replace(upload, **changes), crc64=crc.value, completed_at=MODIFIED + 0.5)  # type: ignore[arg-type]  # mypy cannot tell which fields


def filled(store: Store, data: bytes) -> None:
    """Publish `data` in the store."""
    store.open()
    writer = store.writer(ID, 0)
    writer.write(memoryview(data))
    writer.sync()
    writer.close()
    store.publish(ID, len(data))


def app_for(store: Store, record: Record) -> Starlette:
    """An application that serves one upload at `/file`."""

    async def endpoint(request: StarletteRequest) -> Response:
        asked = Request(method=request.method, upload_id=ID, headers=Headers.from_raw(request.headers.raw))
        return respond(plan_for(asked, record), store, record)

    return Starlette(routes=[Route("/file", endpoint, methods=["GET", "HEAD"])])


@asynccontextmanager
async def client_of(store: Store, record: Record) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that application, without a network between them."""
    transport = httpx.ASGITransport(app_for(store, record))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


DATA: Final = random.Random(4).randbytes(2_560_000)  # several pieces, no two alike


async def test_the_whole_file_with_its_fields() -> None:
    """GET answers with every byte and the fields that describe and protect them."""
    store, record = MemoryStore(), record_of(DATA, content_type="text/html", filename="päge.html")
    filled(store, DATA)
    async with client_of(store, record) as client:
        response = await client.get("/file")
    assert (response.status_code, response.content == DATA) == (200, True)
    assert dict(response.headers) == {
        "content-type": "text/html",
        "content-disposition": "attachment; filename=\"p_ge.html\"; filename*=UTF-8''p%C3%A4ge.html",
        "content-length": "2560000",
        "accept-ranges": "bytes",
        "etag": f'"{record.crc64:016x}-271000"',
        "last-modified": AT,
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }


async def test_ranges_of_a_real_file(tmp_path: Path) -> None:
    """From the local store: any range is served byte by byte as asked, with its place in the file."""
    store, record = LocalStore(tmp_path), record_of(DATA)
    filled(store, DATA)
    async with client_of(store, record) as client:
        for start, stop in ((0, 1), (1_000_000, 2_500_000), (len(DATA) - 5, len(DATA))):
            response = await client.get("/file", headers={"Range": f"bytes={start}-{stop - 1}"})
            assert (response.status_code, response.content == DATA[start:stop]) == (206, True)
            assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"
            assert response.headers["content-length"] == str(stop - start)
    store.close()


async def test_answers_without_the_bytes() -> None:
    """HEAD, 304, 412 and 416 read nothing (the store is empty) and have the fields they owe."""
    record = record_of(DATA)
    async with client_of(MemoryStore(), record) as client:
        head = await client.head("/file", headers={"Range": "bytes=0-1"})
        unchanged = await client.get("/file", headers={"If-None-Match": etag_of(record)})
        failed = await client.get("/file", headers={"If-Match": '"other"'})
        beyond = await client.get("/file", headers={"Range": "bytes=2560000-"})
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "2560000", b"")
    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.content) == (304, etag_of(record), b"")
    assert not {"content-type", "content-length", "content-disposition"} & set(unchanged.headers)
    assert (failed.status_code, failed.json()["type"]) == (412, "urn:ferryman:problem:precondition-failed")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */2560000")
    assert beyond.headers["content-type"] == "application/problem+json"


async def test_an_empty_file() -> None:
    """A file without bytes is a whole answer without bytes."""
    store, record = MemoryStore(), record_of(b"")
    filled(store, b"")
    async with client_of(store, record) as client:
        response = await client.get("/file")
    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/png", "inline"),
        ("Video/MP4; codecs=avc1", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("image/svg+xml", "attachment"),
        ("application/pdf", "attachment"),
        ("text/html", "attachment"),
        ("nonsense", "attachment"),
        (None, "attachment"),
    ],
)
def test_only_harmless_types_are_shown_in_place(content_type: str | None, kind: str) -> None:
    """What can carry a script is an attachment, and so is what nobody knows."""
    response = respond(planned(), MemoryStore(), record_of(b"0123456789", content_type=content_type))
    assert response.headers["content-disposition"] == kind


def test_no_type_on_the_list_can_carry_a_script() -> None:
    """No markup, no documents: pictures, sound, film and plain text."""
    assert not [name for name in INLINE_TYPES if "xml" in name or "html" in name or name.startswith("application/")]


def test_the_coding_of_the_stored_bytes_is_told() -> None:
    """An upload that was sent with a representation coding is served with it."""
    response = respond(planned(), MemoryStore(), record_of(b"0123456789", content_encoding="gzip"))
    assert response.headers["content-encoding"] == "gzip"


class Watched(LocalStore):
    """A local store that counts its open iterators, and whose reading can be made to fail at a byte."""

    def __init__(self, data: Path, *, fails_at: int | None = None) -> None:
        super().__init__(data)
        self.fails_at = fails_at
        self.opened = 0
        self.closed = 0
        self.handed_out = 0  # bytes
        self.all_closed = threading.Event()

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """As the local store, with a counter around it; pieces are lent in one buffer that is written again."""
        self.opened += 1
        buffer = bytearray(1 << 20)
        try:
            for piece in super().read(upload_id, start, stop, published=published):
                if self.fails_at is not None and start >= self.fails_at:
                    raise StoreError("the disk is gone")
                buffer[: len(piece)] = piece
                yield memoryview(buffer)[: len(piece)]
                start += len(piece)
                self.handed_out += len(piece)
        finally:
            self.closed += 1
            self.all_closed.set()


async def driven(response: Response, disconnect: asyncio.Event, sent: list[Message]) -> None:
    """Run a response to its end against a server that notes what is sent; `disconnect` is the client's leaving."""

    async def receive() -> Message:
        await disconnect.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(dict(message))
        await asyncio.sleep(0.01)  # time for the next piece to be read

    await response({"type": "http", "method": "GET"}, receive, send)


async def test_pieces_that_are_written_again_are_copied(tmp_path: Path) -> None:
    """A store may lend the same buffer for each piece: what was sent stays what it was."""
    store, record = Watched(tmp_path), record_of(DATA)
    filled(store, DATA)
    sent: list[Message] = []
    await driven(respond(Plan(status=200, stop=len(DATA), send_bytes=True), store, record), asyncio.Event(), sent)
    assert b"".join(message["body"] for message in sent[1:]) == DATA
    assert [message["more_body"] for message in sent[1:]] == [True, True, False]
    assert (store.opened, store.closed) == (1, 1)
    store.close()


async def test_a_store_that_fails_at_once_answers_503(tmp_path: Path) -> None:
    """Nothing has been sent yet, so the client gets a proper refusal and a time to try again."""
    store, record = Watched(tmp_path, fails_at=0), record_of(DATA)
    filled(store, DATA)
    async with client_of(store, record) as client:
        response = await client.get("/file")
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json()["type"] == "urn:ferryman:problem:storage-unavailable"
    assert (store.opened, store.closed) == (1, 1)
    store.close()


async def test_a_store_that_fails_later_leaves_the_answer_short(tmp_path: Path) -> None:
    """The response never claims to be whole, and nothing is raised out of the application."""
    store, record = Watched(tmp_path, fails_at=2 << 20), record_of(DATA)
    filled(store, DATA)
    sent: list[Message] = []
    await driven(respond(Plan(status=200, stop=len(DATA), send_bytes=True), store, record), asyncio.Event(), sent)
    assert b"".join(message["body"] for message in sent[1:]) == DATA[: 2 << 20]
    assert all(message["more_body"] for message in sent[1:])
    assert (store.opened, store.closed) == (1, 1)
    store.close()


def test_a_download_that_breaks_off_is_no_error_of_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client sees the connection end before the body does; whoever is woken by errors in the log sleeps on."""
    store, record = Watched(tmp_path, fails_at=2 << 20), record_of(DATA)
    filled(store, DATA)
    response = respond(Plan(status=200, stop=len(DATA), send_bytes=True), store, record)
    with Serving(response, http=wire.protocol_class()) as server, RawClient(server.port) as client:
        client.send(head("GET", "/"))
        got = client.rest()
        assert store.all_closed.wait(10)
    assert got.partition(b"\r\n\r\n")[2] == DATA[: 2 << 20]
    assert [line.getMessage() for line in caplog.records if line.levelname == "ERROR"] == []
    store.close()


@pytest.mark.parametrize("message_type", ["http.response.start", "http.response.body"])
async def test_a_send_that_fails_is_a_client_that_left(tmp_path: Path, message_type: str) -> None:
    """ASGI 2.4: `send` raises an OSError on a closed connection; the file is closed and nothing is raised."""
    store, record = Watched(tmp_path), record_of(DATA)
    filled(store, DATA)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: Message) -> None:
        if message["type"] == message_type:
            raise OSError("the connection is closed")

    response = respond(Plan(status=200, stop=len(DATA), send_bytes=True), store, record)
    await response({"type": "http", "method": "GET"}, receive, send)
    assert (store.opened, store.closed) == (1, 1)
    store.close()


async def test_a_mistake_in_the_server_is_not_hidden(tmp_path: Path) -> None:
    """Any other exception of `send` comes out, with the file closed."""
    store, record = Watched(tmp_path), record_of(DATA)
    filled(store, DATA)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise RuntimeError("a bug")

    response = respond(Plan(status=200, stop=len(DATA), send_bytes=True), store, record)
    with pytest.raises(RuntimeError, match="a bug"):
        await response({"type": "http", "method": "GET"}, receive, send)
    assert (store.opened, store.closed) == (1, 1)
    store.close()


async def test_a_cancelled_download_closes_its_file(tmp_path: Path) -> None:
    """The server going down cancels the request: the reading ends with it."""
    store, record = Watched(tmp_path), record_of(DATA)
    filled(store, DATA)
    begun = asyncio.Event()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            begun.set()
            await asyncio.Event().wait()

    response = respond(Plan(status=200, stop=len(DATA), send_bytes=True), store, record)
    task = asyncio.create_task(response({"type": "http", "method": "GET"}, receive, send))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (store.opened, store.closed) == (1, 1)
    store.close()


def test_a_client_that_leaves_in_the_middle_ends_the_reading(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Against a real server: after a reset in mid-download the file is closed before it was read to its end, no
    error is logged, and the next client gets every byte."""
    data = bytes(64 << 20)
    store, record = Watched(tmp_path), record_of(data)
    filled(store, data)
    with Serving(app_for(store, record), http=HttpToolsProtocol) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as leaver:
            leaver.sendall(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n")
            assert leaver.recv(15) == b"HTTP/1.1 200 OK"
            assert not store.all_closed.is_set()
            # closing with this option set sends a reset
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert store.all_closed.wait(10)
        assert store.handed_out < len(data)
        response = httpx.get(f"http://127.0.0.1:{server.port}/file", headers={"Range": "bytes=1000000-"})
        assert response.content == data[1_000_000:]
    assert (store.opened, store.closed) == (2, 2)
    assert not [entry for entry in caplog.records if entry.levelname in ("WARNING", "ERROR")]
    store.close()
