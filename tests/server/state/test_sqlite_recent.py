"""What the SQLite state answers from memory: the same as the database would, without asking it."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state import sqlite_queries as queries
from ferryman_server.state.base import Fenced, Lease, Record, StateError
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.sqlite_thread import BatchThread
from ferryman_server.state.testing_records import advanced, full_record, new_id, new_record, walk


def thread(which: BatchThread | None) -> BatchThread:
    """One of the state's threads."""
    assert which is not None
    return which


def hops(state: SqliteState) -> int:
    """How often anything was handed to a thread."""
    return thread(state._writer).batches + thread(state._reader).batches


async def in_database(state: SqliteState, upload_id: str) -> Record | None:
    """The row as the database has it."""
    return await thread(state._reader).submit(lambda connection: queries.fetch(connection, upload_id))


async def leased(state: SqliteState, record: Record) -> Lease:
    """A lease of the upload."""
    found = await state.lease(record.upload.id)
    assert found is not None
    return found[1]


async def test_what_was_written_is_answered_without_a_thread(state: SqliteState) -> None:
    """After a creation and a save, rows and leases cost nothing, and are what the database says."""
    record = full_record()
    await state.create(record)
    before = hops(state)
    lease = await leased(state, record)
    assert await state.get(record.upload.id) == record
    assert hops(state) == before
    await state.save(advanced(record, phase=Phase.COMPLETE, reason=None), lease)
    before = hops(state)
    found = await state.get(record.upload.id)
    await leased(state, record)
    assert hops(state) == before
    assert found == await in_database(state, record.upload.id)
    assert found == replace(advanced(record, phase=Phase.COMPLETE, reason=None), fence=lease.fence)


async def test_what_was_read_is_answered_without_a_thread(state: SqliteState, tmp_path: Path) -> None:
    """After one read of a row from before this start, the next ones cost nothing; a listing fills no memory."""
    record = new_record()
    await state.create(record)
    await state.close()
    again = SqliteState(tmp_path / "state.db", store_id="store")
    await again.open()
    try:
        await walk(again, limit=10)
        assert len(again._recent) == 0
        assert await again.get(record.upload.id) == record
        before = hops(again)
        assert await again.get(record.upload.id) == record
        assert await again.lease(record.upload.id) is not None
        assert hops(again) == before
    finally:
        await again.close()


async def test_uncommitted_save_is_not_seen(state: SqliteState) -> None:
    """Until its commit is known, a save is nothing that anybody is told."""
    record = new_record()
    await state.create(record)
    lease = await leased(state, record)
    gate = threading.Event()
    thread(state._writer).submit(lambda _: gate.wait())
    save = asyncio.create_task(state.save(advanced(record, offset=7), lease))
    await asyncio.sleep(0.02)
    assert await state.get(record.upload.id) == record
    gate.set()
    await save
    assert await state.get(record.upload.id) == replace(advanced(record, offset=7), fence=lease.fence)


async def test_lease_does_not_wait_for_commits_of_others(state: SqliteState) -> None:
    """While a commit of other rows is under way, the lease of a quiet row needs no thread."""
    record = new_record()
    await state.create(record)
    gate, entered = threading.Event(), threading.Event()
    gate.set()

    def hold(statement: str) -> None:
        if statement.startswith("INSERT INTO writes"):  # commits by itself
            entered.set()
            gate.wait()

    await thread(state._writer).submit(lambda connection: connection.set_trace_callback(hold))
    gate.clear()
    entered.clear()
    create = asyncio.create_task(state.create(new_record()))
    await asyncio.to_thread(entered.wait)
    lease = asyncio.create_task(state.lease(record.upload.id))
    await asyncio.sleep(0)
    at_once = lease.done()
    gate.set()
    await create
    assert await lease is not None
    assert at_once


async def test_lease_waits_for_writes_under_way(state: SqliteState) -> None:
    """What is in memory is no answer for a lease while a write of that row is queued."""
    record = new_record()
    await state.create(record)
    older = await leased(state, record)
    gate = threading.Event()
    thread(state._writer).submit(lambda _: gate.wait())
    save = asyncio.create_task(state.save(advanced(record, offset=7), older))
    await asyncio.sleep(0)
    lease = asyncio.create_task(state.lease(record.upload.id))
    await asyncio.sleep(0)
    gate.set()
    found = await lease
    assert found is not None
    assert found[0].upload.offset == 7
    await save


async def test_slow_read_does_not_bring_an_old_row_back(state: SqliteState) -> None:
    """A read that began before a save and ends after it answers what it saw, and is not kept."""
    record = new_record()
    await state.create(record)
    lease = await leased(state, record)
    state._recent.drop(record.upload.id)
    gate = threading.Event()
    slow = asyncio.create_task(state.get(record.upload.id))
    await asyncio.sleep(0)
    thread(state._reader).submit(lambda _: gate.wait())  # joins that read's batch: its outcome comes with this one's
    await asyncio.sleep(0.02)
    await state.save(advanced(record, offset=7), lease)
    gate.set()
    assert await slow == record
    assert await state.get(record.upload.id) == replace(advanced(record, offset=7), fence=lease.fence)


