"""Small uploads: requests that end otherwise, bodies that are not small or not whole, and what follows."""

import asyncio
import gzip
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.commands import Checksum
from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase
from ferryman_protocol.problems import Refused
from ferryman_server import settling
from ferryman_server.refusals import Declined
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Settles, StoreError
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import put
from tests.server.small_rig import LENGTH, WHOLE, assert_complete, files, readable, redo
from tests.support.core import Core, Disk, Feed, ids, running, store_of, until
from tests.support.uploading import content


@pytest.fixture(params=["memory", "local"])
async def core(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Core]:
    """A running core on a store of each kind; nothing is written out unless a test does it."""
    store = store_of(request.param, tmp_path)
    async with running(Disk(tmp_path, store)) as made:
        yield made


# requests that end otherwise


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_request_knows_what_became_of_its_commit(core: Core, fails: bool) -> None:
    """The commit is carried out all the same: the content is written out then, or let go of if it failed."""
    upload_id = await core.created(LENGTH)
    save, submitted = core._sqlite.save, asyncio.Event()

    async def watched(record: Record, lease: Any, **more: Any) -> None:
        submitted.set()
        await save(record, lease, **more)

    core.house.state.__dict__["save"] = watched
    if fails:  # another process has written meanwhile, which only the transaction notices
        with closing(sqlite3.connect(core.disk.folder / "state.db", isolation_level=None)) as connection:
            connection.execute("UPDATE uploads SET fence = 1 << 60")
    appending = asyncio.create_task(core.append(upload_id, 0, Feed(WHOLE)))
    await submitted.wait()
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    core.house.state.__dict__.pop("save", None)
    assert not core.house.claims.busy(upload_id)
    assert await core.house.settler.settle()
    if fails:
        assert await core.phase(upload_id) is Phase.EMPTY
        assert len(core.house.settler) == 0
    else:
        await assert_complete(core, upload_id)
        assert files(core) == [upload_id]


async def test_a_body_that_pauses_goes_the_ordinary_way(core: Core) -> None:
    """What had arrived is stored like that of any other body, byte for byte."""
    upload_id = await core.created(LENGTH)
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    appending = asyncio.create_task(core.append(upload_id, 0, feed))
    await until(lambda: core.disk.store.tail(upload_id, 0) == 1000)
    feed.send(WHOLE[1000:])
    feed.end()
    await appending
    await assert_complete(core, upload_id)
    assert await redo(core) == {}


async def test_a_body_that_breaks_off_keeps_what_arrived(core: Core) -> None:
    """Small or not."""
    upload_id = await core.created(LENGTH)
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    feed.cut()
    with pytest.raises(Declined):
        await core.append(upload_id, 0, feed)
    assert await core.offset(upload_id) == 1000
    await core.append(upload_id, 1000, Feed(WHOLE[1000:]))
    await assert_complete(core, upload_id)


async def test_a_creation_whose_body_breaks_off_leaves_nothing(core: Core) -> None:
    """Nobody knows its URL."""
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    feed.cut()
    with pytest.raises(Declined):
        await core.create(LENGTH, feed)
    assert sum((await core.house.state.counts()).values()) == 0
    assert files(core) == []


