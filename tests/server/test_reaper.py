"""The reaper frees what is over and nothing else, repeats what a crash interrupted, and only tells in a dry run."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.model import Concat, Phase
from ferryman_server.events import Event, Events
from ferryman_server.reaper import BATCH, Report, reap, run_reaper
from ferryman_server.settings import Settings
from ferryman_server.state.base import Lease, Notes, Record, StateError
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.base import StoreError, read_all
from ferryman_server.storage.local import LocalStore
from ferryman_server.unclaimed import adopt, delete_published
from tests.server.data_folder import DataFolder, data_folder, id_of, record_of

NOW = 4_000_000_000.0  # seconds: far in the future, so that files made by a test are old
TTL = 86_400.0
DATA = b"some bytes"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[DataFolder]:
    """An empty data folder."""
    async with data_folder(tmp_path / "data") as opened:
        yield opened


async def clear(folder: DataFolder, *, now: float = NOW, dry_run: bool = False, busy: str | None = None) -> Report:
    """Reap once; somebody may be at work on one upload meanwhile."""
    return await reap(
        folder.state, folder.store, now=now, orphan_ttl=TTL, dry_run=dry_run, busy=lambda upload_id: upload_id == busy
    )


async def test_an_unfinished_upload_whose_time_is_over_expires(folder: DataFolder) -> None:
    """The row says so first, then the bytes are freed; the row stays for clients to read 410."""
    upload_id = await folder.add(
        record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=NOW, filename="a\n.zip"), DATA
    )
    report = await clear(folder)
    assert (report.expired, report.freed, report.forgotten) == (1, len(DATA), 0)
    assert report.lines == [f"{upload_id} (a\\n.zip): expired", f"{upload_id}: 10 B freed"]
    assert await folder.phase(upload_id) is Phase.EXPIRED
    assert folder.files() == {}


async def test_an_upload_whose_time_is_not_over_is_left_alone(folder: DataFolder) -> None:
    """Nor is one that has no time limit."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=NOW + 1), DATA)
    await folder.add(record_of(2, Phase.EMPTY))
    report = await clear(folder)
    assert report.quiet
    assert report.lines == []
    assert folder.files() == {id_of(1): False}


async def test_a_finished_upload_never_expires(folder: DataFolder) -> None:
    """Also when something left a time in its row; and what is being published will be finished."""
    complete = await folder.add(record_of(1, Phase.COMPLETE, DATA, expires_at=1.0), DATA)
    finishing = await folder.add(record_of(2, Phase.FINISHING, DATA, length=10, expires_at=1.0), DATA)
    assert (await clear(folder)).quiet
    assert await folder.phase(complete) is Phase.COMPLETE
    assert await folder.phase(finishing) is Phase.FINISHING
    assert folder.files() == {complete: True, finishing: False}


@pytest.mark.parametrize("phase", [Phase.EMPTY, Phase.WAITING, Phase.FAILED, Phase.INVALID])
async def test_every_unfinished_phase_expires(folder: DataFolder, phase: Phase) -> None:
    """Whatever an upload came to short of being finished, its time ends."""
    upload_id = await folder.add(record_of(1, phase, expires_at=NOW - 1))
    assert (await clear(folder)).expired == 1
    assert await folder.phase(upload_id) is Phase.EXPIRED


async def test_the_row_is_removed_after_another_ttl(folder: DataFolder) -> None:
    """Counted from the expiry, so that a server that was off for a month still tells 410."""
    upload_id = await folder.add(record_of(1, Phase.EMPTY, expires_at=1.0))
    await clear(folder)
    assert (await clear(folder, now=NOW + TTL - 1)).quiet
    assert (await clear(folder, now=NOW + TTL)).forgotten == 1
    assert await folder.phase(upload_id) is None


@pytest.mark.parametrize("phase", [Phase.EXPIRED, Phase.TERMINATED])
async def test_what_a_crash_left_of_an_upload_that_is_over_is_freed(folder: DataFolder, phase: Phase) -> None:
    """The row was committed, the bytes were still there."""
    await folder.add(record_of(1, phase, DATA, length=20, at=NOW - 1), DATA)
    report = await clear(folder)
    assert (report.expired, report.freed) == (0, len(DATA))
    assert folder.files() == {}


