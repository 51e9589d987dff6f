"""The reaper in a bucket of a real MinIO: pieces that no upload consists of any more are freed, those in use never."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.reaper import SPARED, Report, reap
from ferryman_server.storage import s3_calls, s3_freeing
from ferryman_server.storage.base import read_all
from ferryman_server.storage.s3_sums import summed
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import Bucket, BucketFolder
from tests.server.data_folder import id_of, record_of
from tests.support.process import eventually

DATA = b"some bytes"
TTL = 30 * 86_400.0
TAILS = ".ferryman/tails/"


@pytest.fixture
def behind(place: Bucket, proxy: FaultProxy) -> Bucket:
    """An empty bucket, behind the proxy."""
    return replace(place, endpoint=proxy.endpoint)


@pytest.fixture
async def folder(behind: Bucket) -> AsyncIterator[BucketFolder]:
    """The same, open."""
    async with behind.folder() as opened:
        yield opened


def tails(place: Bucket) -> list[str]:
    """The keys of all tails."""
    return [key for key in place.objects() if TAILS in key]


async def clear(
    folder: BucketFolder, *, later: float = 2 * SPARED, dry_run: bool = False, busy: str | None = None
) -> Report:
    """Reap, so many seconds from now; somebody may be at work on one upload meanwhile."""
    return await reap(
        folder.state,
        folder.store,
        now=time.time() + later,
        orphan_ttl=TTL,
        dry_run=dry_run,
        busy=lambda upload_id: upload_id == busy,
    )


async def fill(folder: BucketFolder, upload_id: str, requests: int) -> None:
    """Requests that each leave a tail; from the ninth on the older ones become one."""
    for _ in range(requests):
        await folder.append(upload_id, DATA)


async def test_tails_that_were_replaced_and_not_deleted_are_freed(
    folder: BucketFolder, place: Bucket, proxy: FaultProxy
) -> None:
    """A deletion in the background has failed; what is in use goes on to be: the upload is finished with it."""
    upload_id = await folder.add(record_of(1, Phase.EMPTY, length=120))
    await fill(folder, upload_id, 8)
    with proxy.on(Operation.DELETE, do=Answer(403, "AccessDenied"), times=None) as refused:
        await fill(folder, upload_id, 3)
        await asyncio.to_thread(eventually, lambda: refused.hits == 8)
    assert len(tails(place)) == 11
    report = await clear(folder)
    assert (report.leftovers, report.freed, report.failed) == (8, 80, 0)
    assert len(tails(place)) == 3
    await folder.append(upload_id, DATA, Phase.COMPLETE)
    assert await asyncio.to_thread(read_all, folder.store, upload_id, 120) == 12 * DATA
    await asyncio.to_thread(eventually, lambda: not tails(place))


@pytest.mark.parametrize("phase", [Phase.COMPLETE, Phase.TERMINATED, Phase.EXPIRED, Phase.FAILED])
async def test_tails_that_a_killed_process_left_are_freed(folder: BucketFolder, place: Bucket, phase: Phase) -> None:
    """Whatever has become of the upload; its object, if it has one, stays."""
    await folder.add(record_of(1, phase, DATA, at=time.time()), DATA)
    if phase in (Phase.TERMINATED, Phase.EXPIRED):
        await clear(folder)  # it is over: the first round frees what its notes tell of
    before = place.objects()
    for _ in range(2):
        await folder.leave_tail(id_of(1))
    report = await clear(folder)
    assert (report.leftovers, report.freed) == (2, 8)
    assert place.objects() == before
    assert (await clear(folder)).quiet


async def test_tails_in_use_and_young_ones_stay(folder: BucketFolder, place: Bucket) -> None:
    """However old the former are; and nothing is touched of an upload that somebody is at work on."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20), DATA)
    left = await folder.leave_tail(id_of(1))
    assert (await clear(folder, later=SPARED - 60)).quiet
    assert (await clear(folder, busy=id_of(1))).quiet
    assert len(tails(place)) == 2
    assert (await clear(folder, later=TTL - 60)).leftovers == 1
    (kept,) = tails(place)
    assert kept != left


