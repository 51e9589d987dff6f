"""What a start does about the end before it, on a store in memory and on local files."""

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.state.base import Record, StateError
from ferryman_server.state.boot import kernel_boot_id
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.base import Mark, Writer
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.local_marks import put_marks
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import ONE, OTHER, put
from tests.server.core_model import crc_of
from tests.support.core import Core, Disk, Feed, held, running, store_of
from tests.support.uploading import content

WHOLE = content(10_000)
COMMITTED, TAIL = 3000, 7000  # bytes: what a row says, and what the store holds


@pytest.fixture(params=["memory", "local"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk that outlives its processes."""
    store = store_of(request.param, tmp_path)
    yield Disk(tmp_path, store)
    store.close()


def record_of(offset: int = COMMITTED, upload_id: str = ONE, **changes: object) -> Record:
    """A row at this offset."""
    phase = Phase.RECEIVING if offset else Phase.EMPTY
    upload = Upload(id=upload_id, phase=phase, offset=offset, length=len(WHOLE))
    return Record(upload=replace(upload, **changes), crc64=crc_of(WHOLE[:offset]))  # type: ignore[arg-type]


async def left_behind(disk: Disk, record: Record, tail: int = TAIL) -> None:
    """What a process that was killed leaves: a row, and as many bytes as it had written (-1: no file)."""
    state = SqliteState(disk.folder / "state.db", store_id=disk.store.store_id)
    await state.open()
    await state.create(record)
    await state.close()
    if tail >= 0:
        put(disk.store, record.upload.id, WHOLE[:tail])


async def test_after_a_kill_the_tail_is_adopted(disk: Disk) -> None:
    """The kernel still has what the dead process wrote: its bytes count, and their checksum is continued."""
    await left_behind(disk, record_of())
    async with running(disk) as core:
        record = await core.record(ONE)
        assert (record.upload.offset, record.crc64) == (TAIL, crc_of(WHOLE[:TAIL]))
        assert record.upload.phase is Phase.RECEIVING
        await core.append(ONE, TAIL, Feed(WHOLE[TAIL:]))
        assert (await core.record(ONE)).crc64 == crc_of(WHOLE)
        assert held(disk.store, ONE, len(WHOLE)) == WHOLE


async def test_the_first_bytes_of_an_upload_are_adopted_too(disk: Disk) -> None:
    """A process that was killed before its first checkpoint leaves an empty row and a file."""
    await left_behind(disk, record_of(0))
    async with running(disk) as core:
        record = await core.record(ONE)
        assert (record.upload.phase, record.upload.offset) == (Phase.RECEIVING, TAIL)
        assert record.crc64 == crc_of(WHOLE[:TAIL])


async def test_after_a_reboot_the_row_decides(disk: Disk) -> None:
    """What lies beyond the committed offset may be anything then: it is cut off by the next append."""
    await left_behind(disk, record_of())
    async with running(disk, same_boot=False) as core:
        assert await core.offset(ONE) == COMMITTED
        await core.append(ONE, COMMITTED, Feed(WHOLE[COMMITTED:]))
        assert held(disk.store, ONE, len(WHOLE)) == WHOLE


def leave_marks(disk: Disk, *marks: Mark) -> None:
    """Beside the file, as a writer leaves them."""
    descriptor = os.open(disk.folder / "data" / "uploads" / ONE, os.O_WRONLY)
    assert put_marks(descriptor, marks)
    os.close(descriptor)


RIGHT = [Mark(size, crc_of(WHOLE[:size])) for size in (5000, 6000)]
WRONG = Mark(6500, 0)


@pytest.mark.parametrize(
    ("marks", "offset"),
    [
        (RIGHT, 6000),
        (RIGHT[::-1], 6000),
        ([RIGHT[0], WRONG], 5000),
        ([WRONG], COMMITTED),
        ([], COMMITTED),
        ([Mark(2000, crc_of(WHOLE[:2000]))], COMMITTED),  # older than the row
        ([RIGHT[0], Mark(8000, crc_of(WHOLE[:8000]))], 5000),  # its bytes are not there
        ([Mark(TAIL, crc_of(WHOLE[:TAIL]))], TAIL),
    ],
)
async def test_after_a_reboot_a_mark_proves_what_is_there(tmp_path: Path, marks: list[Mark], offset: int) -> None:
    """Bytes that no commit had told of are adopted as far as their checksum is that of a mark."""
    disk = Disk(tmp_path, store_of("local", tmp_path))
    await left_behind(disk, replace(record_of(), adoptable=False))
    leave_marks(disk, *marks)
    async with running(disk, same_boot=False) as core:
        record = await core.record(ONE)
        assert (record.upload.offset, record.crc64) == (offset, crc_of(WHOLE[:offset]))
        await core.append(ONE, offset, Feed(WHOLE[offset:]))
        assert held(disk.store, ONE, len(WHOLE)) == WHOLE


@pytest.mark.parametrize("same_boot", [True, None])
async def test_a_mark_proves_nothing_as_long_as_the_kernel_may_be_the_same(
    tmp_path: Path, same_boot: bool | None
) -> None:
    """It may still read well what a failed sync has taken."""
    disk = Disk(tmp_path, store_of("local", tmp_path))
    await left_behind(disk, replace(record_of(), adoptable=False))
    leave_marks(disk, *RIGHT)
    async with running(disk, same_boot=same_boot) as core:
        assert await core.offset(ONE) == COMMITTED


async def test_where_nobody_knows_whether_the_kernel_is_the_same_the_row_decides(disk: Disk) -> None:
    """A tail that could be adopted after a kill may be anything after a reboot."""
    await left_behind(disk, record_of())
    async with running(disk, same_boot=None) as core:
        assert await core.offset(ONE) == COMMITTED


async def test_the_tail_of_a_coded_or_checksummed_request_is_not_adopted(disk: Disk) -> None:
    """Half of such a body may be wrong: the row said so before its first byte."""
    await left_behind(disk, replace(record_of(), adoptable=False))
    async with running(disk) as core:
        assert await core.offset(ONE) == COMMITTED


@pytest.mark.parametrize("tail", [-1, 0, COMMITTED - 1])
async def test_an_upload_that_lost_acknowledged_bytes_has_failed(disk: Disk, tail: int) -> None:
    """It says how many are missing, and does not hold up the others."""
    await left_behind(disk, record_of(), tail=tail)
    await left_behind(disk, record_of(upload_id=OTHER))
    core = Core(disk)
    recovered = await core.start()
    upload = (await core.record(ONE)).upload
    assert (recovered.lost, recovered.adopted) == (1, 1)
    assert upload.phase is Phase.FAILED
    assert upload.reason is not None
    assert f"{COMMITTED} were confirmed, {max(tail, 0)} are left" in upload.reason
    assert await core.offset(OTHER) == TAIL
    await core.stop()


async def test_a_row_without_a_byte_and_without_a_file_is_fine(disk: Disk) -> None:
    """An upload that was only created has nothing to lose."""
    await left_behind(disk, record_of(0), tail=-1)
    core = Core(disk)
    recovered = await core.start()
    assert (recovered.lost, recovered.adopted, recovered.pending) == (0, 0, [])
    assert await core.offset(ONE) == 0
    await core.stop()


async def test_an_empty_upload_whose_creation_was_cut_short_is_gone_on_with(disk: Disk) -> None:
    """Its offset is its length: a tus client that asked would take it for complete, so it has to be."""
    await left_behind(disk, record_of(0, length=0), tail=-1)
    core = Core(disk)
    recovered = await core.start()
    assert [record.upload.phase for record in recovered.pending] == [Phase.FINISHING]
    await core.stop()


async def test_a_tail_that_is_too_long_is_adopted_up_to_the_length(disk: Disk) -> None:
    """Bytes beyond the length were never admitted, whoever wrote them."""
    await left_behind(disk, record_of(length=5000))
    async with running(disk) as core:
        record = await core.record(ONE)
        assert record.upload.offset == 5000
        assert record.crc64 == crc_of(WHOLE[:5000])


@pytest.mark.parametrize(("dialect", "phase"), [("tus", Phase.FINISHING), ("rufh", Phase.RECEIVING)])
async def test_a_tail_up_to_the_length_finishes_a_tus_upload_only(disk: Disk, dialect: str, phase: Phase) -> None:
    """tus: offset = length is completion. The IETF protocol: only `Upload-Complete: ?1` is, and it may have been ?0."""
    await left_behind(disk, record_of(dialect=dialect), tail=len(WHOLE))
    core = Core(disk)
    recovered = await core.start()
    record = await core.record(ONE)
    assert (record.upload.phase, record.upload.offset) == (phase, len(WHOLE))
    assert [pending.upload.id for pending in recovered.pending] == ([ONE] if phase is Phase.FINISHING else [])
    if phase is Phase.FINISHING:
        assert await core.uploads.publisher.finish_pending(ONE)
        assert await core.phase(ONE) is Phase.COMPLETE
    await core.stop()


async def test_what_was_half_way_is_handed_on(disk: Disk) -> None:
    """Publications and assemblies that did not end are told to whoever goes on with them."""
    finishing = replace(record_of(len(WHOLE)), upload=replace(record_of(len(WHOLE)).upload, phase=Phase.FINISHING))
    waiting = Upload(id=OTHER, phase=Phase.WAITING, concat=Concat.FINAL, parts=(ONE,))
    await left_behind(disk, finishing, tail=len(WHOLE))
    await left_behind(disk, Record(upload=waiting), tail=-1)
    core = Core(disk)
    recovered = await core.start()
    assert {record.upload.id for record in recovered.pending} == {ONE, OTHER}
    assert await core.phase(ONE) is Phase.FINISHING
    await core.stop()


@pytest.mark.parametrize("tail", [-1, len(WHOLE) - 1])
async def test_a_publication_whose_bytes_are_gone_has_failed(disk: Disk, tail: int) -> None:
    """What was being published and cannot be read, neither here nor there, is given up instead of tried for ever."""
    finishing = replace(record_of(len(WHOLE)), upload=replace(record_of(len(WHOLE)).upload, phase=Phase.FINISHING))
    await left_behind(disk, finishing, tail=tail)
    core = Core(disk)
    recovered = await core.start()
    assert (recovered.lost, list(recovered.pending)) == (1, [])
    assert await core.phase(ONE) is Phase.FAILED
    await core.stop()


async def test_recovering_again_changes_nothing(disk: Disk) -> None:
    """A start that was killed after it recovered leaves nothing more to do."""
    await left_behind(disk, record_of())
    async with running(disk) as core:
        first = await core.record(ONE)
    core = Core(disk)
    recovered = await core.start()
    second = await core.record(ONE)
    assert recovered.adopted == 0
    assert (second.upload, second.crc64) == (first.upload, first.crc64)
    await core.stop()


async def test_an_adopted_tail_survives_a_power_cut(tmp_path: Path) -> None:
    """Adoption syncs before it commits: a power cut right after it takes nothing away again."""
    store = MemoryStore()
    disk = Disk(tmp_path, store)
    await left_behind(disk, record_of(0), tail=-1)
    write(store.writer(ONE, 0), WHOLE[:TAIL])
    async with running(disk) as core:
        assert await core.offset(ONE) == TAIL
    store.power_cut()
    async with running(disk, same_boot=False) as core:
        assert await core.offset(ONE) == TAIL
        assert held(store, ONE, TAIL) == WHOLE[:TAIL]


async def test_a_tail_that_cannot_be_synced_is_not_adopted(tmp_path: Path) -> None:
    """The committed offset stands, and the start goes on."""
    store = MemoryStore()
    disk = Disk(tmp_path, store)
    await left_behind(disk, record_of(), tail=COMMITTED)
    write(store.writer(ONE, COMMITTED), WHOLE[COMMITTED:TAIL])
    store.syncs_fail = True
    async with running(disk) as core:
        assert await core.offset(ONE) == COMMITTED
        store.syncs_fail = False
        await core.append(ONE, COMMITTED, Feed(WHOLE[COMMITTED:]))
        assert held(store, ONE, len(WHOLE)) == WHOLE


def write(writer: Writer, data: bytes) -> None:
    """Write without a sync, as a process does that is killed next."""
    writer.write(memoryview(data))
    writer.close()


def test_this_kernel_has_a_boot_id() -> None:
    """Without one nothing would ever be adopted; it is the same each time it is read."""
    assert kernel_boot_id() == kernel_boot_id() is not None


def _id_of(number: int) -> str:
    return "abcdefghij"[number] * 26


async def test_tails_wait_for_the_disk_together(tmp_path: Path) -> None:
    """Ten thousand uploads were under way, and a slow disk takes a tenth of a second for each sync."""
    store = store_of("local", tmp_path)
    for number in range(8):
        await left_behind(Disk(tmp_path, store), record_of(upload_id=_id_of(number)))
    together = threading.Barrier(8)

    def sync(descriptor: int) -> None:
        together.wait(10)
        os.fsync(descriptor)

    slow = LocalStore(tmp_path / "data", sync=sync)
    slow.open()
    core = Core(Disk(tmp_path, slow))
    assert (await core.start()).adopted == 8
    assert {(await core.record(_id_of(number))).upload.offset for number in range(8)} == {TAIL}
    await core.stop()


async def test_a_state_that_fails_ends_the_recovery(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said as it is, and nobody goes on with the others."""
    for number in range(8):
        await left_behind(disk, record_of(upload_id=_id_of(number)))
    core = Core(disk)
    await core.open()
    state = core.house.state
    lease = state.lease

    async def fail(upload_id: str) -> object:
        if upload_id == _id_of(3):
            raise StateError("the database is gone")
        await asyncio.sleep(0.05)
        return await lease(upload_id)

    monkeypatch.setattr(state, "lease", fail)
    with pytest.raises(StateError, match="the database is gone"):
        await core.recover(same_boot=True)
    monkeypatch.undo()
    await asyncio.sleep(0.1)
    assert {(await core.record(_id_of(number))).upload.offset for number in range(8)} == {COMMITTED}
    await core.stop()
