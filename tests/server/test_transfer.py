"""One request's bytes on their way into the store: checkpointed, settled, and never told before they are durable."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.commands import Checksum
from ferryman_protocol.model import Phase
from ferryman_protocol.problems import FORBIDDEN, Problem, Refused
from ferryman_server.body import Body, End
from ferryman_server.claims import Intent
from ferryman_server.decoding import Corrupt, TooLarge, Truncated
from ferryman_server.intake import Intake
from ferryman_server.state.base import Fenced
from ferryman_server.storage import local_marks
from ferryman_server.storage.base import Mark, Store
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing_rig import ONE
from tests.server.core_model import crc_of
from tests.server.transfer_rig import LENGTH, WHOLE, Rig, accept, rigged
from tests.support.core import Disk, Feed, held, store_of, until


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind."""
    return store_of(request.param, tmp_path)


@pytest.fixture
async def rig(store: Store, tmp_path: Path) -> AsyncIterator[Rig]:
    """An empty upload, claimed and leased."""
    async with rigged(Disk(tmp_path, store)) as made:
        yield made


async def test_a_whole_body_is_committed_once_it_is_there(rig: Rig) -> None:
    """Offset, checksum and phase are committed together; reaching the length finishes the upload."""
    transfer = rig.transfer(Feed(WHOLE))
    assert await transfer.run(Feed(WHOLE).body(), accept) is End.COMPLETE
    record = await rig.core.record(ONE)
    assert transfer.record == replace(record, fence=transfer.record.fence)
    assert (record.upload.phase, record.upload.offset) == (Phase.FINISHING, LENGTH)
    assert record.crc64 == crc_of(WHOLE)
    assert record.upload.expires_at == 1060.0
    assert rig.unsafe == []


async def test_a_part_is_received_and_waits_for_more(rig: Rig) -> None:
    """Short of the length the upload stays open; its checksum is that of the part."""
    feed = Feed(WHOLE[:1000])
    assert await rig.transfer(feed).run(feed.body(), accept) is End.COMPLETE
    record = await rig.core.record(ONE)
    assert (record.upload.phase, record.upload.offset, record.crc64) == (Phase.RECEIVING, 1000, crc_of(WHOLE[:1000]))


async def test_a_body_without_bytes_touches_neither_row_nor_store(rig: Rig) -> None:
    """An empty append is fine and changes nothing."""
    feed = Feed()
    assert await rig.transfer(feed).run(feed.body(), accept) is End.COMPLETE
    assert (rig.commits, rig.store.tail(ONE, 0)) == ([], -1)


