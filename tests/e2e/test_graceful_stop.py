"""SIGTERM in the middle of a transfer: what arrived is committed, the client is told, the process ends well."""

import gzip
import hashlib
import os
import signal
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, chunked, head
from tests.support.uploading import (
    DIALECTS,
    INTEROP,
    MIB,
    Dialect,
    append,
    append_head,
    await_stored,
    content,
    create,
    finish,
    offset_of,
    stored,
)

WHOLE = content(1_000_000)
PART = 300_000  # bytes that have arrived when the server is told to stop
GRACE = 10.0  # seconds that the server gives requests under way, by default


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone that commits nothing by the clock."""
    with serving(tmp_path / "data", "--checkpoint-interval", "10min") as running:
        yield running


def assert_told(client: RawClient) -> None:
    """The client reads 503, or finds the connection closed; it is not left waiting."""
    with suppress(ConnectionError):
        answer = client.responses()[-1]
        assert answer.status == 503, answer
        assert int(answer.headers["retry-after"]) > 0
        assert answer.document["type"] == "urn:ferryman:problem:shutting-down"


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_arrived_is_committed_and_can_be_gone_on_from(server: Server, dialect: Dialect, framing: str) -> None:
    """Exactly the bytes that had been sent are there after the next start, without any adoption."""
    path = create(server, dialect, length=len(WHOLE))
    size = len(WHOLE) if framing == "content-length" else None
    part = WHOLE[:PART] if framing == "content-length" else chunked(WHOLE[:PART], last=False)
    with RawClient(server.port) as client:
        client.send(append_head(dialect, path, 0, size=size), part)
        await_stored(server.data, path, PART)
        began = time.monotonic()
        assert server.stop() == 0, server.log()
        assert time.monotonic() - began < GRACE
        assert_told(client)
    server.restart()
    assert '"adopted"' not in server.log()
    assert offset_of(server, dialect, path) == PART
    finish(server, dialect, path, WHOLE)


def test_a_sender_at_full_speed_loses_nothing_that_was_acknowledged(server: Server) -> None:
    """The stop comes between any two bytes: those before it count, and the file is right in the end."""
    whole = content(64 * MIB)
    path = create(server, "rufh", length=len(whole))
    with RawClient(server.port) as client, ThreadPoolExecutor(1) as pool:
        client.send(append_head("rufh", path, 0, size=len(whole)))
        sending = pool.submit(send_until_cut, client, whole)
        eventually(lambda: stored(server.data, path) > MIB)
        assert server.stop() == 0, server.log()
        sent = sending.result(20)
    server.restart()
    assert MIB < offset_of(server, "rufh", path) <= sent
    finish(server, "rufh", path, whole)


def send_until_cut(client: RawClient, whole: bytes) -> int:
    """Send as fast as the server takes it, until it closes; how many bytes went out."""
    sent = 0
    with suppress(ConnectionError):
        while sent < len(whole):
            sent += client.socket.send(whole[sent : sent + 65_536])
    return sent


@pytest.mark.parametrize("kind", ["gzip", "checksum"])
def test_a_coded_or_checksummed_body_keeps_its_rule(server: Server, kind: str) -> None:
    """A coding that breaks off keeps what was decoded, a checksum is all or nothing; a stop changes neither."""
    path = create(server, "tus", length=len(WHOLE))
    body = gzip.compress(WHOLE, 1) if kind == "gzip" else WHOLE
    checksum = b64encode(hashlib.sha1(WHOLE).digest()).decode()
    field = "Content-Encoding: gzip" if kind == "gzip" else f"Upload-Checksum: sha1 {checksum}"
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, field, size=len(body)), body[: len(body) // 2])
        eventually(lambda: stored(server.data, path) > PART)
        assert server.stop() == 0, server.log()
        assert_told(client)
    server.restart()
    offset = offset_of(server, "tus", path)
    assert offset == 0 if kind == "checksum" else PART < offset < len(WHOLE)
    finish(server, "tus", path, WHOLE)


def test_a_creation_whose_url_was_told_survives_the_stop(server: Server) -> None:
    """The 104 came first: the client goes on at the next start."""
    with RawClient(server.port) as client:
        client.send(head("POST", "/files/", INTEROP, "Upload-Complete: ?1", f"Content-Length: {len(WHOLE)}"))
        path = client.response().headers["location"]
        client.send(WHOLE[:PART])
        await_stored(server.data, path, PART)
        assert server.stop() == 0, server.log()
        assert_told(client)
    server.restart()
    assert offset_of(server, "rufh", path) == PART
    finish(server, "rufh", path, WHOLE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_connections_do_not_hold_the_stop(server: Server, number: signal.Signals) -> None:
    """A connection that waits for its next request is closed; so is one that never sent anything."""
    with RawClient(server.port) as kept, RawClient(server.port) as silent:
        kept.send(head("GET", "/healthz"))
        assert kept.response().status == 200
        began = time.monotonic()
        os.kill(server.pid, number)
        assert kept.closed()
        assert silent.closed()
        assert server.stop() == 0, server.log()
        assert time.monotonic() - began < GRACE


def test_a_stop_between_requests_loses_nothing(server: Server) -> None:
    """What was answered is there; what is complete stays complete."""
    paths = [create(server, dialect, length=len(WHOLE)) for dialect in DIALECTS]
    for path, dialect in zip(paths, DIALECTS, strict=True):
        assert append(server, dialect, path, 0, WHOLE[:PART], last=False).status == 204
    assert server.stop() == 0, server.log()
    server.restart()
    for path, dialect in zip(paths, DIALECTS, strict=True):
        assert offset_of(server, dialect, path) == PART
        finish(server, dialect, path, WHOLE)
