"""Parts of an unfinished upload are offered to whoever reads it along, from memory that comes back."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from ferryman_server.storage.ledger import LetsReadAlong
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_taps import PARTS, SHARE
from ferryman_server.storage.s3_writer import S3Writer
from tests.minio import Minio
from tests.server.storage.s3_rig import MIB, Place, committed, fill, finished, opened
from tests.support.uploading import content

UPLOAD = "a" * 26
WHOLE = content(40 * MIB, seed=5)


class Reader:
    """A tap that keeps what it is offered until it is told to let go."""

    def __init__(self) -> None:
        self.offered: list[tuple[int, bytes]] = []
        self.held: list[Callable[[], None]] = []

    def offer(self, start: int, pieces: Sequence[memoryview], release: Callable[[], None]) -> None:
        """Take it."""
        self.offered.append((start, b"".join(bytes(piece) for piece in pieces)))
        self.held.append(release)

    def let_go(self) -> None:
        """It has been read."""
        while self.held:
            self.held.pop()()


@pytest.fixture
def place(minio: Minio, bucket: str) -> Iterator[Place]:
    """A bucket, and memory for a few parts of 8 MiB."""
    made = Place(minio, bucket, memory=128 * MIB)
    made.create(UPLOAD, length=len(WHOLE))
    yield made
    made.close()


def send(place: Place, writer: S3Writer, start: int, *, commit: bool = True) -> None:
    """One part of 8 MiB, acknowledged, and committed as well."""
    fill(writer, WHOLE[start : start + 8 * MIB])
    writer.sync()
    if commit:
        committed(place, writer, UPLOAD)


def free(store: S3Store) -> int:
    """Bytes of the budget that nobody has."""
    return store._yard.memory.free


def test_committed_parts_are_offered_in_order(place: Place) -> None:
    """What is offered is what was written, part by part, and no more memory is taken than a share."""
    store, reader = place.store(), Reader()
    assert isinstance(store, LetsReadAlong)
    store.read_along(UPLOAD, reader)
    writer = opened(place, store, UPLOAD)
    for start in range(0, 32 * MIB, 8 * MIB):
        send(place, writer, start)
        assert store._yard.memory.total - free(store) <= store._yard.memory.total // SHARE + 8 * MIB
        reader.let_go()
    assert [start for start, _ in reader.offered] == [0, 8 * MIB, 16 * MIB, 24 * MIB]
    assert b"".join(piece for _, piece in reader.offered) == WHOLE[: 32 * MIB]
    fill(writer, WHOLE[32 * MIB :])
    finished(place, store, writer, UPLOAD)
    reader.let_go()
    assert free(store) == store._yard.memory.total


def test_who_does_not_let_go_is_offered_no_more(place: Place) -> None:
    """Two parts are kept for a slow reader; the others are freed as if nobody read along."""
    store, reader = place.store(), Reader()
    store.read_along(UPLOAD, reader)
    writer = opened(place, store, UPLOAD)
    for start in range(0, 32 * MIB, 8 * MIB):
        send(place, writer, start)
    assert len(reader.offered) == PARTS
    writer.close()
    reader.let_go()
    assert free(store) == store._yard.memory.total


def test_what_is_not_committed_is_not_offered(place: Place) -> None:
    """A part that was acknowledged and never committed goes back with its writer."""
    store, reader = place.store(), Reader()
    store.read_along(UPLOAD, reader)
    writer = opened(place, store, UPLOAD)
    send(place, writer, 0, commit=False)
    assert free(store) < store._yard.memory.total
    writer.close()
    assert reader.offered == []
    assert free(store) == store._yard.memory.total


def test_nobody_reads_along_and_nothing_is_kept(place: Place) -> None:
    """Without a reader, and after it has gone, a part's memory is free once it was acknowledged."""
    store, reader = place.store(), Reader()
    writer = opened(place, store, UPLOAD)
    send(place, writer, 0)
    store.read_along(UPLOAD, reader)
    store.read_along(UPLOAD, None)
    send(place, writer, 8 * MIB)
    assert reader.offered == []
    writer.close()
    assert free(store) == store._yard.memory.total


def test_a_reader_that_leaves_before_the_commit_holds_nothing(place: Place) -> None:
    """A part that was kept for somebody who is gone is freed with its commit."""
    store, reader = place.store(), Reader()
    store.read_along(UPLOAD, reader)
    writer = opened(place, store, UPLOAD)
    send(place, writer, 0, commit=False)
    store.read_along(UPLOAD, None)
    committed(place, writer, UPLOAD)
    writer.close()
    assert free(store) == store._yard.memory.total
