"""The load client: it sends what it should, reads what servers may answer, and takes no wrong answer for a figure."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import CannotMeasure
from bench.load import loaded

CREATED = "HTTP/1.1 201 Created\nLocation: /files/a\nContent-Length: 0\n\n"
TAKEN = "HTTP/1.1 204 No Content\nUpload-Offset: 10\n\n"
HELD = "HTTP/1.1 200 OK\nUpload-Offset: 10\nUpload-Length: 10\nContent-Length: 10\n\n"  # HEAD: no body follows
LARGE = 64 << 20

Scripted = Callable[..., int]


def test_one_upload_is_created_sent_and_asked_for(scripted: Scripted) -> None:
    """POST, PATCH, and after the clock has stopped HEAD; the figures tell of one upload in two requests."""
    with loaded(scripted(CREATED, TAKEN, HELD), "/files/", "--count", 1, "--size", 10) as told:
        assert (told["uploads"], told["bytes"], told["wire_bytes"], told["requests"]) == (1, 10, 10, 2)
        assert told["first_path"] == "/files/a"


def test_answers_in_every_form_of_http_are_understood(scripted: Scripted) -> None:
    """Interim answers, a chunked body with trailers, an absolute Location, a server that ends each connection."""
    created = (
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 201 Created\nlocation:http://localhost:1/files/b\n"
        "Transfer-Encoding: chunked\n\n3\nabc\n4;x=y\ndefg\n0\nTrailer: x\n\n"
    )
    taken = "HTTP/1.1 204 No Content\nUpload-Offset: 10\nConnection: close\n\n"
    with loaded(scripted(created, taken, HELD), "/files/", "--count", 1, "--size", 10) as told:
        assert told["first_path"] == "/files/b"
        assert told["reconnects"] == 1


def test_creation_with_upload_is_one_request(scripted: Scripted) -> None:
    """The bytes come with the POST, and the answer must say that all of them were taken."""
    created = "HTTP/1.1 201 Created\nLocation: /files/a\nUpload-Offset: 10\nContent-Length: 0\n\n"
    with loaded(scripted(created, HELD), "/files/", "--count", 1, "--size", 10, "--with-creation") as told:
        assert told["requests"] == 1


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        pytest.param(
            ["HTTP/1.1 200 OK\nContent-Length: 0\n\n"], "expected 201, got: HTTP/1.1 200 OK", id="not created"
        ),
        pytest.param(["HTTP/1.1 201 Created\nContent-Length: 0\n\n"], "without a usable Location", id="no Location"),
        pytest.param(
            [CREATED, "HTTP/1.1 409 Conflict\nContent-Length: 12\n\nwrong offset"],
            "PATCH /files/a at 0: expected 204, got: HTTP/1.1 409 Conflict | wrong offset",
            id="refused",
        ),
        pytest.param(
            [CREATED, "HTTP/1.1 204 No Content\nUpload-Offset: 9\n\n"], "expected Upload-Offset 10, got 9", id="fewer"
        ),
        pytest.param([CREATED, None], "PATCH /files/a at 0: ", id="hung up"),
        pytest.param([CREATED, "220 mail.example\n\n"], "not an HTTP/1.1 answer", id="not HTTP"),
        pytest.param(
            [CREATED, TAKEN, "HTTP/1.1 200 OK\nUpload-Offset: 0\n\n"],
            "HEAD /files/a: expected Upload-Offset 10",
            id="lost",
        ),
    ],
)
def test_wrong_answer_ends_the_run_in_words(scripted: Scripted, answers: list[str | None], words: str) -> None:
    """Whichever answer is not the right one, it is named, and there is no figure."""
    with (
        pytest.raises(CannotMeasure) as caught,
        loaded(scripted(*answers), "/files/", "--count", 1, "--size", 10),
    ):
        pass
    assert words in str(caught.value)


def test_refusal_in_the_middle_of_a_body_is_named(scripted: Scripted) -> None:
    """A server that answers before it has read the body: its answer is told."""
    refused = "!HTTP/1.1 413 Content Too Large\nConnection: close\nContent-Length: 0\n\n"
    with (
        pytest.raises(CannotMeasure, match=r"PATCH /files/a at 0: expected 204, got: HTTP/1.1 413 Content Too Large"),
        loaded(scripted(CREATED, refused), "/files/", "--count", 1, "--size", LARGE),
    ):
        pass


def test_nobody_listens() -> None:
    """A server that is not there is said to be not there."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(CannotMeasure, match="cannot connect"), loaded(port, "/files/", "--size", 10):
            pass


def test_coding_without_a_coded_file_is_refused() -> None:
    """The client compresses nothing itself: it would be measured instead of the server."""
    with (
        pytest.raises(CannotMeasure, match="--coding needs --body"),
        loaded(1, "/files/", "--count", 1, "--size", 10, "--coding", "gzip"),
    ):
        pass


def test_heads_ask_for_the_paths_of_the_file(scripted: Scripted, tmp_path: Path) -> None:
    """Each answer's offset is compared, and the figures count requests."""
    paths = tmp_path / "paths"
    paths.write_text("/files/a\n/files/b\n")
    port = scripted(HELD, HELD, HELD)
    with loaded(port, "/files/", "--count", 3, "--size", 10, "--heads", str(paths)) as told:
        assert told["requests"] == 3
        assert told["first_path"] in ("/files/a", "/files/b")


def stored(tag: str) -> str:
    """How S3 answers a PUT."""
    return f'HTTP/1.1 200 OK\nETag: "{tag}"\nContent-Length: 0\n\n'


def puts(folder: Path, lines: str) -> list[str | int]:
    """The arguments for PUTs that are written like this; the tags go to `etags`."""
    (folder / "puts").write_text(lines)
    return ["--puts", str(folder / "puts"), "--etags", str(folder / "etags")]


def test_puts_go_to_their_paths_and_their_tags_are_kept_in_order(scripted: Scripted, tmp_path: Path) -> None:
    """Speaking S3, nobody is asked afterwards; the tags are there when the figures are."""
    arguments = puts(tmp_path, "0 10 /bucket/a?signed=1\n10 5 /bucket/b\n")
    with loaded(scripted(stored("one"), stored("two")), "/", "--count", 2, *arguments) as told:
        assert (told["uploads"], told["bytes"], told["wire_bytes"], told["requests"]) == (2, 15, 15, 2)
        assert (tmp_path / "etags").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("lines", "answer", "words"),
    [
        (
            "0 10 /a?secret\n",
            "HTTP/1.1 403 Forbidden\nContent-Length: 4\n\nwhy?",
            "PUT /a: expected 200, got: HTTP/1.1 403",
        ),
        ("0 10 /a\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "PUT /a: 200 without an ETag"),
        ("", "", "names 0 PUTs, not 1"),
        ("/a\n", "", "not a PUT: /a"),
    ],
    ids=["refused", "no tag", "too few", "nonsense"],
)
def test_wrong_put_ends_the_run_in_words(
    scripted: Scripted, tmp_path: Path, lines: str, answer: str, words: str
) -> None:
    """What signs a request is not told."""
    with (
        pytest.raises(CannotMeasure) as caught,
        loaded(scripted(answer), "/", "--count", 1, *puts(tmp_path, lines)),
    ):
        pass
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
