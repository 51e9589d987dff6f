"""Long bodies that a pump reads past the event loop, over a real uvicorn server: nobody can tell the difference."""

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from ferryman_server import pacing, pump, wire
from ferryman_server.body import End
from ferryman_server.line import Line
from ferryman_server.receive_body import open_body
from tests.support.pourer import Pourer
from tests.support.raw_http import RawClient, head
from tests.support.serving import Serving, answer

LONG = os.urandom(1 << 20) * 8
TLS = Path(__file__).parents[1] / "support" / "tls"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server whose bodies stall after 0.4 s."""
    with Serving(Pourer(), http=wire.protocol_class(idle_timeout=0.4), loop=request.param) as serving:
        yield serving


@pytest.fixture
def pourer(server: Serving) -> Pourer:
    """A fresh application on the server."""
    server.app = pourer = Pourer()
    return pourer


class Counting(pump.Pump):
    """A pump that counts the bytes all pumps have read."""

    drawn = 0

    def run(self, *args: object, **kwargs: object) -> pump.Ebb:
        """Run and count."""
        before = self.left
        try:
            return super().run(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            Counting.drawn += before - self.left


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """The pumps of this test are counted."""
    Counting.drawn = 0
    monkeypatch.setattr(pump, "Pump", Counting)
    return Counting


def test_a_long_body_is_pumped(server: Serving, pourer: Pourer, counting: type[Counting]) -> None:
    """Most of it never passes the event loop, every byte of it arrives, and the next request is read as ever."""
    with RawClient(server.port) as client:
        for data in (LONG, b"short", LONG + b"x"):
            client.send(head("PATCH", "/", f"Content-Length: {len(data)}"), data)
            assert client.response().document == {"end": "complete", "received": len(data)}
            assert pourer.poured().data == data
    assert counting.drawn > len(LONG)


def test_a_request_behind_a_long_body_is_answered_after_it(server: Serving, pourer: Pourer) -> None:
    """Pipelining: the pump stops at the body's last byte."""
    with RawClient(server.port) as client:
        first = head("PATCH", "/", f"Content-Length: {len(LONG)}"), LONG
        client.send(*first, head("PATCH", "/", "Content-Length: 4"), b"next")
        assert client.response().document["received"] == len(LONG)
        assert client.response().document["received"] == 4
    assert pourer.poured().data == LONG
    assert pourer.poured().data == b"next"


def test_a_body_that_runs_dry_goes_back_to_the_loop(server: Serving, pourer: Pourer, counting: type[Counting]) -> None:
    """It flows, it trickles, it flows again: all of it arrives, and no thread was kept while it trickled."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {2 * len(LONG) + 5}"), LONG)
        for letter in b"hello":
            time.sleep(0.06)
            client.send(bytes([letter]))
        client.send(LONG)
        assert client.response().document["end"] == "complete"
    assert pourer.poured().data == LONG + b"hello" + LONG


def test_a_pumped_body_that_falls_silent_stalls(server: Serving, pourer: Pourer) -> None:
    """What it brought is kept."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {2 * len(LONG)}"), LONG)
        assert client.response().document == {"end": "stalled", "received": len(LONG)}
    assert pourer.poured().data == LONG


def test_a_client_that_leaves_a_pumped_body_loses_nothing(server: Serving, pourer: Pourer) -> None:
    """Everything before the FIN reaches the sink."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {2 * len(LONG)}"), LONG)
    poured = pourer.poured()
    assert poured.end is End.DISCONNECTED
    assert poured.data == LONG


def test_a_pumped_body_can_be_stopped(server: Serving) -> None:
    """While its sender goes on as fast as it can; the sink is not called again, and the sender gets its answer."""
    taken: list[int] = []

    class Counter:
        offset = 0

        def write(self, piece: memoryview) -> None:
            taken.append(len(piece))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = open_body(scope, receive)
        asyncio.get_running_loop().call_later(0.1, body.stop, End.SUPERSEDED)
        assert await body.pour(Counter()) is End.SUPERSEDED
        count = len(taken)
        await asyncio.sleep(0.1)
        await answer(send, 409, b"%d" % (len(taken) - count))

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {1 << 40}"))
        flood = threading.Thread(target=_flood, args=(client.socket,))
        flood.start()
        response = client.response()
        assert (response.status, response.body) == (409, b"0")
        flood.join()
    assert taken


def test_a_body_that_waits_for_its_turn_can_be_stopped(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fast bodies take turns, one that is taken over ends at once, however long another one's turn lasts."""
    lines = {"flow": Line(1), "hand-over": Line(9)}
    held, gate, let_go = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(pacing, "line", lines.get)

    class Slow:
        offset = 0

        def write(self, piece: memoryview) -> None:
            self.offset += len(piece)
            if self.offset > 16 << 20:  # it flows by now
                held.set()
                gate.wait(10)
                let_go.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = open_body(scope, receive)
        if scope["path"] == "/other":
            asyncio.get_running_loop().call_later(0.2, body.stop, End.SUPERSEDED)
        assert await body.pour(Slow()) is (End.SUPERSEDED if scope["path"] == "/other" else End.DISCONNECTED)
        await answer(send, 409)

    server.app = app
    with RawClient(server.port) as first, RawClient(server.port) as second, ThreadPoolExecutor() as pool:
        try:
            first.send(head("PATCH", "/", f"Content-Length: {1 << 40}"))
            pool.submit(_flood, first.socket)
            assert held.wait(10)
            second.send(head("PATCH", "/other", f"Content-Length: {1 << 40}"))
            pool.submit(_flood, second.socket)
            assert second.response().status == 409
            assert not let_go.is_set()
        finally:
            gate.set()
            first.socket.shutdown(socket.SHUT_RDWR)


def test_a_sink_that_refuses_ends_the_pumping(server: Serving) -> None:
    """Its exception comes out of `pour`, and the connection ends after the answer."""

    class Full:
        offset = 0

        def __init__(self) -> None:
            self.room = 1 << 20

        def write(self, piece: memoryview) -> None:
            self.room -= len(piece)
            if self.room < 0:
                raise OSError("no room")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(OSError, match="no room"):
            await open_body(scope, receive).pour(Full())
        await answer(send, 507)

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {1 << 40}"), LONG)
        response = client.response()
        assert response.status == 507
        assert response.headers["connection"] == "close"


def test_a_body_under_tls_is_not_pumped(counting: type[Counting]) -> None:
    """What is in the socket is not what was sent."""
    pourer = Pourer()
    files = {"ssl_certfile": str(TLS / "cert.pem"), "ssl_keyfile": str(TLS / "key.pem")}
    trust = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
    with (
        Serving(pourer, http=wire.protocol_class(), loop="uvloop", **files) as server,
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        trust.wrap_socket(plain, server_hostname="test.invalid") as client,
    ):
        client.sendall(head("PATCH", "/", f"Content-Length: {len(LONG)}") + LONG)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert pourer.poured().data == LONG
    assert counting.drawn == 0


def _flood(sender: socket.socket) -> None:
    piece = bytes(1 << 18)
    try:
        while True:
            sender.sendall(piece)
    except OSError:
        pass
