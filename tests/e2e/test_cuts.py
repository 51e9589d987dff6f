"""Connections that end in the middle of a body, by FIN and by RST: what arrived is kept, and can be gone on from."""

import gzip
import hashlib
import random
from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest

from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, chunked, head
from tests.support.uploading import (
    DIALECTS,
    INTEROP,
    TUS,
    Dialect,
    append_head,
    assert_whole,
    await_stored,
    content,
    create,
    create_head,
    finish,
    observed,
    offset_of,
    published,
    receiving,
)

WHOLE = content(1_000_000)
PART = 300_000  # bytes that are sent before the cut
FRAMINGS = ("content-length", "chunked")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that commits nothing by the clock, so that a commit is the cut's."""
    with serving(tmp_path_factory.mktemp("cuts") / "data", "--checkpoint-interval", "10min") as running:
        yield running


def begin(server: Server, dialect: Dialect, framing: str, path: str, offset: int = 0) -> RawClient:
    """A connection on which an append of everything from `offset` on has begun."""
    client = RawClient(server.port)
    size = len(WHOLE) - offset if framing == "content-length" else None
    client.send(append_head(dialect, path, offset, size=size))
    return client


def framed(framing: str, *pieces: bytes) -> bytes:
    """A part of a body in the form that the head announced, without an end."""
    return b"".join(pieces) if framing == "content-length" else chunked(*pieces, last=False)


def uploads(server: Server) -> set[str]:
    """The paths of all uploads there are."""
    return {upload["url"] for upload in httpx.get(f"{server.url}/api/uploads").json()["uploads"]}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_byte_before_a_fin_is_kept(server: Server, dialect: Dialect, framing: str) -> None:
    """The offset after a FIN is the number of bytes that were sent, neither more nor less."""
    path = create(server, dialect, length=len(WHOLE))
    with begin(server, dialect, framing, path) as client:
        client.send(framed(framing, WHOLE[:PART]))
        client.half_close()
        eventually(lambda: observed(server, path) == PART)
    assert offset_of(server, dialect, path) == PART
    finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_was_read_before_a_reset_is_kept(server: Server, dialect: Dialect, framing: str) -> None:
    """After a RST the offset covers all that the server had read, and nothing that was not sent."""
    path = create(server, dialect, length=len(WHOLE))
    with begin(server, dialect, framing, path) as client:
        client.send(framed(framing, WHOLE[:PART]))
        await_stored(server.data, path, PART)
        client.send(framed(framing, WHOLE[PART : 2 * PART]))
        client.reset()
    eventually(lambda: observed(server, path) >= PART)
    assert PART <= offset_of(server, dialect, path) <= 2 * PART
    finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_cut_before_the_first_byte_changes_nothing(server: Server, dialect: Dialect) -> None:
    """A head whose body never comes leaves the offset where it was."""
    path = create(server, dialect, length=len(WHOLE))
    with begin(server, dialect, "content-length", path) as client:
        client.half_close()
        client.rest()
    assert offset_of(server, dialect, path) == 0
    finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_bytes_of_a_chunk_that_was_cut_are_kept(server: Server, dialect: Dialect) -> None:
    """A chunk need not be whole for its bytes to count; its size line and the next one's are none of them."""
    path = create(server, dialect, length=len(WHOLE))
    with begin(server, dialect, "chunked", path) as client:
        client.send(chunked(WHOLE[:1000], last=False), b"fff0\r\n", WHOLE[1000:5000])
        client.half_close()
        eventually(lambda: observed(server, path) == 5000)
    with begin(server, dialect, "chunked", path, 5000) as client:
        client.send(chunked(WHOLE[5000:7000], last=False), b"3e")  # within the next size line
        client.half_close()
        eventually(lambda: observed(server, path) == 7000)
    finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_chunked_body_without_its_end_lacks_its_last_byte(server: Server, dialect: Dialect) -> None:
    """As long as the body's end was not seen it may still be too long: the last byte waits for it."""
    path = create(server, dialect, length=len(WHOLE))
    with begin(server, dialect, "chunked", path) as client:
        client.send(chunked(WHOLE, last=False))
        client.half_close()
        eventually(lambda: observed(server, path) == len(WHOLE) - 1)
    finish(server, dialect, path, WHOLE)


def test_an_over_long_body_that_is_cut_never_reaches_the_length(server: Server) -> None:
    """413 or a cut: whichever comes first, the upload is not complete, and the right bytes still complete it."""
    path = create(server, "tus", length=len(WHOLE))
    with begin(server, "tus", "chunked", path) as client:
        client.send(chunked(WHOLE, b"too much", last=False))
        client.half_close()
        client.rest()
    assert offset_of(server, "tus", path) < len(WHOLE)
    finish(server, "tus", path, WHOLE)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_creation_whose_location_was_never_told_is_freed(server: Server, framing: str) -> None:
    """tus tells the URL in the final answer only: without it nobody can go on, so nothing is kept."""
    before = uploads(server)
    size = f"Content-Length: {len(WHOLE)}" if framing == "content-length" else "Transfer-Encoding: chunked"
    with RawClient(server.port) as client:
        client.send(create_head("tus", size, "Content-Type: application/offset+octet-stream", length=len(WHOLE)))
        client.send(framed(framing, WHOLE[:PART]))
        eventually(lambda: len(uploads(server)) > len(before))
        (path,) = uploads(server) - before
        await_stored(server.data, path, PART)
        client.half_close()
        eventually(lambda: uploads(server) == before)
    eventually(lambda: not receiving(server.data, path).exists())