async def test_a_small_body_that_is_awaited_gives_way_at_once(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer request does not wait for the pause to be long enough."""
    monkeypatch.setattr("ferryman_server.pouring.PAUSE", 20.0)
    upload_id = await core.created(LENGTH)
    older = asyncio.create_task(core.append(upload_id, 0, Feed(WHOLE[:1000], length=LENGTH, whole=False)))
    await until(lambda: core.house.claims.busy(upload_id))
    await asyncio.sleep(0.01)
    await asyncio.wait_for(core.append(upload_id, 0, Feed(WHOLE)), 5)
    with pytest.raises(Declined):
        await older
    await assert_complete(core, upload_id)


async def test_a_head_beside_a_small_body_disturbs_nobody(core: Core) -> None:
    """While the rest of it is awaited."""
    upload_id = await core.created(LENGTH)
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    appending = asyncio.create_task(core.append(upload_id, 0, feed))
    await asyncio.sleep(0)
    assert await core.offset(upload_id) in (0, 1000)
    feed.send(WHOLE[1000:])
    feed.end()
    await appending
    await assert_complete(core, upload_id)


async def test_what_an_earlier_request_left_is_not_part_of_it(core: Core) -> None:
    """Bytes that no commit knows of lie where the upload was received: nobody reads them any more."""
    upload_id = await core.created(LENGTH)
    put(core.disk.store, upload_id, b"left by a request that was superseded")
    await core.append(upload_id, 0, Feed(WHOLE))
    for _ in range(2):
        await assert_complete(core, upload_id)
        await core.house.settler.settle()
    assert isinstance(core.disk.store, Settles)
    core.disk.store.settle(upload_id, LENGTH)  # as the reaper's walk does
    await assert_complete(core, upload_id)
    assert files(core) == [upload_id]


# not small


@pytest.mark.parametrize("kind", ["larger", "chunked", "coded", "second half", "first half"])
async def test_what_is_not_small_and_whole_goes_the_ordinary_way(core: Core, kind: str) -> None:
    """It is complete in the end all the same."""
    whole = content(LENGTH + 1) if kind == "larger" else WHOLE
    upload_id = await core.created(len(whole))
    if kind == "coded":
        await core.append(upload_id, 0, Feed(gzip.compress(whole)), coding="gzip")
    elif kind in ("first half", "second half"):
        await core.append(upload_id, 0, Feed(whole[:100]))
        await core.append(upload_id, 100, Feed(whole[100:]))
    else:
        await core.append(upload_id, 0, Feed(whole, chunked=kind == "chunked"))
    await assert_complete(core, upload_id, whole)
    assert await redo(core) == {}


async def test_a_coded_body_as_long_as_the_upload_is_not_taken_for_it(core: Core) -> None:
    """What counts is what it decodes to, which is too much here."""
    body = gzip.compress(bytes(10_000))
    upload_id = await core.created(len(body))
    with pytest.raises(Declined):
        await core.append(upload_id, 0, Feed(body), coding="gzip")
    assert await core.phase(upload_id) in (Phase.EMPTY, Phase.RECEIVING)


async def test_a_store_that_cannot_keep_gets_files(tmp_path: Path) -> None:
    """The same request on a store that only publishes."""
    store = MemoryStore()
    async with running(Disk(tmp_path, store), quick=False) as core:
        upload_id = await core.created(LENGTH, feed=Feed(WHOLE))
        await assert_complete(core, upload_id)
        assert (files(core), await redo(core)) == ([upload_id], {})


async def test_when_too_many_wait_the_next_ones_go_the_ordinary_way(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes out here: after a moment's wait they get files of their own."""
    monkeypatch.setattr(settling, "MOST", 2)
    monkeypatch.setattr(settling, "PATIENCE", 0.05)
    uploads = [await core.created(LENGTH, feed=Feed(WHOLE)) for _ in range(4)]
    for upload_id in uploads:
        await assert_complete(core, upload_id)
    assert list(await redo(core)) == uploads[:2]
    assert sorted(files(core)) == sorted(uploads[2:])


async def test_when_too_many_wait_the_next_ones_wait_for_room(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settler makes it: none goes the ordinary way."""
    monkeypatch.setattr(settling, "MOST_BYTES", 3 * LENGTH)
    monkeypatch.setattr(settling, "PATIENCE", 20.0)
    most, keep = 0, core.house.settler.keep

    def counted(upload_id: str, data: bytes) -> None:
        nonlocal most
        keep(upload_id, data)
        most = max(most, len(core.house.settler))

    monkeypatch.setattr(core.house.settler, "keep", counted)
    run = asyncio.create_task(core.house.settler.run())
    await asyncio.gather(*(core.created(LENGTH, feed=Feed(WHOLE)) for _ in range(20)))
    assert most <= 3
    run.cancel()
    await asyncio.wait([run])
    text = core.house.metrics.render()[0].decode()
    assert "ferryman_sync_seconds_count 0.0" in text, "one of them had its file synced by itself"


# what follows


async def test_a_small_upload_is_deleted_before_it_has_a_file(core: Core) -> None:
    """Nothing of it is left anywhere, and none is made later."""
    one, other = [await core.created(LENGTH, feed=Feed(WHOLE)) for _ in range(2)]
    await core.terminate(one)
    assert await core.phase(one) is Phase.TERMINATED
    with pytest.raises(StoreError, match="missing"):
        readable(core, one, LENGTH)
    assert list(await redo(core)) == [other]
    assert await core.house.settler.settle()
    assert files(core) == [other]
    assert len(core.house.settler) == 0


async def test_room_is_given_back_whatever_becomes_of_a_request(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, broken off, deleted, written out: in the end there is room for as many as in the beginning."""
    monkeypatch.setattr(settling, "MOST", 1)
    wrong = Checksum(algorithm="sha1", digest=bytes(20))
    bad = Digests(values=(("sha-256", bytes(32)),))
    for _ in range(3):
        upload_id = await core.created(LENGTH)
        feed = Feed(b"", length=LENGTH, whole=False)
        feed.cut()
        for request in (core.append(upload_id, 0, Feed(WHOLE), checksum=wrong), core.append(upload_id, 0, feed)):
            with pytest.raises(Declined):
                await request
            assert core.house.settler.takes
        with pytest.raises(Refused):
            await core.create(LENGTH, Feed(WHOLE), repr_digests=bad)
        with pytest.raises(Declined):
            await core.append(upload_id, 0, Feed(WHOLE), repr_digests=bad)
        assert core.house.settler.takes
        upload_id = await core.created(LENGTH, feed=Feed(WHOLE))
        assert not core.house.settler.takes
        await core.house.settler.settle()
        assert core.house.settler.takes


async def test_deletions_beside_the_settler_leave_no_file(core: Core) -> None:
    """Whichever of the two comes first to each upload."""
    uploads = [await core.created(100, feed=Feed(WHOLE[:100])) for _ in range(40)]
    settling_now = asyncio.create_task(core.house.settler.settle())
    await asyncio.gather(*(core.terminate(upload_id) for upload_id in uploads))
    assert await settling_now
    assert await core.house.settler.settle()
    assert files(core) == []
    assert await redo(core) == {}


async def test_small_parts_make_a_final_upload(core: Core) -> None:
    """They are sources as soon as they are complete; a final one that waits for the last of them hears of it."""
    bodies = [b"one", b"other", b""]
    parts = [await core.created(len(body), concat=Concat.PARTIAL) for body in bodies]
    final = await core.created(concat=Concat.FINAL, parts=tuple(parts))
    for part, body in zip(parts, bodies, strict=True):
        if body:
            await core.append(part, 0, Feed(body))
    await until(lambda: final in ids(core.events, "complete"))
    assert readable(core, final, 8) == b"oneother"
    assert (await core.record(parts[0])).upload.expires_at is not None, "a partial upload lives on until its time"


async def test_a_repeated_append_to_a_small_upload_is_answered_alike(core: Core) -> None:
    """Its answer had been lost."""
    upload_id = await core.created(LENGTH)
    first = await core.append(upload_id, 0, Feed(WHOLE))
    again = await core.append(upload_id, LENGTH, Feed())
    assert again == first
