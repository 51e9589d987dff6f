"""Bytes that are no HTTP, or HTTP of a kind that must not be believed, sent to a real server.

Every one gets an answer or the end of the connection within seconds; none is a server's mistake, and afterwards the
server has let go of everything and works as before.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.probing import PROMPT, STREAM, TUS, ask, checked, final, unchanged, unharmed
from tests.support.process import Server, serving
from tests.support.raw_http import RawClient, RawResponse, chunked, head
from tests.support.uploading import append, append_head, assert_whole, create, offset_of

OFFSET_0 = "Upload-Offset: 0"
TRAILED = chunked(b"x" * 10, last=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of it, which must have come to no harm at the end."""
    with serving(tmp_path_factory.mktemp("framing") / "data", "--header-timeout", "3s") as running, unharmed(running):
        yield running


@pytest.fixture
def path(server: Server) -> str:
    """An upload of ten bytes, still empty."""
    return create(server, "tus", length=10)


def say(server: Server, *data: bytes, finish: bool = False) -> RawResponse | None:
    """Send raw bytes; the final answer, or None when the connection ended without one."""
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(*data)
        if finish:
            client.half_close()
        try:
            return final(client)
        except ConnectionError:
            return None


BROKEN_CHUNKS = (
    b"zz\r\nabc\r\n0\r\n\r\n",
    b"-3\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"3 \r\nabcd\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"4\r\nabc\r\n0\r\n\r\n",
    b"3\nabc\n0\n\n",
    b"\r\n\r\n\r\n",
    b"f" * 17 + b"\r\nabc",
    b"f" * 100_000,
)
UNENDED_CHUNKS = (b"3\r\nabc\r\n", b"3\r\nabc", b"3\r\nab", b"3", b"", b"3\r\nabc\r\n0\r\nX: y")


def resume(server: Server, path: str, whole: bytes) -> None:
    """Go on from where the upload stands, and once more where a refused request had not quite let go yet."""
    answer = append(server, "tus", path, (offset := offset_of(server, "tus", path)), whole[offset:])
    if answer.status == 409:
        offset = int(answer.headers["upload-offset"])
        answer = append(server, "tus", path, offset, whole[offset:])
    assert answer.status == 204, answer
    assert_whole(server, path, whole)


@pytest.mark.parametrize("body", BROKEN_CHUNKS, ids=lambda each: repr(each[:12]))
def test_chunked_body_that_is_broken(server: Server, path: str, body: bytes) -> None:
    """A bad chunk size, or a chunk that is longer or shorter than it says: 400, and what was taken is a true prefix."""
    answer = say(server, append_head("tus", path, 0, size=None), body)
    assert answer is not None
    assert answer.status == 400
    resume(server, path, b"abc\r123456" if body.startswith(b"4") else b"abc1234567")


@pytest.mark.parametrize("body", UNENDED_CHUNKS, ids=repr)
def test_chunked_body_that_does_not_end(server: Server, path: str, body: bytes) -> None:
    """A connection that ends before the last chunk did: what was taken is a true prefix."""
    answer = say(server, append_head("tus", path, 0, size=None), body, finish=True)
    assert answer is None or answer.status == 400
    resume(server, path, b"abc1234567")


def test_huge_chunk_header(server: Server, path: str) -> None:
    """A chunk extension of 100 KiB is passed over or refused; it is neither stored nor kept in memory."""
    body = b"3;" + b"x" * (100 << 10) + b"\r\nabc\r\n0\r\n\r\n"
    answer = say(server, append_head("tus", path, 0, size=None), body)
    assert answer is not None
    assert answer.status in (204, 400, 431)
    resume(server, path, b"abc1234567")


@pytest.mark.parametrize(
    "trailers",
    [
        ("X: y",) * 100,
        ("Upload-Offset: 5", "Tus-Resumable: 0.2.2"),
        ("Content-Length: 3",),
        ("Transfer-Encoding: chunked",),
        ("Host: x", "Host: y"),
        ("Upload-Checksum: sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=",),
    ],
)
def test_trailers_that_nobody_announced(server: Server, path: str, trailers: tuple[str, ...]) -> None:
    """Trailer fields change nothing about a request: they come too late to be header fields."""
    answer = say(server, append_head("tus", path, 0, size=None), chunked(b"x" * 10, trailers=trailers))
    assert answer is not None
    # a parser may refuse framing fields in a trailer (RFC 9110 §6.5.1 forbids to send them)
    assert answer.status in (204, 400)
    if answer.status == 204:
        assert_whole(server, path, b"x" * 10)


