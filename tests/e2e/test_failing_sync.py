"""A disk that refuses to sync: nothing is told that is not durable, nothing is retried, and going on works."""

import hashlib
import sqlite3
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman_server.storage.local_marks import marks_at
from tests.support.in_process import Disk, InProcess, serving_in_process
from tests.support.process import eventually
from tests.support.raw_http import RawClient, RawResponse
from tests.support.uploading import (
    DIALECTS,
    MIB,
    Dialect,
    append,
    append_head,
    assert_whole,
    await_stored,
    content,
    create,
    create_head,
    finish,
    id_of,
    inspect,
    offset_of,
    published,
    receiving,
    stored,
)

WHOLE = content(3 * MIB)
CHECKPOINT = MIB // 4
DIGEST = f"Repr-Digest: sha-256=:{b64encode(hashlib.sha256(WHOLE).digest()).decode()}:"


@pytest.fixture
def disk() -> Disk:
    """A good disk, as long as nobody says otherwise."""
    return Disk()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder."""
    return tmp_path / "data"


@pytest.fixture
def server(data: Path, disk: Disk) -> Iterator[InProcess]:
    """A server that checkpoints each 256 KiB at the latest, and never by the clock."""
    with serving_in_process(data, disk, checkpoint_size=CHECKPOINT, checkpoint_interval=600.0) as running:
        yield running


def assert_unavailable(answer: RawResponse) -> None:
    """503 that says when to come again, as a problem document."""
    assert answer.status == 503, answer
    assert int(answer.headers["retry-after"]) > 0
    assert answer.document["type"] == "urn:ferryman:problem:storage-unavailable"


def adoptable(data: Path, path: str) -> bool:
    """Whether a start would adopt what the file holds beyond the committed offset."""
    connection = sqlite3.connect(f"file:{data / 'state.db'}?mode=ro", uri=True)
    (found,) = connection.execute("SELECT adoptable FROM uploads WHERE id = ?", (id_of(path),)).fetchone()
    connection.close()
    return bool(found)


def marks(data: Path, path: str) -> list[int]:
    """The offsets that are marked at the upload's file."""
    return [mark.offset for mark in marks_at(str(receiving(data, path)))]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_failed_sync_is_answered_503_and_moves_no_offset(server: InProcess, disk: Disk, dialect: Dialect) -> None:
    """The bytes may be gone from the page cache: they do not count, however often anybody asks."""
    path = create(server, dialect, length=len(WHOLE))
    disk.failing = True
    assert_unavailable(append(server, dialect, path, 0, WHOLE[:1000], last=False))
    for _ in range(3):
        assert offset_of(server, dialect, path) == 0
    assert disk.syncs_of(receiving(server.data, path)) == 1, "the sync was tried again"
    assert stored(server.data, path) == 0, "what may be lost was left in the file"
    disk.failing = False
    assert offset_of(server, dialect, path) == 0
    finish(server, dialect, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_last_good_mark_stands(server: InProcess, disk: Disk, dialect: Dialect) -> None:
    """A long body whose later sync fails is ended there: the offset is that of the last good one."""
    path = create(server, dialect, length=len(WHOLE))
    with RawClient(server.port) as client:
        client.send(append_head(dialect, path, 0, size=len(WHOLE)), WHOLE[:MIB])
        await_stored(server.data, path, MIB)
        eventually(lambda: max(marks(server.data, path), default=0) > MIB - CHECKPOINT)
        time.sleep(0.1)  # for a sync that is under way
        good = max(marks(server.data, path))
        before = disk.syncs_of(receiving(server.data, path))
        disk.failing = True
        client.send(WHOLE[MIB : 2 * MIB])
        assert_unavailable(client.responses()[-1])
    assert disk.syncs_of(receiving(server.data, path)) == before + 1, "the sync was tried again"
    assert offset_of(server, dialect, path) == stored(server.data, path) == good
    assert not adoptable(server.data, path)
    disk.failing = False
    finish(server, dialect, path, WHOLE)


def test_a_head_that_cannot_commit_tells_the_last_committed_offset(server: InProcess, disk: Disk) -> None:
    """A tus HEAD commits what has arrived first; when the disk refuses, it tells what was true before."""
    path = create(server, "tus", length=len(WHOLE))
    with RawClient(server.port) as client:
        client.send(append_head("tus", path, 0, size=len(WHOLE)), WHOLE[:1000])
        await_stored(server.data, path, 1000)
        assert offset_of(server, "tus", path) == 1000
        client.send(WHOLE[1000:3000])
        await_stored(server.data, path, 3000)
        disk.failing = True
        assert offset_of(server, "tus", path) == 1000
        assert_unavailable(client.responses()[-1])
    assert offset_of(server, "tus", path) == 1000
    disk.failing = False
    finish(server, "tus", path, WHOLE)


def test_a_take_over_that_cannot_commit_goes_on_from_the_last_committed_offset(server: InProcess, disk: Disk) -> None:
    """An IETF HEAD ends the transfer; the offset it tells is accepted next, whatever the disk did."""
    path = create(server, "rufh", length=len(WHOLE))
    with RawClient(server.port) as client:
        client.send(append_head("rufh", path, 0, size=len(WHOLE)), WHOLE[:1000])
        await_stored(server.data, path, 1000)
        disk.failing = True
        assert offset_of(server, "rufh", path) == 0
        assert_unavailable(client.responses()[-1])
    disk.failing = False
    assert append(server, "rufh", path, 0, WHOLE).status == 201
    assert_whole(server, path, WHOLE)


def test_a_folder_that_cannot_be_synced_hides_a_new_file(server: InProcess, disk: Disk) -> None:
    """An offset above 0 is told only after the file's entry in its folder is durable too."""
    path = create(server, "tus", length=len(WHOLE))
    disk.failing_folders = "/uploads"
    assert_unavailable(append(server, "tus", path, 0, WHOLE[:1000]))
    assert offset_of(server, "tus", path) == 0
    disk.failing_folders = None
    finish(server, "tus", path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_publication_that_fails_is_repeated_when_somebody_asks(
    server: InProcess, disk: Disk, dialect: Dialect
) -> None:
    """All bytes are durable, and their digest had to be compared; the move is not: 503 until it is, and never
    “complete” before."""
    path = create(server, dialect, DIGEST, "Content-Length: 0", length=len(WHOLE))
    assert append(server, dialect, path, 0, WHOLE[:-1], last=False).status == 204
    disk.failing_folders = "/files"
    assert_unavailable(append(server, dialect, path, len(WHOLE) - 1, WHOLE[-1:]))
    assert inspect(server, dialect, path).status == 503
    disk.failing_folders = None
    answer = inspect(server, dialect, path)
    assert (answer.status, answer.headers["upload-offset"]) == (200, str(len(WHOLE)))
    assert published(server.data, path).exists()
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_place_of_finished_files_matters_to_no_answer(server: InProcess, disk: Disk, dialect: Dialect) -> None:
    """All bytes are durable where they were received, and can be read there: the upload is complete."""
    path = create(server, dialect, length=len(WHOLE))
    disk.failing_folders = "/files"
    assert append(server, dialect, path, 0, WHOLE).status in (201, 204)
    answer = inspect(server, dialect, path)
    assert (answer.status, answer.headers["upload-offset"]) == (200, str(len(WHOLE)))
    assert_whole(server, path, WHOLE)


@pytest.mark.parametrize("failing", ["data", "publication"])
def test_a_creation_whose_sync_fails_leaves_nothing_behind(server: InProcess, disk: Disk, failing: str) -> None:
    """The URL was never told: neither a row nor a file stays."""
    disk.failing = failing == "data"
    disk.failing_folders = "/files" if failing == "publication" else None
    fields = ("Content-Type: application/offset+octet-stream", f"Content-Length: {len(WHOLE)}", DIGEST)
    with RawClient(server.port) as client:
        client.send(create_head("tus", *fields, length=len(WHOLE)), WHOLE)
        assert_unavailable(client.responses()[-1])
    assert [
        file for folder in ("uploads", "files") for file in (server.data / folder).rglob("*") if file.is_file()
    ] == []
    connection = sqlite3.connect(f"file:{server.data / 'state.db'}?mode=ro", uri=True)
    assert connection.execute("SELECT count(*) FROM uploads").fetchone() == (0,)
    connection.close()


def test_a_tail_behind_a_failed_sync_is_not_adopted_by_the_next_start(data: Path, disk: Disk) -> None:
    """Pages that a disk refused read well and mean nothing: after a restart the row decides."""
    with serving_in_process(data, disk) as server:
        path = create(server, "tus", length=len(WHOLE))
        assert append(server, "tus", path, 0, WHOLE[:500]).status == 204
        disk.failing = True
        assert_unavailable(append(server, "tus", path, 500, WHOLE[500:1000]))
        disk.failing = False
        assert not adoptable(data, path)
    with receiving(data, path).open("ab") as stream:  # as if the cut after the failed sync had failed as well
        stream.write(bytes(400))
    with serving_in_process(data, disk) as server:
        assert offset_of(server, "tus", path) == 500
        assert append(server, "tus", path, 500, WHOLE[500:1000]).status == 204
        assert adoptable(data, path), "the bytes are good again"
        finish(server, "tus", path, WHOLE)
