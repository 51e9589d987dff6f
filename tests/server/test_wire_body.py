"""Bodies over a real uvicorn server and real sockets: what arrived reaches the sink, however the request ends."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from ferryman_server import wire
from ferryman_server.body import PIECE, Body, End
from ferryman_server.receive_body import open_body
from ferryman_server.wire_body import WireBody
from tests.support.pourer import Pourer
from tests.support.raw_http import RawClient, chunked, head
from tests.support.serving import Serving, answer

LARGE = os.urandom(1 << 20) * 3 + b"tail"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server whose bodies stall after 0.4 s."""
    http = wire.protocol_class(idle_timeout=0.4)
    with Serving(Pourer(), http=http, loop=request.param) as serving:
        yield serving


@pytest.fixture
def pourer(server: Serving) -> Pourer:
    """A fresh application on the server."""
    server.app = pourer = Pourer()
    return pourer


def test_a_body_with_a_length_reaches_the_sink_whole(server: Serving, pourer: Pourer) -> None:
    """Small and large, in pieces of at most one PIECE, and `received` counts them."""
    with RawClient(server.port) as client:
        for data in (b"", b"x", b"y" * 5000, LARGE):
            client.send(head("PATCH", "/", f"Content-Length: {len(data)}"), data)
            assert client.response().document == {"end": "complete", "received": len(data)}
            poured = pourer.poured()
            assert poured.data == data
            assert max(poured.pieces, default=0) <= PIECE


def test_a_chunked_body_is_joined(server: Serving, pourer: Pourer) -> None:
    """The chunks' framing is gone, their bytes are there, and the length is not known beforehand."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked"), chunked(b"a" * 10, LARGE, b"z"))
        assert client.response().status == 200
    assert pourer.poured().data == b"a" * 10 + LARGE + b"z"
    assert pourer.body is not None
    assert pourer.body.length is None


def test_trailers_belong_to_the_body_and_not_to_the_head(server: Serving, pourer: Pourer) -> None:
    """They are told in lower case once the body is complete; the application's header fields stay as they were."""
    with RawClient(server.port) as client:
        body = chunked(b"hello", trailers=("Upload-Checksum: sha1 abc= ", "X-Two: 2"))
        client.send(head("PATCH", "/", "Trailer: Upload-Checksum", "Transfer-Encoding: chunked"), body)
        assert client.response().status == 200
    assert pourer.poured().trailers == [("upload-checksum", "sha1 abc="), ("x-two", "2")]
    assert [name for name, _ in pourer.scope["headers"]] == [b"host", b"trailer", b"transfer-encoding"]


