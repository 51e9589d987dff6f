"""Answers over a real uvicorn server: early ones can be read, interim ones come in order, none are cut."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from ferryman_server import wire
from ferryman_server.body import Body, End
from ferryman_server.receive_body import open_body
from ferryman_server.wire_cycle import EXTENSION, Wire
from tests.support.pourer import Pourer
from tests.support.raw_http import RawClient, chunked, head
from tests.support.serving import Serving, answer

REFUSAL = b'{"title": "not here"}' * 40


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without a look at the body."""
    await answer(send, 409, REFUSAL, (b"upload-offset", b"7"))


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server that lingers for at most 2 s."""
    with Serving(refuse, http=wire.protocol_class(linger=2.0), loop=request.param) as serving:
        yield serving


@pytest.fixture(autouse=True)
def _refusing(server: Serving) -> None:
    server.app = refuse


# Refusals before the body


def test_a_refusal_is_read_by_a_client_that_sends_first(server: Serving) -> None:
    """50 MB go out before the client looks: the whole answer is there, and then the connection ends."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {50 << 20}"))
        assert client.flood(50 << 20) == 50 << 20
        response = client.response()
        assert (response.status, response.body) == (409, REFUSAL)
        assert response.headers["connection"] == "close"
        assert client.closed()


def test_a_refusal_is_read_by_a_client_that_is_still_sending(server: Serving) -> None:
    """The answer comes while the body is on its way, and the connection stays open for its rest."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {50 << 20}"))
        client.flood(1 << 20)
        response = client.response()
        assert (response.status, response.body) == (409, REFUSAL)
        assert client.flood((50 << 20) - (1 << 20)) == (50 << 20) - (1 << 20)
        assert client.closed()


def test_a_client_that_never_stops_sending_is_cut_off(server: Serving) -> None:
    """Lingering ends after 64 MiB or its time."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {8 << 30}"))
        assert client.flood(8 << 30) < 1 << 30


def test_a_client_that_falls_silent_is_not_waited_for_long(server: Serving) -> None:
    """Lingering has an end also when nothing comes."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {1 << 30}"))
        assert client.response().status == 409
        assert client.closed()
        _wait_until(lambda: server.idle)


def test_a_short_rest_is_drained_and_the_connection_kept(server: Serving) -> None:
    """Up to 256 KiB are read and thrown away; the next request on the connection is answered."""
    with RawClient(server.port) as client:
        for size in (0, 1, 1000, 256 << 10):
            client.send(head("PATCH", "/", f"Content-Length: {size}"))
            response = client.response()
            assert response.status == 409
            assert "connection" not in response.headers
            client.send(bytes(size))
        client.send(head("GET"))
        assert client.response().status == 409


def test_a_rest_that_never_comes_ends_the_connection(server: Serving) -> None:
    """Draining has a deadline."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 1000"))
        assert "connection" not in client.response().headers
        assert client.closed()


def test_one_byte_too_many_ends_the_connection(server: Serving) -> None:
    """Beyond 256 KiB the answer says goodbye."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", f"Content-Length: {(256 << 10) + 1}"))
        assert client.response().headers["connection"] == "close"


def test_a_chunked_body_that_has_arrived_keeps_the_connection(server: Serving) -> None:
    """Its end is known; one whose end is not known ends the connection."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked") + chunked(b"hello"))
        assert "connection" not in client.response().headers
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked") + chunked(b"hello", last=False))
        assert client.response().headers["connection"] == "close"
        client.half_close()
        assert client.closed()


