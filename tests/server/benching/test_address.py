"""A server's address, and what is said where there is no such server."""

import socket

import pytest

from ferryman_server.benching.address import Address, Answer
from ferryman_server.benching.errors import CannotRate


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1080", "http://127.0.0.1:1080"),
        ("http://127.0.0.1:1080/", "http://127.0.0.1:1080"),
        ("http://127.0.0.1:1080/files/", "http://127.0.0.1:1080"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("https://example.org", "https://example.org:443"),
        ("http://example.org", "http://example.org:80"),
    ],
)
def test_urls_that_the_server_prints_are_read(url: str, told: str) -> None:
    """With or without the place where uploads go."""
    assert str(Address.of(url)) == told


@pytest.mark.parametrize(
    "url", ["", "example.org", "ftp://a", "http://", "http://a:port", "http://a:99999", "http://a/b"]
)
def test_other_urls_are_refused_with_an_example(url: str) -> None:
    """In words that say what to write."""
    with pytest.raises(CannotRate, match="for instance http://127"):
        Address.of(url)


def test_server_that_is_not_there_is_told() -> None:
    """With its address, and no exception of a library's."""
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(CannotRate, match=f"127.0.0.1:{port} does not answer"):
            Address("http", "127.0.0.1", port).ask("GET", "/")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff"])
def test_answer_that_is_no_object_is_told(body: bytes) -> None:
    """Something else may listen there."""
    with pytest.raises(CannotRate, match="JSON"):
        Answer(200, {}, body).document()