@pytest.mark.parametrize("size", [1, 30_000, 3 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_everything_before_a_fin_reaches_the_sink(server: Serving, pourer: Pourer, size: int, framing: str) -> None:
    """A client that closes in the middle loses nothing that it sent."""
    data = os.urandom(size)
    with RawClient(server.port) as client:
        if framing == "length":
            client.send(head("PATCH", "/", f"Content-Length: {size + 1}"), data)
        else:
            client.send(head("PATCH", "/", "Transfer-Encoding: chunked"), chunked(data, last=False))
    poured = pourer.poured()
    assert poured.end is End.DISCONNECTED
    assert poured.data == data
    assert poured.received == size


def test_bytes_that_wait_behind_a_slow_sink_survive_a_fin(server: Serving, pourer: Pourer) -> None:
    """The client is long gone when the sink takes the rest, out of memory and out of the kernel's buffer."""
    pourer.go.clear()
    data = os.urandom(5 << 19)
    with RawClient(server.port) as client:
        client.socket.settimeout(None)
        client.send(head("PATCH", "/", f"Content-Length: {len(data) + 1}"), data)
    pourer.go.set()
    poured = pourer.poured()
    assert poured.end is End.DISCONNECTED
    assert poured.data == data


def test_bytes_that_were_read_before_a_reset_reach_the_sink(server: Serving, pourer: Pourer) -> None:
    """A reset ends the body as a FIN does; what the server had read by then is kept."""
    pourer.go.clear()
    data = os.urandom(200 << 10)  # too short for the pump: it waits in our memory, not in the kernel's
    client = RawClient(server.port)
    client.send(head("PATCH", "/", f"Content-Length: {len(data) + 1}"), data)
    _wait_until(lambda: isinstance(pourer.body, WireBody) and pourer.body.arrived == len(data))
    client.reset()
    pourer.go.set()
    poured = pourer.poured()
    assert poured.end is End.DISCONNECTED
    assert poured.data == data


def test_a_trickle_is_handed_over_at_once(server: Serving, pourer: Pourer) -> None:
    """Nobody waits for a full piece: each byte is in the sink before the next one is sent."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 5"))
        for count in range(1, 6):
            client.send(b"%d" % count)
            _wait_until(lambda count=count: len(pourer.sink.data) == count)
        assert client.response().status == 200
    assert pourer.poured().data == b"12345"


def test_receiving_goes_on_while_the_sink_writes_and_is_bounded(server: Serving, pourer: Pourer) -> None:
    """With a sink that is stuck about two pieces are taken in, then the sender has to wait, and it does not stall."""
    pourer.go.clear()
    size = 32 << 20
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked"), b"%x\r\n" % size)
        client.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):
            client.flood(size)
        body = pourer.body
        assert isinstance(body, WireBody)
        assert PIECE < body.arrived < 4 * PIECE
        assert body.received == 0
        pourer.go.set()
        client.half_close()
    poured = pourer.poured()
    assert poured.end is End.DISCONNECTED
    assert poured.received > 2 * PIECE


def test_a_silent_sender_stalls(server: Serving, pourer: Pourer) -> None:
    """What it sent before is kept, and it can still read an answer that says goodbye."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 10"), b"hello")
        response = client.response()
        assert response.document == {"end": "stalled", "received": 5}
        assert response.headers["connection"] == "close"
    assert pourer.poured().data == b"hello"


def test_bytes_now_and_then_keep_a_body_from_stalling(server: Serving, pourer: Pourer) -> None:
    """The idle time counts from the last byte, not from the start."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 8"))
        for _ in range(8):
            time.sleep(0.1)
            client.send(b"x")
        assert client.response().document["end"] == "complete"
    assert pourer.poured().data == b"x" * 8


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"fffffffffffffffff\r\n", b"5\r\nhelloXX"])
def test_a_bad_chunk_ends_the_body_with_400(server: Serving, pourer: Pourer, chunk: bytes) -> None:
    """The bytes before it are kept; the client gets a problem document and the connection ends."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked"), b"5\r\nfirst\r\n", chunk)
        response = client.response()
        assert response.status == 400
        assert response.headers["content-type"] == "application/problem+json"
        assert "chunk" in response.document["detail"].lower()
        client.half_close()
        assert client.closed()
    poured = pourer.poured()
    assert poured.end is End.DISCONNECTED
    assert poured.data.startswith(b"first")


async def _stop_soon(scope: Scope, body: Body) -> None:
    async def stop() -> None:
        await asyncio.sleep(0.05)
        body.stop(End.SUPERSEDED)
        body.stop(End.SHUTDOWN)  # later calls change nothing

    scope["stopper"] = asyncio.create_task(stop())


def test_stop_ends_a_sender_at_full_speed(server: Serving) -> None:
    """The answer says goodbye, and the sender is cut off long before it has sent everything."""
    server.app = pourer = Pourer(_stop_soon)
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {8 << 30}"))
        sent = client.flood(8 << 30)
    assert sent < 1 << 30
    poured = pourer.poured()
    assert poured.end is End.SUPERSEDED
    assert poured.received < sent


