"""The head of an answer: what it says, how it frames the body, and what an application may not put into it."""

import pytest

from ferryman_server.wire_answer import AnswerHead, Field, chunk


def head(status: int, *fields: Field, keep_alive: bool = True, bodiless: bool = False, old: bool = False) -> AnswerHead:
    """The head of an answer to a request that can be answered in chunks and keeps its connection, unless told."""
    return AnswerHead(status, fields, keep_alive=keep_alive, bodiless=bodiless, may_chunk=not old)


def test_fields_are_written_in_order_with_lower_case_names() -> None:
    """Also doubled ones; values as they are, high bytes included."""
    made = head(200, (b"Vary", b"a"), (b"X-Y", b"\tb\xff "), (b"vary", b"c"), (b"Content-Length", b"3"))
    assert made.data == b"HTTP/1.1 200 OK\r\nvary: a\r\nx-y: \tb\xff \r\nvary: c\r\ncontent-length: 3\r\n\r\n"


@pytest.mark.parametrize(
    ("made", "length", "chunked", "keep_alive", "said"),
    [
        (head(200, (b"content-length", b"12")), 12, False, True, b""),
        (head(200), None, True, True, b"transfer-encoding: chunked\r\n"),
        (head(200, (b"Transfer-Encoding", b"Chunked")), None, True, True, b""),
        (head(200, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")), None, True, True, b""),
        (head(204), 0, False, True, b""),
        (head(304), 0, False, True, b""),
        (head(200, bodiless=True), None, False, True, b""),
        (head(200, (b"content-length", b"12"), bodiless=True), 12, False, True, b""),
        (head(200, old=True), None, False, False, b"connection: close\r\n"),
        (head(200, (b"content-length", b"12"), old=True, keep_alive=False), 12, False, False, b"connection: close\r\n"),
        (head(204, keep_alive=False), 0, False, False, b"connection: close\r\n"),
        (head(204, (b"Connection", b"x, Close")), 0, False, False, b""),
        (head(204, (b"connection", b"x")), 0, False, True, b""),
    ],
)
def test_the_body_is_framed_as_was_said(
    made: AnswerHead, length: int | None, chunked: bool, keep_alive: bool, said: bytes
) -> None:
    """By what the application says, else by the status, the method and the version; nothing is said twice."""
    assert (made.length, made.chunked, made.keep_alive) == (length, chunked, keep_alive)
    assert made.data.endswith(said + b"\r\n")
    for field in (b"transfer-encoding:", b"connection:", b"content-length:"):
        assert made.data.count(b"\r\n" + field) <= 1
    if not said:
        assert b"connection: close" not in made.data


@pytest.mark.parametrize("name", [b"", b"a b", b"a:b", b"a\r\nb", b"a\0", b"\xe4", b"(x)"])
def test_names_that_would_break_the_message_are_refused(name: bytes) -> None:
    """Each time, not only the first."""
    for _ in range(2):
        with pytest.raises(RuntimeError, match="header name"):
            head(200, (name, b"x"))


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"\0", b"\x1f", b"\x7f"])
def test_values_that_would_break_the_message_are_refused(value: bytes) -> None:
    """Wherever they stand."""
    for fields in ([(b"x", value)], [(b"x", b"1"), (b"y", value), (b"z", b"2")]):
        with pytest.raises(RuntimeError, match="header value"):
            head(200, *fields)


def test_chunks() -> None:
    """Empty ones say nothing, since an empty one is the last."""
    assert chunk(b"x" * 26, last=False) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert chunk(b"", last=False) == b""
    assert chunk(b"", last=True) == b"0\r\n\r\n"
    assert chunk(b"ab", last=True) == b"2\r\nab\r\n0\r\n\r\n"