async def test_each_so_many_bytes_are_committed_while_more_come(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is told when its bytes are in the store and its row is committed, the body going on."""
    monkeypatch.setattr(local_marks, "_possible", False)
    feed = Feed(length=LENGTH, whole=False)
    transfer = rig.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    for end in (100_000, 200_000, 300_000):
        feed.send(WHOLE[end - 100_000 : end])
        await until(lambda reached=end: transfer.record.upload.offset == reached)  # type: ignore[misc]
    assert not ending.done()
    feed.send(WHOLE[300_000:])
    feed.end()
    assert await ending is End.COMPLETE
    assert [commit.upload.offset for commit in rig.commits][:3] == [100_000, 200_000, 300_000]
    assert rig.unsafe == []


async def test_each_so_many_bytes_are_marked_where_the_store_can(tmp_path: Path) -> None:
    """Which costs less than a commit; the row is told by the clock, and at the end."""
    store = LocalStore(tmp_path / "data")
    store.open()
    async with rigged(Disk(tmp_path, store)) as rig:
        feed = Feed(length=LENGTH, whole=False)
        ending = asyncio.create_task(rig.transfer(feed).run(feed.body(), accept))
        for end in (100_000, 200_000, 300_000):
            feed.send(WHOLE[end - 100_000 : end])
            mark = Mark(end, crc_of(WHOLE[:end]))
            await until(lambda reached=mark: reached in store.marks(ONE))  # type: ignore[misc]
        assert rig.commits == []
        feed.send(WHOLE[300_000:])
        feed.end()
        assert await ending is End.COMPLETE
        assert await rig.offset() == LENGTH


async def test_a_trickle_is_committed_by_the_clock(rig: Rig) -> None:
    """Few bytes are safe after the interval too, not only after so many more."""
    rig.checkpoint_interval = 0.02
    feed = Feed(b"", length=LENGTH, whole=False)
    transfer = rig.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    feed.send(WHOLE[:10])
    await until(lambda: transfer.record.upload.offset == 10)
    feed.cut()
    assert await ending is End.DISCONNECTED


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_breaks_off_keeps_what_arrived(rig: Rig, chunked: bool) -> None:
    """Every byte before the end of the connection is committed."""
    feed = Feed(WHOLE[:1234], length=LENGTH, chunked=chunked, whole=False)
    feed.cut()
    assert await rig.transfer(feed).run(feed.body(), accept) is End.DISCONNECTED
    assert await rig.offset() == 1234


async def test_a_body_that_stalls_keeps_what_arrived(rig: Rig) -> None:
    """A client that says nothing for too long is given up, its bytes are not."""
    feed = Feed(WHOLE[:1234], length=LENGTH, whole=False)
    assert await rig.transfer(feed).run(feed.body(idle_timeout=0.05), accept) is End.STALLED
    assert await rig.offset() == 1234


@pytest.mark.parametrize(("wish", "kept"), [(0, 0), (1, 5000), (5000, 5000), (Intent.LOOK, 5000), (Intent.DELETE, 0)])
async def test_what_a_superseded_transfer_keeps_depends_on_the_newer_request(
    rig: Rig, wish: int | Intent, kept: int
) -> None:
    """At exactly the committed offset, or for a deletion, uncommitted bytes are dropped; else they are committed."""
    feed = Feed(WHOLE[:5000], length=LENGTH, whole=False)
    transfer = rig.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: rig.store.tail(ONE, 0) == 5000)
    await rig.supersede(wish)
    assert await asyncio.wait_for(ending, 5) is End.SUPERSEDED
    assert await rig.offset() == transfer.record.upload.offset == kept


async def test_a_transfer_that_was_superseded_before_it_began_stores_nothing(rig: Rig) -> None:
    """Its body is not even read."""
    await rig.supersede(0)
    feed = Feed(WHOLE)
    assert await rig.transfer(feed).run(feed.body(), accept) is End.SUPERSEDED
    assert (await rig.offset(), rig.store.tail(ONE, 0)) == (0, -1)


async def test_the_last_byte_of_an_uncertain_body_waits_for_its_end(rig: Rig) -> None:
    """Neither a checkpoint nor a cut brings a chunked body to the length before its end was seen."""
    feed = Feed(WHOLE, chunked=True, whole=False)
    transfer = rig.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: rig.store.tail(ONE, 0) == LENGTH - 1)
    await transfer.checkpoint()
    assert await rig.offset() == LENGTH - 1
    feed.end()
    assert await ending is End.COMPLETE
    assert await rig.core.phase(ONE) is Phase.FINISHING
    assert held(rig.store, ONE, LENGTH) == WHOLE


async def test_a_body_that_is_too_long_never_reaches_the_length(rig: Rig) -> None:
    """It is refused, and the offset stays below."""
    feed = Feed(WHOLE, b"!", chunked=True)
    with pytest.raises(TooLarge):
        await rig.transfer(feed).run(feed.body(), accept)
    assert await rig.offset() < LENGTH
    assert rig.store.tail(ONE, 0) < LENGTH


async def test_a_refused_check_commits_nothing_more(rig: Rig) -> None:
    """The check comes before the last commit: what it refuses does not finish the upload."""

    async def refuse(intake: Intake, body: Body) -> None:
        raise Refused(Problem(kind=FORBIDDEN, detail="not today"))

    feed = Feed(WHOLE[:1000])
    with pytest.raises(Refused):
        await rig.transfer(feed).run(feed.body(), refuse)
    assert await rig.offset() == 0


async def test_a_checksummed_body_is_all_or_nothing(rig: Rig) -> None:
    """No checkpoint, and no adoption after a kill, before its digest was compared."""
    checksum = Checksum(algorithm="sha1", digest=hashlib.sha1(WHOLE[:200_000]).digest())
    feed = Feed(WHOLE[:150_000], length=200_000, whole=False)
    transfer = rig.transfer(feed, checksum=checksum)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: rig.store.tail(ONE, 0) == 150_000)
    await transfer.checkpoint()
    record = await rig.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (0, False)
    feed.send(WHOLE[150_000:200_000])
    feed.end()
    assert await ending is End.COMPLETE
    record = await rig.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (200_000, True)


@pytest.mark.parametrize("ending", ["cut", "superseded"])
async def test_a_checksummed_body_that_ends_early_leaves_nothing(rig: Rig, ending: str) -> None:
    """Wherever the newer request wants to write, and although it looks like a good prefix."""
    feed = Feed(WHOLE[:1000], length=LENGTH, whole=False)
    running_transfer = asyncio.create_task(
        rig.transfer(feed, checksum=Checksum(algorithm="sha1", digest=bytes(20))).run(feed.body(), accept)
    )
    await until(lambda: rig.store.tail(ONE, 0) == 1000)
    if ending == "cut":
        feed.cut()
    else:
        await rig.supersede(Intent.LOOK)
    assert await running_transfer in (End.DISCONNECTED, End.SUPERSEDED)
    record = await rig.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (0, True), "nothing is left, so tails may be adopted again"
    assert rig.store.tail(ONE, 0) in (-1, 0), "what was refused takes no room"


async def test_a_coded_body_is_committed_at_its_end(rig: Rig) -> None:
    """The offset counts decoded bytes; a checkpoint in the middle changes nothing."""
    coded = gzip.compress(WHOLE, 1)
    feed = Feed(coded[:300_000], length=len(coded), whole=False)
    transfer = rig.transfer(feed, coding="gzip")
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: rig.store.tail(ONE, 0) > 100_000)
    await transfer.checkpoint()
    assert await rig.offset() == 0
    feed.send(coded[300_000:])
    feed.end()
    assert await ending is End.COMPLETE
    assert await rig.core.phase(ONE) is Phase.FINISHING
    assert held(rig.store, ONE, LENGTH) == WHOLE


async def test_a_coded_body_that_breaks_off_keeps_what_was_decoded(rig: Rig) -> None:
    """What came out of the decoder is good as far as it goes."""
    coded = gzip.compress(WHOLE, 1)
    feed = Feed(coded[:300_000], length=len(coded), whole=False)
    feed.cut()
    assert await rig.transfer(feed, coding="gzip").run(feed.body(), accept) is End.DISCONNECTED
    offset = await rig.offset()
    assert 100_000 < offset < LENGTH
    assert held(rig.store, ONE, offset) == WHOLE[:offset]


@pytest.mark.parametrize("damage", ["corrupt", "truncated"])
async def test_a_coded_body_that_ends_wrong_keeps_nothing(rig: Rig, damage: str) -> None:
    """A body that was sent whole and cannot be decoded whole is refused as a whole."""
    coded = gzip.compress(WHOLE, 1)
    feed = Feed(coded[:-20] if damage == "truncated" else coded[:-8] + bytes(8))
    with pytest.raises(Truncated if damage == "truncated" else Corrupt):
        await rig.transfer(feed, coding="gzip").run(feed.body(), accept)
    record = await rig.core.record(ONE)
    assert (record.upload.offset, record.adoptable) == (0, True), "nothing is left, so tails may be adopted again"
    assert rig.store.tail(ONE, 0) in (-1, 0), "what was refused takes no room"


async def test_a_checkpoint_that_was_asked_for_is_in_the_state_when_it_returns(rig: Rig) -> None:
    """A tus HEAD asks for one, and tells what it finds."""
    feed = Feed(WHOLE[:777], length=LENGTH, whole=False)
    ending = asyncio.create_task(rig.transfer(feed).run(feed.body(), accept))
    await until(lambda: rig.store.tail(ONE, 0) == 777)
    assert rig.claim.checkpoint is not None
    await asyncio.gather(*(rig.claim.checkpoint() for _ in range(3)))
    assert await rig.offset() == 777
    assert len(rig.commits) == 1
    feed.cut()
    await ending
    assert rig.claim.checkpoint is None


async def test_a_lease_that_was_passed_on_ends_the_transfer(rig: Rig) -> None:
    """Another process has the upload: nothing is committed, whatever was written."""
    await rig.core.house.state.lease(ONE)
    feed = Feed(WHOLE[:1000])
    with pytest.raises(Fenced):
        await rig.transfer(feed).run(feed.body(), accept)
    assert await rig.offset() == 0


async def test_a_cancelled_request_leaves_row_and_record_alike(rig: Rig) -> None:
    """However a task is ended, a commit under way comes to its end, and the writer is closed."""
    rig.checkpoint_interval = 0.02
    feed = Feed(WHOLE[:300_000], length=LENGTH, whole=False)
    transfer = rig.transfer(feed)
    ending = asyncio.create_task(transfer.run(feed.body(), accept))
    await until(lambda: transfer.record.upload.offset > 0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert await rig.offset() == transfer.record.upload.offset
