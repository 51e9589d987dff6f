"""An upload whose last bytes a transfer brought is complete with the commit that tells them, where the store allows."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from ferryman_protocol.commands import Checksum
from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase
from ferryman_server.body import End
from ferryman_server.storage.base import Store, StoreError, SyncFailed, read_all
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import ONE
from tests.server.core_model import crc_of
from tests.server.transfer_rig import LENGTH, WHOLE, Rig, accept, rigged
from tests.support.core import RUFH, Core, Disk, Feed, ids, running, store_of, until


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind."""
    return store_of(request.param, tmp_path)


@pytest.fixture
async def rig(store: Store, tmp_path: Path) -> AsyncIterator[Rig]:
    """An empty upload, claimed and leased, on a store that settles."""
    async with rigged(Disk(tmp_path, store)) as made:
        made.settles = True
        yield made


@pytest.fixture
async def core(store: Store, tmp_path: Path) -> AsyncIterator[Core]:
    """A running core."""
    async with running(Disk(tmp_path, store)) as made:
        yield made


def places(store: Store) -> dict[str, bool]:
    """The uploads that have a file → whether it is where published ones are."""
    return {stray.upload_id: stray.published for stray in store.strays()}


async def test_the_last_bytes_and_complete_are_one_commit(rig: Rig) -> None:
    """The row never says `finishing`, and the bytes can be read when it is told, wherever they lie."""
    feed = Feed(WHOLE)
    rig.checkpoint_size = 10 * LENGTH
    transfer = rig.transfer(feed)
    assert await transfer.run(feed.body(), accept) is End.COMPLETE
    (commit,) = rig.commits
    record = await rig.core.record(ONE)
    assert transfer.record == replace(record, fence=transfer.record.fence) == replace(commit, fence=commit.fence)
    assert (record.upload.phase, record.upload.offset, record.crc64) == (Phase.COMPLETE, LENGTH, crc_of(WHOLE))
    assert (record.upload.expires_at, record.completed_at, record.updated_at) == (None, 1000.0, 1000.0)
    assert rig.unsafe == []
    assert read_all(rig.store, ONE, LENGTH) == WHOLE


async def test_a_digest_of_the_whole_is_compared_first(rig: Rig) -> None:
    """The bytes have to be read back: that commit says `finishing`."""
    digests = Digests(values=(("sha-256", hashlib.sha256(WHOLE).digest()),))
    rig.record = replace(rig.record, repr_digests=digests)
    feed = Feed(WHOLE)
    await rig.transfer(feed).run(feed.body(), accept)
    assert await rig.core.phase(ONE) is Phase.FINISHING
    assert places(rig.store) == {ONE: False}


async def test_a_body_with_a_checksum_is_complete_and_stays_whole(rig: Rig) -> None:
    """What is cut off after a refused body is not cut off after a good one."""
    checksum = Checksum(algorithm="sha1", digest=hashlib.sha1(WHOLE).digest())
    feed = Feed(WHOLE)
    await rig.transfer(feed, checksum=checksum).run(feed.body(), accept)
    record = await rig.core.record(ONE)
    assert (record.upload.phase, record.adoptable) == (Phase.COMPLETE, True)
    assert read_all(rig.store, ONE, LENGTH) == WHOLE