async def test_read_during_a_write_is_not_kept(state: SqliteState) -> None:
    """A read that begins while a save of its row is queued is not kept either."""
    record = new_record()
    await state.create(record)
    lease = await leased(state, record)
    state._recent.drop(record.upload.id)
    gate, passed = threading.Event(), threading.Event()
    thread(state._writer).submit(lambda _: gate.wait())
    save = asyncio.create_task(state.save(advanced(record, offset=7), lease))
    await asyncio.sleep(0)
    slow = asyncio.create_task(state.get(record.upload.id))
    await asyncio.sleep(0)
    thread(state._reader).submit(lambda _: passed.wait())
    await asyncio.sleep(0.02)
    gate.set()
    await save
    passed.set()
    assert await slow == record
    assert await state.get(record.upload.id) == replace(advanced(record, offset=7), fence=lease.fence)


async def test_cancelled_save_is_known_all_the_same(state: SqliteState) -> None:
    """Memory follows the commit, not the task that waited for it."""
    record = new_record()
    await state.create(record)
    lease = await leased(state, record)
    save = asyncio.create_task(state.save(advanced(record, offset=7), lease))
    await asyncio.sleep(0)
    save.cancel()
    with pytest.raises(asyncio.CancelledError):
        await save
    await state.create(new_record())  # queued behind it
    before = hops(state)
    assert await state.get(record.upload.id) == replace(advanced(record, offset=7), fence=lease.fence)
    assert hops(state) == before


async def test_after_a_failed_write_the_database_is_asked(state: SqliteState) -> None:
    """Whatever a refused write has left, the next answer is the row's."""
    record = new_record()
    await state.create(record)
    lease = await leased(state, record)
    with pytest.raises(StateError):
        await state.save(advanced(record, offset=101), lease)  # beyond the length
    before = hops(state)
    assert await state.get(record.upload.id) == record
    assert hops(state) == before + 1
    with pytest.raises(StateError):
        await state.create(record)
    before = hops(state)
    assert await state.get(record.upload.id) == record
    assert hops(state) == before + 1


async def test_deleted_row_is_forgotten(state: SqliteState) -> None:
    """No row is answered that is gone, and one that comes again under its id is the new one."""
    record = new_record()
    await state.create(record)
    lease = await leased(state, record)
    await state.delete(record.upload.id, lease)
    assert await state.get(record.upload.id) is None
    with pytest.raises(Fenced):
        await state.save(record, lease)
    await state.create(advanced(record, length=7))
    assert await state.get(record.upload.id) == advanced(record, length=7)


async def test_final_uploads_are_read_with_their_parts(state: SqliteState) -> None:
    """A row with parts is right from its first save to its last."""
    final = new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=(new_id(), new_id()))
    await state.create(final)
    lease = await leased(state, final)
    for reason in ("one", "two"):
        await state.save(advanced(final, reason=reason), lease)
        expected = replace(advanced(final, reason=reason), fence=lease.fence)
        assert await state.get(final.upload.id) == expected


async def test_closed_state_answers_nothing_from_memory(state: SqliteState) -> None:
    """A row in memory does not hide that the state is closed."""
    record = new_record()
    await state.create(record)
    await state.close()
    for attempt in (state.get(record.upload.id), state.lease(record.upload.id)):
        with pytest.raises(StateError):
            await attempt


async def test_save_for_another_upload_than_the_leased_is_refused(state: SqliteState) -> None:
    """A lease is the right to write one upload: a record of another one is the caller's mistake."""
    one, other = new_record(), new_record()
    await state.create(one)
    await state.create(other)
    with pytest.raises(ValueError, match=other.upload.id):
        await state.save(advanced(other, offset=9), await leased(state, one))
    assert [await state.get(record.upload.id) for record in (one, other)] == [one, other]


async def test_memory_and_database_agree_under_load(state: SqliteState) -> None:
    """Many tasks that create, take over, save, cancel and delete: in the end every answer is the database's."""
    records = [new_record() for _ in range(40)]
    await asyncio.gather(*(state.create(record) for record in records))

    async def drive(record: Record, turn: int) -> None:
        found = await state.lease(record.upload.id)
        if found is None:
            return
        row, lease = found
        for step in range(1, 4):
            save = asyncio.create_task(state.save(advanced(row, offset=row.upload.offset + step), lease))
            if (turn + step) % 3 == 0:
                await asyncio.sleep(0)
                save.cancel()
            await asyncio.gather(save, state.get(record.upload.id), return_exceptions=True)
        if turn == 5:
            await asyncio.gather(state.delete(record.upload.id, lease), return_exceptions=True)

    numbered = list(enumerate(records))
    await asyncio.gather(*(drive(record, (turn + number) % 7) for turn in range(4) for number, record in numbered))
    for record in records:
        assert await state.get(record.upload.id) == await in_database(state, record.upload.id)
