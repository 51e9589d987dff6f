"""A transfer whose store or state fails under it: the last commit stands, and is true."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.commands import Checksum
from ferryman_server.pouring import Pouring
from ferryman_server.state.base import StateError
from ferryman_server.storage.base import StoreError, StoreFull, SyncFailed
from ferryman_server.storage.memory import MemoryStore, MemoryWriter
from ferryman_server.storage.testing_rig import ONE
from tests.server.transfer_rig import LENGTH, WHOLE, Rig, accept, rigged
from tests.support.core import Disk, Feed, held, until
from tests.support.uploading import KIB


@pytest.fixture
async def weak(tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig on a store in memory that can be made to fail."""
    async with rigged(Disk(tmp_path, MemoryStore())) as made:
        yield made


def memory(rig: Rig) -> MemoryStore:
    """The rig's store, with the handles that make it fail."""
    assert isinstance(rig.store, MemoryStore)
    return rig.store


async def test_a_failed_sync_is_raised_and_the_last_commit_stands(weak: Rig) -> None:
    """Nothing is tried again on that writer, and nothing of the tail may be adopted by a later start."""
    feed = Feed(WHOLE[:100_000], length=LENGTH, whole=False)
    transfer = weak.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: transfer.record.upload.offset == 100_000)
    memory(weak).syncs_fail = True
    feed.send(WHOLE[100_000:200_000])
    with pytest.raises(SyncFailed):
        await ending
    record = await weak.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (100_000, False)
    assert weak.store.tail(ONE, 0) == 100_000


async def test_a_checkpoint_for_an_observer_never_raises(weak: Rig) -> None:
    """The failure belongs to the transfer; who asked finds the last committed offset."""
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    transfer = weak.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: weak.store.tail(ONE, 0) == 1000)
    memory(weak).syncs_fail = True
    await transfer.checkpoint()
    with pytest.raises(SyncFailed):
        await asyncio.wait_for(ending, 5)
    assert await weak.offset() == 0


async def test_a_checkpoint_behind_the_end_of_a_transfer_commits_nothing(
    weak: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for in time, but the store was let go of before it began: the bytes may be cut off by now."""
    failing = threading.Event()

    def fail(self: MemoryWriter, piece: memoryview) -> None:
        failing.wait()
        raise StoreError("the writer is dead")

    body = Pouring(length=LENGTH, idle_timeout=20.0)  # as on the wire: it ends without waiting for anything
    body.feed(WHOLE[:1000])
    transfer = weak.transfer(Feed(length=LENGTH))
    ending = asyncio.create_task(transfer.run(body, accept))
    await until(lambda: weak.store.tail(ONE, 0) == 1000)
    await transfer.checkpoint()
    body.feed(WHOLE[1000:2000])
    await until(lambda: weak.store.tail(ONE, 0) == 2000)
    monkeypatch.setattr(MemoryWriter, "write", fail)
    body.feed(WHOLE[2000:3000])
    await asyncio.sleep(0.05)
    observing = asyncio.create_task(transfer.checkpoint())
    await asyncio.sleep(0.05)
    failing.set()
    with pytest.raises(StoreError):
        await asyncio.wait_for(ending, 5)
    await observing
    memory(weak).power_cut()
    assert (await weak.offset(), weak.store.tail(ONE, 0)) == (1000, 1000)


async def test_a_failure_while_an_observer_commits_keeps_the_offset_that_was_told(
    weak: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is on the way to the state when the writer dies: what forbids the tail's adoption is written after it."""
    state, saving, free = weak.core.house.state, asyncio.Event(), asyncio.Event()
    save = state.save

    async def slowly(*args: Any, **options: Any) -> None:
        if not saving.is_set():
            saving.set()
            await free.wait()
        await save(*args, **options)

    def fail(self: MemoryWriter, piece: memoryview) -> None:
        raise SyncFailed("a mark could not be synced")

    monkeypatch.setattr(state, "save", slowly)
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    transfer = weak.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: weak.store.tail(ONE, 0) == 1000)
    observing = asyncio.create_task(transfer.checkpoint())
    await saving.wait()
    monkeypatch.setattr(MemoryWriter, "write", fail)
    feed.send(WHOLE[1000:2000])
    await asyncio.wait([ending], timeout=0.1)
    free.set()
    with pytest.raises(SyncFailed):
        await asyncio.wait_for(ending, 5)
    await observing
    record = await weak.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (1000, False)
    assert (transfer.record.upload.offset, transfer.record.adoptable) == (1000, False)


async def test_what_the_state_did_not_take_is_not_in_the_record(weak: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the state fails, too: the record says what was committed last."""
    feed = Feed(WHOLE[:100_000], length=LENGTH, whole=False)
    transfer = weak.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: transfer.record.upload.offset == 100_000)

    async def refuse(*_: Any) -> None:
        raise StateError("the database is gone")

    monkeypatch.setattr(weak.core.house.state, "save", refuse)
    memory(weak).syncs_fail = True
    feed.send(WHOLE[100_000:200_000])
    with pytest.raises(StateError):
        await asyncio.wait_for(ending, 5)
    record = await weak.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (100_000, True)
    assert (transfer.record.upload.offset, transfer.record.adoptable) == (100_000, True)


async def test_a_full_store_keeps_what_fitted(weak: Rig) -> None:
    """StoreFull is raised after what fitted has been committed."""
    memory(weak).capacity = 250_000
    feed = Feed(*(WHOLE[start : start + 100_000] for start in range(0, LENGTH, 100_000)))
    with pytest.raises(StoreFull):
        await weak.transfer(feed).run(feed.body(), accept)
    assert await weak.offset() == 200_000
    assert weak.unsafe == []


async def test_a_full_store_keeps_nothing_of_a_checksummed_body(weak: Rig) -> None:
    """All or nothing holds here too."""
    memory(weak).capacity = 250_000
    feed = Feed(*(WHOLE[start : start + 100_000] for start in range(0, LENGTH, 100_000)))
    with pytest.raises(StoreFull):
        await weak.transfer(feed, checksum=Checksum(algorithm="sha1", digest=bytes(20))).run(feed.body(), accept)
    assert await weak.offset() == 0


async def test_a_state_that_fails_moves_no_offset(weak: Rig) -> None:
    """The bytes are durable, the row is not: nothing is told, and the record says what the row says."""
    await weak.core.house.state.close()
    feed = Feed(WHOLE[:1000])
    transfer = weak.transfer(feed)
    with pytest.raises(StateError):
        await transfer.run(feed.body(), accept)
    assert transfer.record.upload.offset == 0
    assert weak.commits == []


@pytest.mark.parametrize("end", ["kill", "power cut"])
async def test_no_commit_outlives_its_bytes(weak: Rig, end: str) -> None:
    """At any checkpoint, a dying process or machine leaves at least the bytes that the row tells."""
    feed = Feed(length=LENGTH, whole=False)
    transfer = weak.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    for start in range(0, 300_000, 50_000):
        feed.send(WHOLE[start : start + 50_000])
        await until(lambda size=start + 50_000: weak.store.tail(ONE, 0) == size)  # type: ignore[misc]
    if end == "kill":
        memory(weak).kill()
    else:
        memory(weak).power_cut()
    feed.cut()
    with contextlib.suppress(Exception):
        await ending
    offset = await weak.offset()
    assert offset >= 64 * KIB
    assert held(weak.store, ONE, offset) == WHOLE[:offset]