def test_a_stopped_request_gets_to_read_its_answer(server: Serving) -> None:
    """The sender that was superseded is told so, in an answer that ends the connection."""
    server.app = pourer = Pourer(_stop_soon)
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {8 << 30}"))
        client.flood(2 << 20)
        response = client.response()
        assert response.document["end"] == "superseded"
        assert response.headers["connection"] == "close"
        assert client.closed()
    assert pourer.poured().end is End.SUPERSEDED


def test_a_body_stopped_before_it_was_poured_ends_at_once(server: Serving) -> None:
    """Nothing is read, and a client that waits for 100 (Continue) does not get it."""

    async def stop(scope: Scope, body: Body) -> None:
        body.stop(End.SUPERSEDED)

    server.app = pourer = Pourer(stop)
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 10", "Expect: 100-continue"))
        answers = client.responses()
        assert [response.status for response in answers] == [200]
        assert answers[0].document == {"end": "superseded", "received": 0}
    assert pourer.poured().data == b""


def test_what_a_sink_raises_comes_out_and_the_answer_can_be_read(server: Serving) -> None:
    """A full disk in the middle of a long body: the sender reads the answer although it goes on sending."""

    class Full:
        offset = 0

        def write(self, piece: memoryview) -> None:
            raise OSError("no room")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(OSError, match="no room"):
            await open_body(scope, receive).pour(Full())
        await answer(send, 507)

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {40 << 20}"))
        client.flood(40 << 20)
        assert client.response().status == 507


def test_a_cancelled_pour_waits_for_the_write_under_way(server: Serving, pourer: Pourer) -> None:
    """When `pour` has come back there is no write any more, even if its task was cancelled."""
    events: list[str] = []

    class Slow:
        offset = 0

        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.begun = asyncio.Event()

        def write(self, piece: memoryview) -> None:
            events.append("begun")
            self.loop.call_soon_threadsafe(self.begun.set)
            time.sleep(0.1)
            events.append("done")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sink = Slow()
        task = asyncio.create_task(open_body(scope, receive).pour(sink))
        await sink.begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        events.append("back")
        await answer(send, 200)

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 4"), b"data")
        assert client.response().status == 200
    assert events == ["begun", "done", "back"]


def test_asgi_receive_gives_the_same_bytes(server: Serving) -> None:
    """Endpoints that know nothing of the wire read their bodies as ever, and then hear of the disconnect."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more, data = True, b""
        while more:
            message = await receive()
            more, data = message["more_body"], data + message["body"]
        seen.append(data)
        if scope["path"] == "/wait":
            seen.append((await receive())["type"])
            return
        await answer(send, 200, str(len(data)).encode())
        seen.append((await receive())["type"])

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("POST", "/", f"Content-Length: {len(LARGE)}"), LARGE)
        assert client.response().body == str(len(LARGE)).encode()
        client.send(head("POST", "/", "Transfer-Encoding: chunked"), chunked(b"abc", b"def"))
        assert client.response().body == b"6"
        client.send(head("GET", "/wait"))
    _wait_until(lambda: len(seen) == 6)
    assert seen == [LARGE, "http.disconnect", b"abcdef", "http.disconnect", b"", "http.disconnect"]


def test_asgi_receive_gives_what_came_before_a_disconnect(server: Serving) -> None:
    """uvicorn drops those bytes; here they come first, then the disconnect, also for a stalled client."""
    seen: list[bytes | str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        while (message := await receive())["type"] == "http.request":
            seen.append(message["body"])
        seen.append(message["type"])

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("POST", "/", "Content-Length: 30001"), b"x" * 30_000)
    _wait_until(lambda: "http.disconnect" in seen)
    assert b"".join(part for part in seen if isinstance(part, bytes)) == b"x" * 30_000
    seen.clear()
    with RawClient(server.port) as client:
        client.send(head("POST", "/", "Content-Length: 10"), b"half")
        _wait_until(lambda: "http.disconnect" in seen)
    assert seen == [b"half", "http.disconnect"]


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