@pytest.mark.parametrize(
    "trailer", [b"X: " + b"y" * (64 << 10) + b"\r\n", b"X: y\r\n" * 10_000, b"\0: y\r\n", b"y\r\n"]
)
def test_trailers_that_are_broken(server: Server, path: str, trailer: bytes) -> None:
    """Trailers without end, or without form, are refused."""
    answer = say(server, append_head("tus", path, 0, size=None), TRAILED, b"0\r\n", trailer, b"\r\n")
    assert answer is not None
    assert answer.status in (400, 431)


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 10", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 10"),
        ("Content-Length: 10", "Content-Length: 11"),
        ("Content-Length: 10, 10",),
        ("Transfer-Encoding: identity", "Content-Length: 10"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: ",),
        ("Content-Length : 10",),
        ("Content-Length:10\n",),
        ("Transfer-Encoding:\x0bchunked",),
    ],
)
def test_framing_that_could_be_read_in_two_ways(server: Server, path: str, framing: tuple[str, ...]) -> None:
    """Two statements about where a body ends, or an odd one, are how requests are smuggled: refused, nothing stored."""
    with unchanged(server, path):
        answer = say(server, head("PATCH", path, TUS, STREAM, OFFSET_0, *framing), TRAILED)
        assert answer is not None
        assert answer.status in (400, 501), answer


def test_bytes_behind_a_body(server: Server, path: str) -> None:
    """What comes after Content-Length bytes is another request, and is judged as one."""
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, size=10), b"x" * 10, b"surplus bytes\r\n\r\n")
        assert final(client).status == 204
        assert final(client).status == 400
    assert_whole(server, path, b"x" * 10)


def test_requests_in_a_row(server: Server, path: str) -> None:
    """Requests sent without waiting are answered in their order, and a refusal in the middle stops none of them."""
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(
            append_head("tus", path, 0, size=5),
            b"abcde",
            append_head("tus", path, 9, size=1),
            b"x",
            append_head("tus", path, 5, size=5),
            b"fghij",
            head("GET", path),
        )
        assert [final(client).status for _ in range(3)] == [204, 409, 204]
        assert final(client).body == b"abcdefghij"


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("FOO /files/ HTTP/1.1", (400,)),
        ("post /files/ HTTP/1.1", (400,)),
        ("GET  /files/ HTTP/1.1", (400, 405)),
        ("GET /files/", (400, 505)),
        ("GET /files/ HTTP/1.2", (200, 204, 400, 405, 505)),
        ("GET /files/ HTTP/2.0", (400, 505)),
        ("GET /files/ HTTP/0.9", (400, 505)),
        ("GET /files/ HTTX/1.1", (400,)),
        ("GET /files/ HTTP/1.1 x", (400,)),
        ("GET files/ HTTP/1.1", (400,)),
        ("GET /fi les/ HTTP/1.1", (400,)),
        ("GET /\x00 HTTP/1.1", (400,)),
        ("GET /\x7f\x01 HTTP/1.1", (400,)),
        ("GET * HTTP/1.1", (400, 404, 405)),
        ("CONNECT evil.invalid:443 HTTP/1.1", (400, 404, 405)),
        ("GET http:// HTTP/1.1", (400, 404)),
        ("GET ftp://x/files/ HTTP/1.1", (400, 404, 405)),
        ("GET http://user:pw@x/%00 HTTP/1.1", (400, 404)),
        ("GET http://x:99999999/ HTTP/1.1", (200, 400)),
    ],
)
def test_request_lines_with_anything(server: Server, line: str, allowed: tuple[int, ...]) -> None:
    """A request line that is none is 400, another version of HTTP 505."""
    answer = say(server, f"{line}\r\nHost: x\r\n\r\n".encode("latin-1"))
    assert answer is not None
    assert answer.status in allowed, answer


def test_absolute_targets(server: Server, path: str) -> None:
    """A target in absolute form means its path; the host in it is not believed either."""
    assert ask(server, "HEAD", f"http://evil.invalid{path}", TUS).status == 200
    answer = ask(server, "POST", "https://evil.invalid:1/files/", TUS, "Upload-Length: 3")
    assert answer.status == 201
    assert answer.headers["location"].startswith("/files/")


@pytest.mark.parametrize(
    "hosts", [(), ("Host: a", "Host: b"), ("Host: a", "Host: a"), ("Host: a b",), ("Host: a/b",), ("Host: \u00ff",)]
)
def test_host_that_is_missing_doubled_or_none(server: Server, hosts: tuple[str, ...]) -> None:
    """HTTP/1.1 needs one Host."""
    with unchanged(server):
        answer = say(server, head("POST", "/files/", *hosts, TUS, "Upload-Length: 3", host=None))
        assert answer is not None
        assert answer.status == 400


