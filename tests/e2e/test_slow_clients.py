"""Clients that are slow, silent or never read: each is cut in time, what it sent is kept, and nobody else notices."""

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.slow import Load, drive
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.uploading import (
    DIALECTS,
    KIB,
    MIB,
    Dialect,
    append,
    append_head,
    content,
    create,
    create_head,
    finish,
    offset_of,
)

RATE = 200  # bytes a second, the least that the second server takes
LARGE = 24 * MIB  # an answer that the kernel's buffers cannot hold


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that does not wait long for silent clients, however slow they are."""
    flags = ("--header-timeout", "2s", "--body-timeout", "2s", "--min-rate", "0")
    with serving(tmp_path_factory.mktemp("silent") / "data", *flags) as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for a least rate, and waits long for clients that are silent for once."""
    flags = ("--min-rate", str(RATE), "--min-rate-window", "2s")
    with serving(tmp_path_factory.mktemp("slow") / "data", *flags) as running:
        yield running


def trickle(client: RawClient, body: bytes, rate: float) -> tuple[int, RawResponse | None]:
    """Send the body at so many bytes a second, until all is sent or refused: how many were sent, and the refusal."""
    began, sent = time.monotonic(), 0
    while sent < len(body):
        due = min(len(body), 1 + int((time.monotonic() - began) * rate))
        try:
            sent += client.socket.send(body[sent:due])
        except ConnectionError:
            return sent, None
        if sent < len(body) and select.select([client.socket], [], [], 0.05)[0]:
            answer = client.response()
            if answer.status >= 200:
                return sent, answer
    return sent, None


def test_headers_that_trickle_are_cut(server: Server) -> None:
    """A head that is not complete in time is answered 408, however many bytes still come."""
    with RawClient(server.port) as client:
        _, answer = trickle(client, head("GET", "/", *(f"X-{number}: slow" for number in range(100))), rate=50)
        assert answer is not None
        assert (answer.status, answer.document["type"]) == (408, "urn:ferryman:problem:slow-header")
        assert client.closed()


def test_a_connection_without_a_byte_is_closed(server: Server) -> None:
    """Nothing was asked, so nothing is answered."""
    with RawClient(server.port) as client:
        assert client.closed()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_falls_silent_is_cut_and_what_arrived_is_kept(server: Server, dialect: Dialect) -> None:
    """The client is told 408, the offset is that of the last byte it sent, and the upload can be finished."""
    whole = content(1000)
    path = create(server, dialect, length=len(whole))
    with RawClient(server.port) as client:
        client.send(append_head(dialect, path, 0, size=len(whole)), whole[:300])
        answer = client.responses()[-1]
        assert (answer.status, answer.document["type"]) == (408, "urn:ferryman:problem:body-stalled")
        assert client.closed()
    assert offset_of(server, dialect, path) == 300
    finish(server, dialect, path, whole)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_below_the_least_rate_is_cut_and_what_arrived_is_kept(strict: Server, dialect: Dialect) -> None:
    """Though it is never silent for long; what the server had received by then is there."""
    whole = content(10_000)
    path = create(strict, dialect, length=len(whole))
    with RawClient(strict.port) as client:
        client.send(append_head(dialect, path, 0, size=len(whole)))
        sent, answer = trickle(client, whole, rate=RATE / 2)
        assert answer is not None
        assert (answer.status, answer.document["type"]) == (408, "urn:ferryman:problem:body-stalled")
    assert 0 < offset_of(strict, dialect, path) <= sent
    finish(strict, dialect, path, whole)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_above_the_least_rate_lives(strict: Server, dialect: Dialect) -> None:
    """For as many windows as it takes."""
    whole = content(2000)
    path = create(strict, dialect, length=len(whole))
    with RawClient(strict.port) as client:
        client.send(append_head(dialect, path, 0, size=len(whole)))
        assert trickle(client, whole, rate=2 * RATE) == (len(whole), None)
        assert client.responses()[-1].status in (201, 204)
    finish(strict, dialect, path, whole)


def test_answers_that_nobody_reads_cost_little_and_end(server: Server) -> None:
    """More clients ask for a file than there are threads, and never read: others are served, memory stays bounded, and
    in the end nothing is left of them."""
    path = create(server, "tus", length=LARGE)
    assert append(server, "tus", path, 0, bytes(LARGE)).status == 204
    before, memory = _descriptors(server), _resident(server)
    clients = [RawClient(server.port) for _ in range(40)]
    try:
        for client in clients:
            client.send(head("GET", path))
        for client in clients:
            assert select.select([client.socket], [], [], 20)[0], "no answer began"
        assert offset_of(server, "tus", create(server, "tus", length=5)) == 0
        assert _resident(server) - memory < len(clients) * LARGE // 3
        eventually(lambda: _descriptors(server) <= before + 5, timeout=30)
    finally:
        for client in clients:
            client.socket.close()


def _descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def _resident(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * KIB


def test_a_kept_connection_that_nothing_comes_on_is_closed(server: Server) -> None:
    """After the answers to requests that came at once, too."""
    with RawClient(server.port) as client:
        client.send(create_head("tus", length=1), head("OPTIONS", "/files/"))
        assert [client.response().status, client.response().status] == [201, 204]
        assert client.closed()


def test_a_kept_connection_on_which_a_request_trickles_is_cut(server: Server) -> None:
    """The second head has to come in time as the first."""
    with RawClient(server.port) as client:
        client.send(create_head("tus", length=1))
        assert client.response().status == 201
        _, answer = trickle(client, head("GET", "/", *(f"X-{number}: slow" for number in range(100))), rate=50)
        assert answer is not None
        assert answer.status == 408
        assert client.closed()


def test_hundreds_of_slow_uploads_all_finish(tmp_path: Path) -> None:
    """Each gets its 204, every byte is right, and each HEAD beside them tells an offset that can be."""
    uploads = Load(uploads=300, size=8 * KIB, read_back=300)
    with serving(tmp_path / "data") as server:
        outcome = drive(server.port, uploads)
    assert (outcome["done"], outcome["read_back"], outcome["wrong"]) == (300, 300, 0)
    assert (outcome["cuts"], outcome["sent_again"]) == ({}, 0)
    assert outcome["tus_heads_s"]["count"] > 0
    assert outcome["ietf_heads_s"]["count"] > 0
    assert (outcome["heads_wrong"], outcome["heads_failed"]) == (0, 0)
