"""Where a message ends is found wherever the network has cut it."""

import pytest

from tests.s3.framing import Chunked, Malformed, Sized, body_of_answer, body_of_request, is_whole, parse
from tests.support.raw_http import chunked

CHUNKED = chunked(b"first", b"s" * 20, trailers=("X-Sum: 1",))


@pytest.mark.parametrize("step", range(1, len(CHUNKED) + 1))
def test_the_end_of_a_chunked_body_is_found_at_any_cut(step: int) -> None:
    """However it comes, every byte of it is taken, its content counted, and nothing behind it touched."""
    body, raw, used, content = Chunked(), memoryview(CHUNKED + b"GET /next"), 0, 0
    while not body.over:
        taken, counted = body.advance(raw[used : used + step])
        used, content = used + taken, content + counted
    assert (used, content) == (len(CHUNKED), 25)


def test_a_sized_body_ends_at_its_size() -> None:
    """What comes behind it is not of it."""
    body = Sized(5)
    assert body.advance(memoryview(b"abc")) == (3, 3)
    assert not body.over
    assert body.advance(memoryview(b"defg")) == (2, 2)
    assert body.over


def test_looking_ahead_takes_nothing() -> None:
    """Whether a body is whole is told without reading on."""
    body = Chunked()
    assert not is_whole(body, memoryview(CHUNKED[:-1]))
    assert is_whole(body, memoryview(CHUNKED))
    assert not body.over


@pytest.mark.parametrize("raw", [b"xyz\r\n", b"\r\n", b"5" * 9000])
def test_what_is_no_chunk_is_refused(raw: bytes) -> None:
    """A client that frames its body wrongly fails the test."""
    with pytest.raises(Malformed):
        Chunked().advance(memoryview(raw))


@pytest.mark.parametrize("raw", [b"GET /\r\n\r\n", b"\r\n\r\n"])
def test_what_is_no_head_is_refused(raw: bytes) -> None:
    """A first line of three words is the least; an interim answer has nothing more."""
    with pytest.raises(Malformed):
        parse(raw)


def test_a_message_without_a_length_has_the_body_that_http_says() -> None:
    """None behind a request, none behind 204 or an answer to HEAD, and everything behind another answer."""
    assert body_of_request(parse(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).over
    assert body_of_answer(parse(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"), "DELETE").over
    sized = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    assert body_of_answer(sized, "HEAD").over
    assert not body_of_answer(sized, "GET").over
    assert not body_of_answer(parse(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"), "GET").over


@pytest.mark.parametrize(
    ("raw", "closes"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_a_head_tells_whether_its_connection_closes(raw: bytes, closes: bool) -> None:
    """As its version and its field say."""
    assert parse(raw).closes is closes