async def test_the_published_file_of_a_deleted_upload_is_freed(folder: DataFolder) -> None:
    """It had been complete when it was deleted."""
    folder.put(id_of(1), DATA, published=True)
    await folder.add(record_of(1, Phase.TERMINATED, DATA, length=10, at=NOW - 1))
    await clear(folder)
    assert folder.files() == {}


async def test_unfinished_data_without_a_row_are_freed_when_they_are_old(folder: DataFolder) -> None:
    """A file younger than the TTL may belong to an upload whose row is just being committed."""
    folder.put(id_of(1), DATA)
    (stray,) = folder.store.strays()
    assert (await clear(folder, now=stray.modified_at + TTL - 1)).quiet
    report = await clear(folder, now=stray.modified_at + TTL)
    assert (report.orphans, report.freed) == (1, len(DATA))
    assert folder.files() == {}


async def test_a_published_file_without_a_row_is_only_reported(folder: DataFolder) -> None:
    """However old it is."""
    folder.put(id_of(1), DATA, published=True)
    report = await clear(folder)
    assert [stray.upload_id for stray in report.unclaimed] == [id_of(1)]
    assert report.freed == 0
    assert folder.files() == {id_of(1): True}


async def test_a_dry_run_tells_the_same_and_changes_nothing(folder: DataFolder) -> None:
    """The figures of the dry run are those of the real one."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=NOW), DATA)
    await folder.add(record_of(2, Phase.TERMINATED, DATA, at=NOW - TTL), DATA)
    folder.put(id_of(3), DATA)
    folder.put(id_of(4), DATA, published=True)
    before = folder.files()
    told = await clear(folder, dry_run=True)
    assert folder.files() == before
    assert await folder.phase(id_of(1)) is Phase.RECEIVING
    done = await clear(folder)
    assert replace(told, lines=[]) == replace(done, lines=[])
    assert (done.expired, done.forgotten, done.orphans, done.freed) == (1, 1, 1, 30)
    assert f"{id_of(1)}: would expire" in told.lines
    assert f"{id_of(1)}: 10 B would be freed" in told.lines


async def test_an_upload_somebody_is_at_work_on_is_left_alone(folder: DataFolder) -> None:
    """Whether it has a row or not."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=NOW), DATA)
    folder.put(id_of(2), DATA)
    report = await reap(folder.state, folder.store, now=NOW, orphan_ttl=TTL, busy=lambda upload_id: True)
    assert (report.busy, report.expired, report.orphans) == (1, 0, 0)
    assert len(folder.files()) == 2


class Overtaken(SqliteState):
    """A state in which somebody else takes each upload just after the reaper has."""

    async def save(
        self, record: Record, lease: Lease, *, content: bytes | None = None, notes: Notes | None = None
    ) -> None:
        """Let the newer lease come first."""
        await self.lease(record.upload.id)
        await super().save(record, lease)


async def test_whoever_comes_in_that_very_moment_wins(tmp_path: Path) -> None:
    """The newer lease fences the reaper, which then touches nothing."""
    async with data_folder(tmp_path) as folder:
        upload_id = await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=NOW), DATA)
    store = LocalStore(tmp_path, durability="os")
    store.open()
    state = Overtaken(tmp_path / "state.db", store_id=store.store_id)
    await state.open()
    try:
        assert (await reap(state, store, now=NOW, orphan_ttl=TTL)).expired == 0
        record = await state.get(upload_id)
    finally:
        await state.close()
    assert record is not None
    assert record.upload.phase is Phase.RECEIVING
    assert store.tail(upload_id, 0) == len(DATA)


async def test_expiry_is_told_after_its_commit(folder: DataFolder) -> None:
    """One event for each upload that expired, none for the others."""
    await folder.add(record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=NOW), DATA)
    await folder.add(record_of(2, Phase.EXPIRED, at=NOW - 1))
    events, heard = Events(), list[Event]()
    events.subscribe(heard.append)
    await reap(folder.state, folder.store, now=NOW, orphan_ttl=TTL, events=events)
    assert heard == [Event("expired", id_of(1), NOW, {"offset": 10, "length": 20})]