async def test_a_file_that_cannot_be_moved_is_read_where_it_is(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload is complete, that is said in the log, and nobody else notices."""
    upload_id = await core.created(LENGTH)

    def fails(upload_id: str, length: int) -> None:
        raise StoreError("the folder is full")

    monkeypatch.setattr(core.disk.store, "settle", fails)
    with structlog.testing.capture_logs() as logs:
        await core.append(upload_id, 0, Feed(WHOLE))
        await core.house.mover.move()
    assert [entry["error"] for entry in logs] == ["the folder is full"]
    assert await core.phase(upload_id) is Phase.COMPLETE
    assert places(core.disk.store) == {upload_id: False}
    assert read_all(core.disk.store, upload_id, LENGTH) == WHOLE


async def test_a_last_sync_that_fails_completes_nothing(tmp_path: Path) -> None:
    """Neither row nor place change."""
    store = MemoryStore()
    async with rigged(Disk(tmp_path, store)) as rig:
        rig.settles = True
        rig.checkpoint_size = 10 * LENGTH
        store.syncs_fail = True
        feed = Feed(WHOLE)
        with pytest.raises(SyncFailed):
            await rig.transfer(feed).run(feed.body(), accept)
        assert (await rig.core.record(ONE)).upload.phase is Phase.EMPTY
        assert True not in places(store).values()


@pytest.mark.parametrize("checkpointed", [True, False])
async def test_an_ietf_upload_is_complete_by_its_last_request(store: Store, tmp_path: Path, checkpointed: bool) -> None:
    """Also when a checkpoint has committed all its bytes before the end of the body was seen."""
    async with running(Disk(tmp_path, store), checkpoint_interval=0.05 if checkpointed else 600.0) as core:
        upload_id = await core.created(dialect=RUFH)
        feed = Feed(WHOLE, length=LENGTH, whole=False)
        appending = asyncio.create_task(core.append(upload_id, 0, feed, dialect=RUFH, completes=True))
        if checkpointed:
            await until(lambda: any(event.name == "progress" for event in core.events))
            assert await core.phase(upload_id) is Phase.RECEIVING
        feed.end()
        reply = await appending
        assert dict(reply.headers)["Upload-Complete"] == "?1"
        assert await core.phase(upload_id) is Phase.COMPLETE
        assert read_all(store, upload_id, LENGTH) == WHOLE
        await core.house.mover.move()
        assert places(store) == {upload_id: True}
        assert ids(core.events, "complete") == [upload_id]


async def test_an_append_without_bytes_that_completes_is_published(core: Core) -> None:
    """Nothing was written by this request, so nobody knows what lies beyond the offset: it is looked at."""
    upload_id = await core.created(dialect=RUFH)
    await core.append(upload_id, 0, Feed(WHOLE), dialect=RUFH)
    writer = core.disk.store.writer(upload_id, LENGTH)
    writer.write(memoryview(b"what a superseded request left"))
    writer.close()
    await core.append(upload_id, LENGTH, Feed(), dialect=RUFH, completes=True)
    assert await core.phase(upload_id) is Phase.COMPLETE
    assert [(stray.published, stray.size) for stray in core.disk.store.strays()] == [(True, LENGTH)]


async def test_events_of_a_completed_upload_are_told_once(core: Core) -> None:
    """`progress` with all bytes, then `complete`."""
    upload_id = await core.created(LENGTH)
    await core.append(upload_id, 0, Feed(WHOLE))
    assert [event.name for event in core.events] == ["created", "progress", "complete"]
    assert core.events[-1].data == {"length": LENGTH}
    assert core.events[-1].upload_id == upload_id


async def test_a_large_part_lives_on_and_its_final_upload_hears_of_it(core: Core) -> None:
    """A partial upload that is complete keeps its time, and whoever waits for it alone begins."""
    part = await core.created(LENGTH, concat=Concat.PARTIAL)
    final = await core.created(concat=Concat.FINAL, parts=(part,))
    await core.append(part, 0, Feed(WHOLE))
    assert (await core.record(part)).upload.expires_at is not None
    await until(lambda: final in ids(core.events, "complete"))
    assert read_all(core.disk.store, final, LENGTH) == WHOLE


async def test_a_request_that_is_cancelled_in_its_last_commit_has_completed(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes to its end, and so do its events and the move."""
    upload_id = await core.created(LENGTH)
    save, submitted = core._sqlite.save, asyncio.Event()

    async def watched(record: object, lease: object, **more: object) -> None:
        if record.upload.phase is Phase.COMPLETE:  # type: ignore[attr-defined]
            submitted.set()
        await save(record, lease, **more)  # type: ignore[arg-type]

    monkeypatch.setitem(core.house.state.__dict__, "save", watched)
    appending = asyncio.create_task(core.append(upload_id, 0, Feed(WHOLE)))
    await submitted.wait()
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert await core.phase(upload_id) is Phase.COMPLETE
    assert ids(core.events, "complete") == [upload_id]
    await core.house.mover.move()
    assert places(core.disk.store) == {upload_id: True}