def test_a_crash_of_the_application_is_read_too(server: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn's plain 500 reaches a client in the middle of its body."""

    async def crash(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a bug")

    server.app = crash
    with RawClient(server.port) as client, caplog.at_level(logging.CRITICAL, "uvicorn.error"):
        client.send(head("PATCH", "/", f"Content-Length: {20 << 20}"))
        client.flood(20 << 20)
        response = client.response()
    assert (response.status, response.body) == (500, b"Internal Server Error")


def test_a_stream_does_not_keep_its_head_back(server: Serving) -> None:
    """Its body may be long in coming: the client sees the answer begin."""
    go = threading.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.to_thread(go.wait, 10)
        await send({"type": "http.response.body", "body": b"late"})

    server.app = stream
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(head("GET", "/", "Connection: close"))
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        go.set()
        assert b"".join(iter(lambda: client.recv(4096), b"")) == b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize("field", [(b"x y", b"1"), (b"x", b"1\r\nset-cookie: y")])
def test_fields_that_would_break_the_message_are_a_crash(
    server: Serving, caplog: pytest.LogCaptureFixture, field: tuple[bytes, bytes]
) -> None:
    """The client gets a plain 500, and nothing of what was to be said."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 200, b"fine", field)

    server.app = broken
    with RawClient(server.port) as client, caplog.at_level(logging.CRITICAL, "uvicorn.error"):
        client.send(head("GET"))
        response = client.response()
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert "set-cookie" not in response.headers


def test_a_body_of_another_length_than_was_said_ends_the_connection(
    server: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """What is too short is seen to be cut off, and what is too long never gets out."""

    async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    server.app = wrong
    for path, sent in (("/ab", b"/ab"), ("/abcd", b"")):
        with RawClient(server.port) as client, caplog.at_level(logging.CRITICAL, "uvicorn.error"):
            client.send(head("GET", path))
            assert client.rest().endswith(b"\r\n\r\n" + sent)


# Expect and interim answers


def test_a_refusal_replaces_100_continue(server: Serving) -> None:
    """RFC 9110 §10.1.1: the final answer instead, and the connection ends, since nobody knows if the body comes."""
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 5", "Expect: 100-continue"))
        answers = client.responses()
        assert [response.status for response in answers] == [409]
        assert answers[0].headers["connection"] == "close"
        client.half_close()
        assert client.closed()


def test_100_continue_comes_when_the_body_is_poured(server: Serving) -> None:
    """A client that waits is told to go on, and the connection is kept."""
    server.app = pourer = Pourer()
    with RawClient(server.port) as client:
        for _ in range(2):
            client.send(head("PATCH", "/", "Content-Length: 5", "Expect: 100-Continue"))
            assert client.response().status == 100
            client.send(b"hello")
            assert client.response().document["end"] == "complete"
            assert pourer.poured().data == b"hello"


def test_a_broken_body_gets_400_and_no_100_behind_it(server: Serving) -> None:
    """The chunks are bad before anybody asked for the body: one answer, what the application says is dropped."""

    async def hesitate(scope: Scope, body: Body) -> None:
        await asyncio.sleep(0.05)

    server.app = pourer = Pourer(hesitate)
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked", "Expect: 100-continue"), b"1\r\nx\r\nzz\r\n")
        assert client.response().status == 400
        assert pourer.poured().data == b"x"
        client.half_close()
        assert client.closed()


def test_an_http_1_0_expectation_is_ignored(server: Serving) -> None:
    """RFC 9110 §10.1.1: such a client does not understand interim answers."""
    server.app = pourer = Pourer()
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 5", "Expect: 100-continue", version="1.0"), b"hello")
        assert [response.status for response in client.responses()] == [200]
    assert pourer.poured().data == b"hello"


async def _announce(scope: Scope, body: Body) -> None:
    found: Wire = scope["extensions"][EXTENSION]
    assert found.body is body
    scope["told"] = found.inform(104, [("Upload-Offset", "0"), ("Location", "/files/a")])


def test_interim_answers_come_before_100_and_the_final_answer(server: Serving) -> None:
    """R24: a 104 never stands for 100 (Continue)."""
    server.app = Pourer(_announce)
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 5", "Expect: 100-continue"))
        first, second = client.response(), client.response()
        client.send(b"hello")
        assert [first.status, second.status, client.response().status] == [104, 100, 200]
        assert first.headers == {"upload-offset": "0", "location": "/files/a"}


def test_interim_answers_are_not_sent_to_http_1_0(server: Serving) -> None:
    """RFC 9110 §15.2: a server must not send them to such a client."""
    server.app = pourer = Pourer(_announce)
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 0", version="1.0"))
        assert client.response().status == 200
    assert pourer.scope["told"] is False


def test_interim_answers_are_not_sent_behind_a_final_one(server: Serving) -> None:
    """The answer has begun: `inform` says that it was too late, and nothing disturbs the message."""
    told: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 200, b"done")
        told.append(scope["extensions"][EXTENSION].inform(104, []))

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("GET"))
        assert client.response().body == b"done"
        client.send(head("GET"))
        assert client.response().body == b"done"
    assert not any(told)


def test_interim_answers_are_not_sent_to_a_client_that_has_left(server: Serving) -> None:
    """A progress answer after a disconnect is dropped without a sound."""
    told: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        class Nothing:
            offset = 0

            def write(self, piece: memoryview) -> None:
                pass

        assert await open_body(scope, receive).pour(Nothing()) is End.DISCONNECTED
        await asyncio.sleep(0.02)
        told.append(scope["extensions"][EXTENSION].inform(104, []))
        await answer(send, 400)

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 10"), b"abc")
    _wait_until(lambda: bool(told))
    assert told == [False]


@pytest.mark.parametrize(
    ("status", "fields"),
    [(200, []), (100, []), (101, []), (104, [("A B", "x")]), (104, [("A", "x\r\nB: y")]), (104, [("A", "\u20ac")])],
)
def test_an_interim_answer_that_would_break_the_message_is_refused(
    server: Serving, status: int, fields: list[tuple[str, str]]
) -> None:
    """A ValueError for the caller, nothing on the wire."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError, match="interim"):
            scope["extensions"][EXTENSION].inform(status, fields)
        await answer(send, 204)

    server.app = app
    with RawClient(server.port) as client:
        client.send(head("GET"))
        assert client.response().status == 204


# Downloads and the end of the server


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_download_that_is_broken_off_raises_nothing(server: Serving, way: str) -> None:
    """The application may go on sending into the void; other connections do not notice."""
    outcome: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(400):
                await send({"type": "http.response.body", "body": bytes(1 << 17), "more_body": True})
            await send({"type": "http.response.body"})
            outcome.append("sent")
        except BaseException as failure:
            outcome.append(failure)
            raise

    server.app = app
    client = RawClient(server.port)
    client.send(head("GET"))
    assert client.socket.recv(1000)
    client.reset() if way == "reset" else client.socket.close()
    _wait_until(lambda: bool(outcome))
    assert outcome == ["sent"]
    _wait_until(lambda: server.idle)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_graceful_stop_ends_bodies_that_are_still_coming(loop: Any) -> None:
    """The body ends as SHUTDOWN, its client reads the answer; idle and lingering connections close at once."""
    pourer = Pourer()
    http = wire.protocol_class(linger=30.0, brief_linger=0.2)
    serving = Serving(pourer, http=http, loop=loop, timeout_keep_alive=30, timeout_graceful_shutdown=15)
    with RawClient(serving.port) as live, RawClient(serving.port) as idle, RawClient(serving.port) as late:
        live.send(head("PATCH", "/", f"Content-Length: {1 << 30}"), b"some")
        _wait_until(lambda: pourer.sink.data == b"some")
        idle.send(head("GET"))
        assert idle.response().status == 200
        serving.app = refuse
        late.send(head("PATCH", "/", f"Content-Length: {1 << 30}"))
        assert late.response().status == 409
        stopping = threading.Thread(target=serving.close)
        begun = time.monotonic()
        stopping.start()
        assert live.response().document == {"end": "shutdown", "received": 4}
        assert idle.closed()
        assert late.closed()
        stopping.join()
        assert time.monotonic() - begun < 10


def test_a_body_that_is_all_here_survives_a_graceful_stop() -> None:
    """The sink is slow, the server stops: what has arrived whole is stored whole."""
    pourer = Pourer()
    pourer.go.clear()
    serving = Serving(pourer, http=wire.Protocol)
    with RawClient(serving.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 5"), b"hello")
        _wait_until(lambda: pourer.body is not None)
        stopping = threading.Thread(target=serving.close)
        stopping.start()
        time.sleep(0.2)
        pourer.go.set()
        assert client.response().document == {"end": "complete", "received": 5}
        stopping.join()


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
