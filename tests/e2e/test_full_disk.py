"""A disk without room: the client is told so with an offset that holds, and goes on when there is room again."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.process import Server, eventually
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.small_disk import can_mount, fill, lift_file_limit, on_small_disk, seen_by, with_file_limit
from tests.support.uploading import (
    DIALECTS,
    INTEROP,
    MIB,
    Dialect,
    append,
    append_head,
    assert_whole,
    content,
    create,
    create_head,
    delete,
    finish,
    inspect,
    observed,
    offset_of,
    receiving,
)

WHOLE = content(6 * MIB)
OTHER = content(3 * MIB, seed=1)
FILE_LIMIT = 4_000_001  # bytes; no multiple of a page, nor of a piece
DISK = 8 * MIB

WAYS = ["file size limit", *(["small disk"] if can_mount() else [])]
MOUNTED = [way for way in WAYS if way == "small disk"]


@contextmanager
def crowded(way: str, data: Path) -> Iterator[tuple[Server, Callable[[], None]]]:
    """A server on which WHOLE does not fit, and what makes room for it."""
    server = with_file_limit(data, FILE_LIMIT) if way == "file size limit" else on_small_disk(data, DISK)
    try:
        server.start()
        if way == "file size limit":
            yield server, lambda: lift_file_limit(server)
        else:
            other = create(server, "tus", length=len(OTHER))
            assert append(server, "tus", other, 0, OTHER).status == 204
            yield server, lambda: remove(server, other)
    finally:
        server.close()


def remove(server: Server, path: str) -> None:
    """Delete an upload and its file."""
    assert delete(server, "tus", path) == 204


def assert_full(answer: RawResponse) -> None:
    """507, as a problem document that says what to do."""
    assert answer.status == 507, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.document["type"] == "urn:ferryman:problem:storage-full"
    assert "offset" in answer.document["remedy"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_full_disk_is_told_with_an_offset_that_holds(dialect: Dialect, way: str, tmp_path: Path) -> None:
    """507; HEAD tells how much fitted, those bytes are right, and once there is room the rest completes the file."""
    with crowded(way, tmp_path / "data") as (server, make_room):
        path = create(server, dialect, length=len(WHOLE))
        answer = append(server, dialect, path, 0, WHOLE)
        assert_full(answer)
        offset = offset_of(server, dialect, path)
        assert answer.headers.get("upload-offset", str(offset)) == str(offset)
        assert MIB <= offset < len(WHOLE)
        kept = receiving(seen_by(server), path).read_bytes()
        assert kept[:offset] == WHOLE[:offset]
        assert_full(append(server, dialect, path, offset, WHOLE[offset:]))
        assert offset_of(server, dialect, path) >= offset
        make_room()
        finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("way", WAYS)
def test_a_checksummed_body_that_does_not_fit_leaves_nothing(way: str, tmp_path: Path) -> None:
    """All or nothing: the offset stays where the request began, and the same request succeeds later."""
    checksum = f"Upload-Checksum: sha1 {b64encode(hashlib.sha1(WHOLE).digest()).decode()}"
    with crowded(way, tmp_path / "data") as (server, make_room):
        path = create(server, "tus", length=len(WHOLE))
        assert_full(append(server, "tus", path, 0, WHOLE, checksum))
        assert offset_of(server, "tus", path) == 0
        make_room()
        assert append(server, "tus", path, 0, WHOLE, checksum).status == 204
        assert_whole(server, path, WHOLE)


def test_a_creation_that_does_not_fit_leaves_no_trace(tmp_path: Path) -> None:
    """tus has not told the URL yet, so the upload is freed with its 507."""
    with crowded("file size limit", tmp_path / "data") as (server, _):
        with RawClient(server.port) as client:
            size = f"Content-Length: {len(WHOLE)}"
            client.send(create_head("tus", size, "Content-Type: application/offset+octet-stream", length=len(WHOLE)))
            client.send(WHOLE)
            assert_full(client.responses()[-1])
        assert httpx.get(f"{server.url}/api/uploads").json()["uploads"] == []
        assert list((server.data / "uploads").iterdir()) == []


def test_an_ietf_creation_that_does_not_fit_can_be_gone_on_with(tmp_path: Path) -> None:
    """Its URL was told in a 104: what fitted is kept, and the 507 tells the offset."""
    with crowded("file size limit", tmp_path / "data") as (server, make_room):
        with RawClient(server.port) as client:
            client.send(head("POST", "/files/", INTEROP, "Upload-Complete: ?1", f"Content-Length: {len(WHOLE)}"))
            client.send(WHOLE)
            answers = client.responses()
        assert_full(answers[-1])
        path = answers[0].headers["location"]
        offset = offset_of(server, "rufh", path)
        assert answers[-1].headers["upload-offset"] == str(offset) != "0"
        make_room()
        finish(server, "rufh", path, WHOLE)


def test_a_kill_on_a_full_disk_keeps_what_fitted(tmp_path: Path) -> None:
    """A start on a disk that is still full adopts what is there, and invents nothing."""
    with crowded("file size limit", tmp_path / "data") as (server, make_room):
        path = create(server, "tus", length=len(WHOLE))
        with RawClient(server.port) as client:
            client.send(append_head("tus", path, 0, size=len(WHOLE)), WHOLE)
            assert_full(client.responses()[-1])
        offset = offset_of(server, "tus", path)
        server.kill()
        server.restart()
        assert offset_of(server, "tus", path) == offset
        make_room()
        finish(server, "tus", path, WHOLE)


@pytest.mark.parametrize("_", MOUNTED)
def test_a_commit_that_does_not_fit_moves_no_offset(_: str, tmp_path: Path) -> None:
    """The bytes fit into the file's last block, the row does not fit into the database: 503, and nothing was told."""
    whole, part = WHOLE[:2000], 100
    server = on_small_disk(tmp_path / "data", DISK)
    try:
        server.start()
        path = create(server, "tus", length=len(whole))
        assert append(server, "tus", path, 0, whole[:part]).status == 204
        ballast = fill(seen_by(server))
        for _round in range(2):
            refused = append(server, "tus", path, part, whole[part : 2 * part])
            assert (refused.status, refused.headers["retry-after"]) == (503, "5"), refused
            assert refused.document["type"] == "urn:ferryman:problem:storage-unavailable"
            assert offset_of(server, "tus", path) == observed(server, path) == part
        assert inspect(server, "tus", path).status == 200
        with RawClient(server.port) as client:
            client.send(create_head("tus", length=5))
            assert client.responses()[-1].status == 503
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        ballast.unlink()
        eventually(lambda: append(server, "tus", path, part, whole[part:]).status == 204)
        assert_whole(server, path, whole)
    finally:
        server.close()