@pytest.mark.parametrize("needed", [False, True])
async def test_a_complete_partial_upload_expires_unless_it_is_being_assembled(folder: DataFolder, needed: bool) -> None:
    """Partial uploads live until their time is over, or until the final one that was promised has its bytes."""
    partial = await folder.add(record_of(1, Phase.COMPLETE, DATA, expires_at=NOW, concat=Concat.PARTIAL), DATA)
    if needed:
        await folder.add(record_of(2, Phase.FINISHING, length=10, concat=Concat.FINAL, parts=(1,)))
    report = await clear(folder)
    assert (report.expired, report.freed) == ((0, 0) if needed else (1, len(DATA)))
    assert folder.files() == ({partial: True} if needed else {})


class Stubborn(LocalStore):
    """A store that cannot delete one upload's data."""

    def discard(self, upload_id: str, *, published: bool = False) -> None:
        """Refuse the first upload."""
        if upload_id == id_of(1):
            raise StoreError("the file is immutable")
        super().discard(upload_id, published=published)


async def test_what_cannot_be_freed_does_not_stop_the_rest(tmp_path: Path) -> None:
    """It is told, its row stays, and the next round tries again."""
    async with data_folder(tmp_path) as folder:
        for number in (1, 2):
            await folder.add(record_of(number, Phase.EXPIRED, DATA, at=0.0), DATA)
        store = Stubborn(tmp_path, durability="os")
        report = await reap(folder.state, store, now=NOW, orphan_ttl=TTL)
        assert (report.failed, report.forgotten) == (1, 1)
        assert f"{id_of(1)}: could not be freed: the file is immutable" in report.lines
        assert await folder.phase(id_of(1)) is Phase.EXPIRED


async def test_many_rows_in_their_grace_do_not_hide_the_others(folder: DataFolder) -> None:
    """More than a batch of rows that stay due, and one behind them that has just expired."""
    for number in range(BATCH + 5):
        await folder.state.create(record_of(number, Phase.EXPIRED, at=NOW - 1, expires_at=1.0))
    await folder.add(record_of(9999, Phase.EMPTY, expires_at=NOW))
    assert (await clear(folder)).expired == 1
    assert await folder.phase(id_of(9999)) is Phase.EXPIRED


async def test_the_loop_clears_at_once_and_goes_on_after_failures(folder: DataFolder) -> None:
    """A state that is away is logged, and the next round finds it back."""
    await folder.add(record_of(1, Phase.EMPTY, expires_at=NOW))
    rounds = 0

    def clock() -> float:
        nonlocal rounds
        rounds += 1
        return NOW

    class Away(SqliteState):
        async def in_phases(self, phases: Sequence[str]) -> Sequence[Record]:
            if rounds <= 2:
                raise StateError("the database is locked")
            return await super().in_phases(phases)

    state = Away(folder.path / "state.db", store_id=folder.store.store_id)
    await state.open()
    settings = Settings(reap_interval=0.001, upload_ttl=TTL)
    events, expired = Events(), asyncio.Event()
    events.subscribe(lambda event: expired.set())
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(run_reaper(state, folder.store, settings, lambda upload_id: False, events, clock))
        try:
            await expired.wait()
            record = await state.get(id_of(1))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await state.close()
    assert logs[0]["error"] == "the database is locked"
    assert record is not None
    assert record.upload.phase is Phase.EXPIRED


async def test_adopting_makes_a_complete_upload_with_its_checksum(folder: DataFolder) -> None:
    """Its CRC is computed from the bytes, so a later verification holds."""
    folder.put(id_of(1), DATA, published=True)
    (stray,) = (await clear(folder)).unclaimed
    await adopt(folder.state, folder.store, stray, now=NOW, ttl=TTL)
    record = await folder.state.get(id_of(1))
    assert record is not None
    assert record.crc64 == record_of(1, Phase.COMPLETE, DATA).crc64
    assert (record.upload.phase, record.upload.offset, record.upload.length) == (Phase.COMPLETE, 10, 10)
    assert (await clear(folder)).quiet


