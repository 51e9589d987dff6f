"""Connections over a real uvicorn server: kept, pipelined, old, upgraded; and the framing of answers."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from ferryman_server import wire
from tests.support.pourer import Pourer
from tests.support.raw_http import RawClient, chunked, head
from tests.support.serving import Serving, answer


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Give the body back; paths that begin with /slow take a moment."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    if scope["path"].startswith("/slow"):
        await asyncio.sleep(0.05)
    await answer(send, 200, scope["path"].encode() + b":" + body)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server that keeps idle connections for a second."""
    with Serving(echo, http=wire.Protocol, loop=request.param, timeout_keep_alive=1) as serving:
        yield serving


@pytest.fixture(autouse=True)
def _echoing(server: Serving) -> None:
    server.app = echo


def test_a_connection_is_kept_for_more_requests(server: Serving) -> None:
    """With and without bodies, short and long."""
    with RawClient(server.port) as client:
        for data in (b"", b"a", b"b" * 200_000, b"", b"c" * 70_000):
            client.send(head("POST", "/x", f"Content-Length: {len(data)}"), data)
            assert client.response().body == b"/x:" + data


def test_an_idle_connection_is_closed_after_its_time(server: Serving) -> None:
    """uvicorn's keep-alive time goes on working, also after a body that had to be drained."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 409)

    server.app = refuse
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 1000"))
        assert client.response().status == 409
        client.send(bytes(1000))
        assert client.closed()


def test_pipelined_requests_are_answered_in_order(server: Serving) -> None:
    """All sent in one go, with bodies between them, long ones too."""
    long = b"x" * 300_000
    with RawClient(server.port) as client:
        client.send(
            head("GET", "/slow/1"),
            head("POST", "/2", "Content-Length: 3") + b"abc",
            head("POST", "/3", "Transfer-Encoding: chunked") + chunked(b"de", b"f"),
            head("POST", "/slow/4", f"Content-Length: {len(long)}") + long,
            head("GET", "/5"),
        )
        expected = [b"/slow/1:", b"/2:abc", b"/3:def", b"/slow/4:" + long, b"/5:"]
        assert [client.response().body for _ in expected] == expected


def test_a_pipelined_body_can_be_poured(server: Serving) -> None:
    """A body that began to arrive before its turn is whole when its turn comes."""
    server.app = pourer = Pourer()
    data = b"y" * 3_000_000
    with RawClient(server.port) as client:
        client.send(head("PATCH", "/", "Content-Length: 1") + b"x" + head("PATCH", "/", f"Content-Length: {len(data)}"))
        client.send(data)
        assert client.response().document["received"] == 1
        assert client.response().document["received"] == len(data)
    assert [pourer.poured().data, pourer.poured().data] == [b"x", data]


def test_connection_close_is_honoured(server: Serving) -> None:
    """What a client sends behind it is not answered."""
    with RawClient(server.port) as client:
        client.send(head("GET", "/last", "Connection: close"), head("GET", "/more"))
        response = client.response()
        assert response.headers["connection"] == "close"
        assert client.closed()


@pytest.mark.parametrize("framing", ["none", "length", "chunked"])
def test_an_upgrade_is_ignored_and_the_body_still_read(server: Serving, framing: str) -> None:
    """RFC 9110 §7.8: a server may ignore Upgrade. Java's client sends one for HTTP/2 with every first request."""
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    fields, body = {
        "none": ((), b""),
        "length": (("Content-Length: 5",), b"hello"),
        "chunked": (("Transfer-Encoding: chunked",), chunked(b"he", b"llo")),
    }[framing]
    with RawClient(server.port) as client:
        client.send(head("POST", "/up", *upgrade, *fields), body, head("GET", "/next"))
        assert client.response().body == b"/up:" + (b"hello" if body else b"")
        assert client.response().body == b"/next:"
        client.send(head("POST", "/up", *upgrade, *fields))
        client.send(body)
        assert client.response().body == b"/up:" + (b"hello" if body else b"")


def test_http_1_0_is_answered_and_closed(server: Serving) -> None:
    """Without a Host, with a body, with and without a length of the answer; never in chunks (RFC 9112 §6.1)."""
    with RawClient(server.port) as client:
        client.send(head("POST", "/old", "Content-Length: 2", version="1.0", host=None), b"hi")
        response = client.response()
        assert (response.status, response.body) == (200, b"/old:hi")
        assert client.closed()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one ", b"", b"two "):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"three"})

    server.app = stream
    with RawClient(server.port) as client:
        client.send(head("GET", version="1.0"))
        response = client.response()
        assert "transfer-encoding" not in response.headers
        assert response.body == b"one two three"
    with RawClient(server.port) as client:
        client.send(head("GET"))
        response = client.response()
        assert (response.headers["transfer-encoding"], response.body) == ("chunked", b"one two three")


def test_the_answer_to_head_tells_the_length_and_sends_no_body(server: Serving) -> None:
    """The next answer on the connection follows at once."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"12345678901")]})
        await send({"type": "http.response.body"})

    server.app = app
    with RawClient(server.port) as client:
        for _ in range(2):
            client.send(head("HEAD"))
            assert client.response(to_head=True).headers["content-length"] == "12345678901"


def test_204_has_no_body_and_no_framing(server: Serving) -> None:
    """RFC 9110 §15.3.5."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server.app = app
    with RawClient(server.port) as client:
        for _ in range(2):
            client.send(head("PATCH", "/", "Content-Length: 3"), b"abc")
            assert "transfer-encoding" not in client.response().headers


def test_a_truncated_answer_is_seen_to_be_truncated(server: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """An application that fails in the middle of its answer: the connection ends without the last chunk."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("a bug")

    server.app = app
    with RawClient(server.port) as client, caplog.at_level(logging.CRITICAL, "uvicorn.error"):
        client.send(head("GET"))
        assert client.rest().endswith(b"half\r\n")


def test_the_concurrency_limit_answers_503_to_a_client_that_is_sending() -> None:
    """uvicorn's own refusal goes the same way: it can be read."""
    with Serving(echo, http=wire.Protocol, limit_concurrency=1) as serving, RawClient(serving.port) as client:
        client.send(head("POST", "/", f"Content-Length: {20 << 20}"))
        client.flood(20 << 20)
        assert client.response().status == 503


def test_the_limits_are_named() -> None:
    """`protocol_class` makes a class of its own with these limits; an unknown name is an error."""
    made: Any = wire.protocol_class(idle_timeout=1.5, max_head=100)
    assert issubclass(made, wire.Protocol)
    assert (made.limits.idle_timeout, made.limits.max_head) == (1.5, 100)
    assert wire.Protocol.limits == wire.WireLimits()
    with pytest.raises(TypeError):
        wire.protocol_class(idle_time=1.5)
