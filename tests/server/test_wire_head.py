"""What the wire refuses before an application sees it, over a real server: status, text, the end of the line."""

import ssl
import time
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from ferryman_server import wire
from tests.support.pourer import Pourer
from tests.support.raw_http import RawClient, chunked, head
from tests.support.serving import Serving, answer

TOO_MUCH = "x" * (64 << 10)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell the path, and how many bytes of header fields there were."""
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    await answer(send, 200, f"{scope['path']} {size}".encode(), (b"x-raw", scope["raw_path"]))


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server whose clients have 0.5 s for a head."""
    http = wire.protocol_class(head_timeout=0.5)
    with Serving(echo, http=http, loop=request.param, access_log=True) as serving:
        yield serving


@pytest.fixture(autouse=True)
def _echoing(server: Serving) -> None:
    server.app = echo


@pytest.mark.parametrize(
    ("request_bytes", "status", "word"),
    [
        (head("GET", host=None), 400, "Host is missing"),
        (head("GET", "/", "Host: two"), 400, "Host came 2 times"),
        (head("GET", host="a b"), 400, "Host is not"),
        (head("GET", "/", "Host: two", version="1.0"), 400, "Host came 2 times"),
        (head("PATCH", "/", "Content-Length: +5"), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length: 1_0"), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length: -1"), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length: 1" + "0" * 30), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length:"), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length: 5", "Content-Length: 5"), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length: 5, 5"), 400, "Content-Length"),
        (head("PATCH", "/", "Content-Length: 5", "Transfer-Encoding: chunked"), 400, "Transfer-Encoding"),
        (head("PATCH", "/", "Transfer-Encoding: chunked", "Content-Length: 5"), 400, "Content-Length"),
        (head("PATCH", "/", "Transfer-Encoding: gzip, chunked"), 501, "Transfer-Encoding"),
        (head("PATCH", "/", "Transfer-Encoding: xchunked"), 501, "Transfer-Encoding"),
        (head("PATCH", "/", "Transfer-Encoding: chunked", version="1.0"), 400, "Transfer-Encoding"),
        (head("GET", "/", "X-A: a\0b"), 400, "after host"),
        (head("GET", "/", "X-A: a\x01b"), 400, "after host"),
        (head("GET", "/", "X-A: a\r\n folded"), 400, "after host"),
        (head("GET", "/", "X-A : a"), 400, "first field"),
        (head("GET", "/", "no colon"), 400, "first field"),
        (head("GET", "/\xe9"), 400, "percent-encoded"),
        (head("GET", "/a b\x01"), 400, ""),
        (head("GET", "/?\xe9"), 400, "percent-encoded"),
        (head("GET", "nowhere"), 400, "percent-encoded"),
        (head("CONNECT", "example.com:80"), 400, "path"),
        (head("FROBNICATE"), 400, "method"),
        (head("get"), 400, "method"),
        (head("GET", version="2.0"), 505, "HTTP/2.0"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, ""),
        (head("GET", "/", f"X-Long: {TOO_MUCH}"), 431, "32768"),
        (head("GET", "/" + TOO_MUCH), 431, "32768"),
        (head("GET", "/", *(f"X-{number}: 0123456789" for number in range(3000))), 431, "32768"),
    ],
)
def test_a_malformed_head_is_refused_with_a_problem_document(
    server: Serving, request_bytes: bytes, status: int, word: str
) -> None:
    """The client is told what was wrong and where; no application is asked; the connection ends."""
    with RawClient(server.port) as client:
        client.send(request_bytes)
        response = client.response()
        assert response.status == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["connection"] == "close"
        document = response.document
        assert document["status"] == status
        assert set(document) >= {"type", "title", "status", "detail"}
        assert word in document["detail"]
        client.half_close()
        assert client.closed()


def test_ten_thousand_header_bytes_are_fine(server: Serving) -> None:
    """Long metadata is legitimate."""
    with RawClient(server.port) as client:
        client.send(head("GET", "/", "Upload-Metadata: " + "a" * 10_000))
        assert client.response().status == 200