async def test_deleting_published_files_is_for_those_without_a_row(folder: DataFolder) -> None:
    """Only the file that was named goes."""
    await folder.add(record_of(1, Phase.COMPLETE, DATA), DATA)
    folder.put(id_of(2), DATA, published=True)
    (stray,) = (await clear(folder)).unclaimed
    await delete_published(folder.store, stray)
    assert folder.files() == {id_of(1): True}


UPLOADS = st.lists(
    st.tuples(
        st.sampled_from(Phase),
        st.sampled_from(["no file", "unpublished", "published"]),
        st.sampled_from([None, NOW - 1, NOW + 1]),
        st.booleans(),
    ),
    max_size=6,
)


async def test_a_complete_upload_that_was_not_moved_is_moved(folder: DataFolder) -> None:
    """The server was stopped between the commit and the move. A dry run moves nothing, and neither is one touched that
    somebody is at work on."""
    folder.put(id_of(1), DATA)
    await folder.add(record_of(1, Phase.COMPLETE, DATA))
    folder.put(id_of(2), DATA)
    await folder.add(record_of(2, Phase.RECEIVING, DATA))
    for dry_run, busy in ((True, None), (False, id_of(1))):
        assert (await clear(folder, dry_run=dry_run, busy=busy)).quiet
        assert folder.files() == {id_of(1): False, id_of(2): False}
    assert (await clear(folder)).quiet
    assert folder.files() == {id_of(1): True, id_of(2): False}


async def test_a_complete_upload_that_cannot_be_moved_holds_up_nothing(folder: DataFolder) -> None:
    """Its file differs from its row: it stays where it is, for the doctor to find."""
    folder.put(id_of(1), DATA + b"more")
    folder.put(id_of(2), DATA)
    for number in (1, 2):
        await folder.add(record_of(number, Phase.COMPLETE, DATA))
    with structlog.testing.capture_logs() as logs:
        await clear(folder)
    assert [entry["upload_id"] for entry in logs] == [id_of(1)]
    assert folder.files() == {id_of(1): False, id_of(2): True}


async def test_what_an_earlier_request_left_of_a_published_upload_is_freed(folder: DataFolder) -> None:
    """A small upload came whole after a request that had broken off."""
    await folder.add(record_of(1, Phase.COMPLETE, DATA), DATA)
    folder.put(id_of(1), b"left")
    await clear(folder)
    assert folder.files() == {id_of(1): True}
    assert read_all(folder.store, id_of(1), len(DATA)) == DATA


@given(uploads=UPLOADS)
def test_nothing_that_is_alive_is_ever_touched(uploads: list[tuple[Phase, str, float | None, bool]]) -> None:
    """Whatever a folder holds: complete uploads, live ones and published files without a row keep every byte."""
    with tempfile.TemporaryDirectory() as path:
        asyncio.run(_nothing_alive_is_touched(Path(path), uploads))


async def _nothing_alive_is_touched(path: Path, uploads: list[tuple[Phase, str, float | None, bool]]) -> None:
    async with data_folder(path) as folder:
        kept = {}
        for number, (phase, file, expires_at, has_row) in enumerate(uploads):
            if file != "no file":
                folder.put(id_of(number), DATA, published=file == "published")
            if has_row:
                await folder.state.create(record_of(number, phase, DATA, expires_at=expires_at, at=NOW - 1))
            unpublished_alive = phase is Phase.COMPLETE or phase is Phase.FINISHING or expires_at != NOW - 1
            alive = phase not in (Phase.EXPIRED, Phase.TERMINATED) and unpublished_alive
            deleted = has_row and phase is Phase.TERMINATED
            if file == "published" and not deleted:
                kept[id_of(number)] = True
            elif file == "unpublished" and has_row and alive:
                kept[id_of(number)] = phase is Phase.COMPLETE  # moved to where it belongs
        await clear(folder)
        assert folder.files() == kept