async def test_a_dry_run_tells_what_would_be_freed(folder: BucketFolder, place: Bucket) -> None:
    """The same figures, and nothing is asked of the bucket but its list."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20), DATA)
    await folder.leave_tail(id_of(1))
    told = await clear(folder, dry_run=True)
    assert len(tails(place)) == 2
    assert told.lines == [
        f"{id_of(1)}: a piece that it does not consist of any more",
        f"{id_of(1)}: 4 B would be freed",
    ]
    done = await clear(folder)
    assert (told.leftovers, told.freed) == (done.leftovers, done.freed) == (1, 4)


async def test_a_piece_that_cannot_be_deleted_holds_up_nothing(
    folder: BucketFolder, place: Bucket, proxy: FaultProxy
) -> None:
    """It is told, and tried again at the next look around."""
    for number in (1, 2):
        await folder.add(record_of(number, Phase.COMPLETE, DATA), DATA)
        await folder.leave_tail(id_of(number))
    proxy.on(Operation.DELETE, key=id_of(1), do=Answer(403, "AccessDenied"))
    report = await clear(folder)
    assert (report.failed, report.leftovers) == (1, 1)
    assert [key.split("/")[3] for key in tails(place)] == [id_of(1)]
    assert (await clear(folder)).leftovers == 1


async def test_damaged_notes_do_not_make_rubbish_of_tails(folder: BucketFolder, place: Bucket) -> None:
    """They name what is in use, even where they do not fit together."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20), DATA)
    await folder.state.note(id_of(1), {"s3.part.00001": "5 7 0 etag"})
    assert (await clear(folder)).leftovers == 0
    assert len(tails(place)) == 1


async def test_tails_without_a_row_have_a_grace_of_their_own(folder: BucketFolder, place: Bucket) -> None:
    """They may be all that is left of an upload whose database is being restored."""
    for _ in range(2):
        await folder.leave_tail(id_of(1))
    assert (await clear(folder)).quiet
    report = await clear(folder, later=TTL + 60)
    assert (report.orphans, report.leftovers, report.freed) == (2, 0, 8)
    assert tails(place) == []


async def test_what_arrives_after_all_was_freed_is_freed_once_more(
    folder: BucketFolder, place: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed server had sent it: a multipart upload, whose key nobody would know later, and an object. After that the
    bucket is not asked again."""
    upload_id = await folder.add(record_of(1, Phase.TERMINATED, at=time.time()))
    await clear(folder)
    record = await folder.state.get(upload_id)
    assert record is not None
    key = record.target or ""
    with place.client() as client:
        s3_calls.begin(client, key, {})
        s3_calls.put(client, key, DATA, len(DATA), summed([DATA]), {})
        assert (await clear(folder)).quiet
        assert len(s3_calls.open_uploads(client, key)) == 1
        monkeypatch.setattr(s3_freeing, "LATE", 0.0)
        await clear(folder)
        assert s3_calls.open_uploads(client, key) == []
    assert place.objects() == []
    proxy.log.clear()
    await reap(folder.state, folder.store, now=time.time(), orphan_ttl=TTL, look_around=False)
    assert proxy.log.counts() == {}


@pytest.mark.parametrize("phase", [Phase.EXPIRED, Phase.TERMINATED])
async def test_a_row_in_its_grace_costs_no_requests(
    folder: BucketFolder, place: Bucket, proxy: FaultProxy, phase: Phase
) -> None:
    """It is freed once; in the rounds that follow nobody asks the bucket about it, dry or not."""
    await folder.add(record_of(1, phase, DATA, length=20, at=time.time()), DATA)
    await folder.add(record_of(2, phase, at=time.time()))
    assert (await clear(folder)).freed == len(DATA)
    assert place.objects() == []
    proxy.log.clear()
    for dry_run in (False, True, False):
        report = await reap(folder.state, folder.store, now=time.time(), orphan_ttl=TTL, dry_run=dry_run)
        assert report.quiet
        assert report.freed == 0
    assert proxy.log.counts() == {Operation.LIST: 3}
    await reap(folder.state, folder.store, now=time.time(), orphan_ttl=TTL, look_around=False)
    assert proxy.log.counts() == {Operation.LIST: 3}