def test_header_values_are_trimmed_and_names_lower_cased(server: Serving) -> None:
    """RFC 9110 §5.5: white space around a value is not part of it; an empty value is a value."""
    server.app = pourer = Pourer()
    with RawClient(server.port) as client:
        client.send(head("GET", "/", "Upload-Offset:  5 \t ", "EMPTY:", "X-Latin: \xe9"))
        assert client.response().status == 200
    assert pourer.scope["headers"][1:] == [(b"upload-offset", b"5"), (b"empty", b""), (b"x-latin", b"\xe9")]


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/files/%00", b"/files/\x00 16"),
        ("/a%2fb", b"/a/b 16"),
        ("/%zz", b"/%zz 16"),
        ("/%ff?%ff", "/\ufffd 16".encode()),
        ("http://elsewhere/path?q", b"/path 16"),
        ("http://elsewhere", b"/ 16"),
        ("*", b"* 16"),
        ("/../../etc/passwd", b"/../../etc/passwd 16"),
        ("//a", b"//a 16"),
    ],
)
def test_odd_request_targets_reach_the_application(server: Serving, target: str, body: bytes) -> None:
    """They are its business: nothing raises on the way, also not the access log."""
    with RawClient(server.port) as client:
        client.send(head("GET", target))
        response = client.response()
        assert (response.status, response.body) == (200, body)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_head_may_come_in_pieces(server: Serving, step: int) -> None:
    """However the network cuts it."""
    message = head("PATCH", "/pieces", "Content-Length: 3", "X-A: b") + b"abc"
    with RawClient(server.port) as client:
        for start in range(0, len(message), step):
            client.send(message[start : start + step])
        assert client.response().body == b"/pieces 35"


def test_an_endless_header_value_is_refused_while_it_comes(server: Serving) -> None:
    """It is never gathered whole: the refusal comes after about the limit."""
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        client.send(b"x" * 16_000)
        time.sleep(0.05)
        sent = client.flood(64 << 20, step=4096, fill=b"x")
        assert sent <= 64 << 20
        assert client.response().status == 431


@pytest.mark.parametrize("begin", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-A"])
def test_a_head_that_does_not_end_gets_408(server: Serving, begin: bytes) -> None:
    """A client that sends its header fields one byte at a time does not hold a connection for ever."""
    with RawClient(server.port) as client:
        client.send(begin)
        response = client.response()
        assert response.status == 408
        assert response.headers["connection"] == "close"
        client.half_close()
        assert client.closed()


def test_a_second_head_has_to_come_in_time_too(server: Serving) -> None:
    """The same after an answered request on a kept connection."""
    with RawClient(server.port) as client:
        client.send(head("GET", "/first"))
        assert client.response().status == 200
        client.send(b"GET /second")
        assert client.response().status == 408


def test_a_connection_that_says_nothing_is_closed(server: Serving) -> None:
    """Silently: there is nothing to answer. Blank lines count as nothing."""
    with RawClient(server.port) as silent, RawClient(server.port) as blank:
        blank.send(b"\r\n\r\n")
        assert silent.closed()
        assert blank.closed()


def test_too_many_trailer_bytes_are_refused(server: Serving) -> None:
    """Trailers are fields like others and under the same limit; the body's bytes are kept."""
    server.app = pourer = Pourer()
    with RawClient(server.port) as client:
        body = chunked(b"hello", trailers=(f"X-Long: {TOO_MUCH}",))
        client.send(head("PATCH", "/", "Transfer-Encoding: chunked"), body)
        assert client.response().status == 431
    assert pourer.poured().data == b"hello"


def test_a_refusal_waits_for_the_answers_before_it(server: Serving) -> None:
    """Pipelined: the good requests are answered in order, then the bad one, and what follows is not read."""
    with RawClient(server.port) as client:
        good, bad = head("GET", "/1") + head("GET", "/2"), head("GET", "/3", host=None)
        client.send(good, bad, head("GET", "/4"))
        assert [client.response().body for _ in range(2)] == [b"/1 16", b"/2 16"]
        assert client.response().status == 400
        client.half_close()
        assert client.closed()


def test_a_bad_chunk_behind_a_running_request_does_not_disturb_it(server: Serving) -> None:
    """The first request is answered; the broken one behind it never starts and gets its 400."""
    with RawClient(server.port) as client:
        client.send(head("GET", "/1"), head("PATCH", "/2", "Transfer-Encoding: chunked"), b"zz\r\n")
        assert client.response().body == b"/1 16"
        assert client.response().status == 400


def test_tls_spoken_to_a_plain_port_ends_in_an_error_and_not_in_a_hang(server: Serving) -> None:
    """A person who typed https by mistake."""
    context = ssl.create_default_context()
    with RawClient(server.port) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(client.socket, server_hostname="localhost")
