"""Transfers into a store whose bytes become durable by themselves: what it notes is committed, come what may."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ferryman_protocol.commands import Admission, Checksum, Content
from ferryman_protocol.model import Upload
from ferryman_server.body import End
from ferryman_server.metrics import Metrics
from ferryman_server.storage.base import Mark, StoreError
from ferryman_server.storage.ledger import Noted, Notes
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import ONE
from ferryman_server.transfer import Pace, Transfer
from tests.server.transfer_rig import LENGTH, WHOLE, Rig, accept, rigged
from tests.support.core import Disk, Feed, until


class Bucket(MemoryStore):
    """A store that says what is durable when the test does; a sync of it waits until all that was written is."""

    def __init__(self) -> None:
        super().__init__()
        self.reach = self.written = self.commits = 0
        self.notes: Notes = {}
        self.told: Callable[[], None] = lambda: None
        self.changed = threading.Condition()

    def target(self, upload: Upload, created_at: float) -> str:
        """Somewhere."""
        return upload.id

    def noting_writer(
        self, upload_id: str, offset: int, fence: int, on_durable: Callable[[], None], ends_at: int | None = None
    ) -> "Bucket":
        """The store is its own writer."""
        self.told = on_durable
        return self

    def arrive(self, reach: int, notes: Notes) -> None:
        """So far it is durable, and that is to be noted."""
        with self.changed:
            self.reach, self.notes = reach, notes
            self.changed.notify_all()
        self.told()

    def write(self, piece: memoryview) -> None:
        """Bytes are on their way."""
        self.written += len(piece)

    def sync(self) -> int:
        """Wait for what is written by now."""
        target = self.written
        with self.changed:
            self.changed.wait_for(lambda: self.reach >= target, 20)
        return target

    def complete(self) -> bool:
        """The same."""
        self.sync()
        return False

    def noted(self) -> Noted:
        """As the test says; a commit is to follow."""
        return Noted(mark=Mark(self.reach, 0), notes=self.notes)

    def committed(self) -> None:
        """It did."""
        self.commits += 1

    def rest(self) -> None:
        """Nothing is held."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An upload on such a store."""
    async with rigged(Disk(tmp_path, Bucket())) as made:
        yield made


def transfer(rig: Rig, feed: Feed, interval: float, checksum: Checksum | None = None) -> tuple[Transfer, Bucket]:
    """A transfer of this body, whose bytes are to be made durable when they are `interval` seconds old."""
    store = rig.store
    assert isinstance(store, Bucket)

    async def told(record: object) -> None:
        """Nobody listens."""

    made = Transfer(
        record=rig.record,
        lease=rig.lease,
        claim=rig.claim,
        admission=Admission(
            room=LENGTH, length=LENGTH, finishes_at_length=True, completes=False, overrun_invalidates=False
        ),
        content=Content(length=feed.length, checksum=checksum),
        state=rig.core.house.state,
        store=store,
        metrics=Metrics(),
        pace=Pace(checkpoint_size=None, checkpoint_interval=interval, upload_ttl=60.0, clock=lambda: 1000.0),
        on_commit=told,
    )
    return made, store


async def half_committed(rig: Rig, notes: Notes) -> tuple[asyncio.Task[End], Bucket, Feed]:
    """A transfer that goes on; 2,000 bytes are written, and 1,000 committed with these notes."""
    feed = Feed(WHOLE[:2000], length=LENGTH, whole=False)
    made, store = transfer(rig, feed, 600.0)
    ending = asyncio.create_task(made.run(feed.body(), accept))
    await until(lambda: store.written == 2000)
    store.arrive(1000, notes)
    await until(lambda: store.commits == 1)
    return ending, store, feed


async def test_notes_without_a_new_offset_are_committed(rig: Rig) -> None:
    """A part may take the place of tails that were told already: nothing more is durable, and the books change."""
    ending, store, _ = await half_committed(rig, {"tail": "1"})
    store.arrive(1000, {"tail": None, "part": "1"})
    await until(lambda: store.commits == 2)
    assert await rig.core.house.state.notes(ONE) == {"part": "1"}
    assert await rig.offset() == 1000
    ending.cancel()
    store.arrive(LENGTH, {})
    with pytest.raises(asyncio.CancelledError):
        await ending


async def test_what_becomes_durable_behind_a_checkpoint_is_committed_while_it_waits(rig: Rig) -> None:
    """A checkpoint waits for all that is written when it looks, which may be more than when it was begun: nothing that
    the store notes meanwhile is withheld, or it might wait for that commit."""
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    made, store = transfer(rig, feed, 0.05)
    sync, looking = store.sync, threading.Event()

    def late() -> int:
        looking.wait(20)
        return sync()

    store.sync = late  # type: ignore[method-assign]
    ending = asyncio.create_task(made.run(feed.body(), accept))
    await until(lambda: store.written == 1000)
    await asyncio.sleep(0.1)  # the checkpoint has begun
    feed.send(WHOLE[1000:3000])
    await until(lambda: store.written == 3000)
    looking.set()
    store.arrive(2000, {"part": "1"})
    await until(lambda: store.commits == 1)
    assert await rig.offset() == 2000
    ending.cancel()
    store.arrive(3000, {})
    with pytest.raises(asyncio.CancelledError):
        await ending


async def test_a_newer_request_finds_the_offset_that_it_was_told(rig: Rig) -> None:
    """It wants to go on there: what becomes durable while the older one comes to its end is dropped, not committed."""
    ending, store, feed = await half_committed(rig, {"part": "1"})
    write, go_on = store.write, threading.Event()

    def slow(piece: memoryview) -> None:
        write(piece)
        go_on.wait(20)

    store.write = slow  # type: ignore[method-assign]
    feed.send(WHOLE[2000:3000])
    await until(lambda: store.written == 3000)
    await rig.supersede(1000)
    store.arrive(2000, {"part": "2"})
    await asyncio.sleep(0.05)
    go_on.set()
    assert await asyncio.wait_for(ending, 5) is End.SUPERSEDED
    assert (store.commits, await rig.offset()) == (1, 1000)


async def test_of_a_checksummed_body_all_counts_or_nothing(rig: Rig) -> None:
    """It was taken whole and its checksum is right, but the store fails when it has a part of it."""
    feed = Feed(WHOLE[:2000], length=2000)
    right = Checksum(algorithm="sha1", digest=hashlib.sha1(WHOLE[:2000]).digest())
    made, store = transfer(rig, feed, 600.0, right)

    def fail() -> int:
        store.arrive(1000, {"part": "1"})
        raise StoreError("the store is away")

    store.sync = fail  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await made.run(feed.body(), accept)
    assert (store.commits, await rig.offset()) == (0, 0)