def old_head(method: str, target: str, *fields: str) -> bytes:
    """The head of a request in HTTP/1.0, without Host."""
    return head(method, target, *fields, version="1.0", host=None)


def test_http_1_0(server: Server, path: str) -> None:
    """HTTP/1.0 works, without Host, closes after its answer, and knows neither chunks nor interim answers."""
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(old_head("PATCH", path, TUS, STREAM, OFFSET_0, "Content-Length: 10"), b"x" * 10)
        assert checked(client.response()).status == 204
        assert client.closed()
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(old_head("GET", path))
        assert checked(client.response()).body == b"x" * 10
        assert client.closed()
    refused = say(server, old_head("POST", "/files/", TUS, "Upload-Length: 3", "Transfer-Encoding: chunked"))
    assert refused is not None
    assert refused.status == 400
    with RawClient(server.port, timeout=PROMPT) as client:
        fields = ("Upload-Complete: ?1", "Upload-Draft-Interop-Version: 8", "Content-Length: 3")
        client.send(old_head("POST", "/files/", *fields), b"abc")
        assert client.response().status == 201


@pytest.mark.parametrize(
    "expectation", ["100-continue", "100-Continue", "foo", "", "\u00ff", "100-continue, 100-continue"]
)
def test_expectations_with_anything(server: Server, path: str, expectation: str) -> None:
    """An expectation never makes anybody wait for ever: the refusal comes at once, and a body is taken if it comes."""
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 5, f"Expect: {expectation}", size=5))
        assert checked(client.response()).status in (409, 417)
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, f"Expect: {expectation}", size=10), b"x" * 10)
        assert final(client).status in (204, 417)


@pytest.mark.parametrize(
    "field",
    [
        b"X: a\0b",
        b"X: a\rb",
        b"X\0: a",
        b"X : a",
        b": a",
        b"X",
        b"X: a\r\n b",
        b" X: a",
        b"X(: a",
        b"\xff: a",
        b"X: \x01",
    ],
    ids=repr,
)
def test_fields_that_are_none(server: Server, field: bytes) -> None:
    """Field lines that break the grammar are refused, folded ones too: nothing is guessed."""
    with unchanged(server):
        start = head("POST", "/files/", TUS, "Upload-Length: 3").removesuffix(b"\r\n")
        answer = say(server, start, field, b"\r\n\r\n")
        assert answer is not None
        assert answer.status == 400, answer


GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # the beginning of TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x00" * 1000,
    b"\xff" * 100_000,
    b"\r\n" * 50_000,
    b"{}\r\n\r\n",
    b"GET",
    b"G\r\n",
    b"GET / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX",
)


def test_garbage(server: Server) -> None:
    """What is no HTTP, or stops in the middle of it, is refused or closed in time."""
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port, timeout=PROMPT)) for _ in GARBAGE]
        for client, data in zip(clients, GARBAGE, strict=True):
            client.send(data)
        for client, data in zip(clients, GARBAGE, strict=True):
            answer = client.rest()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), (data[:20], answer)


def test_random_bytes(server: Server) -> None:
    """Random bytes, alone and in the middle of a good request, end in words or in a closed connection."""
    for seed in range(60):
        chance = random.Random(seed)
        good = bytearray(head("POST", "/files/", TUS, "Upload-Length: 3", STREAM, "Content-Length: 3") + b"abc")
        for _ in range(chance.randint(1, 4)):
            good[chance.randrange(len(good) - 3)] = chance.randrange(256)
        for data in (chance.randbytes(chance.randint(1, 3000)), bytes(good)):
            answer = say(server, data, finish=True)
            assert answer is None or answer.status in (201, 204, *range(400, 506)), f"seed {seed}: {answer}"


def test_connections_that_say_nothing(server: Server) -> None:
    """A hundred silent connections stop nobody, and are closed in time."""
    silent = [RawClient(server.port, timeout=20) for _ in range(100)]
    try:
        assert ask(server, "GET", "/healthz").status == 200
        assert all(client.closed() for client in silent)
    finally:
        for client in silent:
            client.socket.close()


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.0"])
def test_upgrade(server: Server, path: str, protocol: str) -> None:
    """A wish for another protocol is passed over; the request is answered as HTTP/1.1, body and all."""
    fields = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    with RawClient(server.port, timeout=PROMPT) as client:
        client.send(append_head("tus", path, 0, *fields, size=10), b"x" * 10)
        assert final(client).status == 204