def test_a_creation_of_a_client_without_interim_answers_is_freed_too(server: Server) -> None:
    """A client of the final RFC names no interop version, gets no 104, and so never learns the URL."""
    before = uploads(server)
    with RawClient(server.port) as client:
        client.send(head("POST", "/files/", "Upload-Complete: ?1", f"Content-Length: {len(WHOLE)}"), WHOLE[:PART])
        eventually(lambda: len(uploads(server)) > len(before))
        client.reset()
    eventually(lambda: uploads(server) == before)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_creation_whose_location_was_told_in_a_104_is_kept(server: Server, framing: str) -> None:
    """The IETF protocol tells the URL at once: what came before the cut is there to go on from."""
    size = f"Content-Length: {len(WHOLE)}" if framing == "content-length" else "Transfer-Encoding: chunked"
    with RawClient(server.port) as client:
        client.send(head("POST", "/files/", INTEROP, "Upload-Complete: ?1", size))
        told = client.response()
        assert told.status == 104
        path = told.headers["location"]
        client.send(framed(framing, WHOLE[:PART]))
        client.half_close()
        eventually(lambda: observed(server, path) == PART)
    finish(server, "rufh", path, WHOLE)


def test_a_coded_body_that_is_cut_keeps_what_was_decoded(server: Server) -> None:
    """tus counts decoded bytes: those that could be decoded before the cut are kept, and no others."""
    path = create(server, "tus", length=len(WHOLE))
    coded = gzip.compress(WHOLE, 1)
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, "Content-Encoding: gzip", size=len(coded)), coded[: len(coded) // 2])
        client.half_close()
        eventually(lambda: observed(server, path) > 0)
    assert 0.4 * len(WHOLE) < offset_of(server, "tus", path) < 0.6 * len(WHOLE)
    finish(server, "tus", path, WHOLE)


def test_a_checksummed_body_that_is_cut_leaves_nothing(server: Server) -> None:
    """A checksum is all or nothing: the offset stays at the start of the request."""
    path = create(server, "tus", length=len(WHOLE))
    checksum = f"Upload-Checksum: sha1 {b64encode(hashlib.sha1(WHOLE).digest()).decode()}"
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, checksum, size=len(WHOLE)), WHOLE[:PART])
        await_stored(server.data, path, PART)
        client.half_close()
        client.rest()
    assert offset_of(server, "tus", path) == 0
    finish(server, "tus", path, WHOLE)


@pytest.mark.parametrize("seed", [1, 2])
def test_cuts_anywhere_never_spoil_an_upload(server: Server, seed: int) -> None:
    """Ten cuts at random bytes, by FIN or RST, in either framing and either protocol, and the file is right."""
    chance = random.Random(seed)
    path = create(server, chance.choice(DIALECTS), length=len(WHOLE))
    known = 0
    for _ in range(10):
        dialect, framing = chance.choice(DIALECTS), chance.choice(FRAMINGS)
        offset = offset_of(server, dialect, path)
        assert offset >= known, f"seed {seed}: the offset went back from {known} to {offset}"
        known = offset
        sent = chance.randint(1, (len(WHOLE) - offset) // 3)
        with begin(server, dialect, framing, path, offset) as client:
            client.send(framed(framing, WHOLE[offset : offset + sent]))
            chance.choice([client.half_close, client.reset])()
    finish(server, "rufh", path, WHOLE)


def test_a_cut_after_the_last_byte_leaves_a_complete_upload(server: Server) -> None:
    """A client that is gone before it can read its answer finds the upload complete."""
    path = create(server, "tus", length=len(WHOLE))
    with begin(server, "tus", "content-length", path) as client:
        client.send(WHOLE)
        client.half_close()
    eventually(lambda: published(server.data, path).exists())
    eventually(lambda: httpx.get(server.url + path).status_code == 200)
    assert_whole(server, path, WHOLE)


def test_tus_head_tells_the_same_after_a_cut_as_before_it(server: Server) -> None:
    """An offset that HEAD told while the body was coming holds when the connection is gone."""
    path = create(server, "tus", length=len(WHOLE))
    with begin(server, "tus", "content-length", path) as client:
        client.send(WHOLE[:PART])
        await_stored(server.data, path, PART)
        told = offset_of(server, "tus", path)
        client.reset()
    assert told == PART
    assert offset_of(server, "tus", path) == told
    finish(server, "tus", path, WHOLE)


def test_the_protocol_fields_of_a_cut_upload_are_those_of_any_other(server: Server) -> None:
    """After a cut the upload has its length and its expiry, in tus' fields as well."""
    path = create(server, "rufh", length=len(WHOLE))
    with begin(server, "rufh", "content-length", path) as client:
        client.send(WHOLE[:PART])
        client.half_close()
        eventually(lambda: observed(server, path) == PART)
    with RawClient(server.port) as client:
        client.send(head("HEAD", path, TUS))
        fields = client.response(to_head=True).headers
    assert (fields["upload-offset"], fields["upload-length"]) == (str(PART), str(len(WHOLE)))
    assert "upload-expires" in fields


def test_no_file_is_left_over(server: Server) -> None:
    """Every file that is being received belongs to an upload; this runs last, after all the cuts above."""
    known = {path.rpartition("/")[2] for path in uploads(server)}
    left = {file.name for file in (server.data / "uploads").iterdir()}
    assert left <= known
