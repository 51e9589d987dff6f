"""The SQLite state: the contract every backend keeps, and what is its own."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import settings

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state import sqlite_queries as queries
from ferryman_server.state.base import Fenced, StateError
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.sqlite_schema import DISTRUST
from ferryman_server.state.sqlite_sessions import connect
from ferryman_server.state.testing import StateMachine, StateTests
from ferryman_server.state.testing_records import advanced, new_id, new_record, walk


def make_state(place: Path) -> SqliteState:
    """The backend under test."""
    return SqliteState(place / "state.db", store_id="store")


class TestSqliteKeepsTheContract(StateTests):
    """The inherited tests."""

    def make(self, place: Path) -> SqliteState:
        """A state in a file of this folder."""
        return make_state(place)


class SqliteMachine(StateMachine):
    """The inherited machine."""

    def make(self, place: Path) -> SqliteState:
        """A state in a file of this folder."""
        return make_state(place)


TestSqliteAgainstADictionary = SqliteMachine.TestCase
TestSqliteAgainstADictionary.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


async def test_concurrent_writes_share_commits(state: SqliteState) -> None:
    """Writes asked for together end in far fewer transactions than there are writes."""
    records = [new_record() for _ in range(64)]
    await asyncio.gather(*(state.create(record) for record in records))
    leases = [leased[1] for record in records if (leased := await state.lease(record.upload.id))]
    before = state.batches
    for offset in range(1, 6):
        saves = (state.save(advanced(r, offset=offset), lease) for r, lease in zip(records, leases, strict=True))
        await asyncio.gather(*saves)
    assert state.batches - before <= 10  # 320 writes
    assert {record.upload.offset for record in await walk(state, limit=64)} == {5}


async def test_creation_that_fails_half_way_leaves_nothing(state: SqliteState) -> None:
    """A final upload whose second part cannot be stored has no row either, and its neighbours are there."""
    broken = new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=(new_id(), "\ud800"))
    sound = new_record()
    outcomes = await asyncio.gather(state.create(broken), state.create(sound), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StateError, type(None)]
    assert await walk(state, limit=10) == [sound]


async def test_leases_need_no_commit(state: SqliteState) -> None:
    """Taking the lease of an upload that nobody is writing does not touch the writer."""
    record = new_record()
    await state.create(record)
    before = state.batches
    await state.lease(record.upload.id)
    assert state.batches == before


async def test_cancelled_wait_does_not_cancel_the_write(state: SqliteState) -> None:
    """Whoever stops waiting for a write that was queued does not undo it."""
    record = new_record()
    await state.create(record)
    leased = await state.lease(record.upload.id)
    assert leased is not None
    save = asyncio.create_task(state.save(advanced(record, offset=7), leased[1]))
    await asyncio.sleep(0)
    save.cancel()
    with pytest.raises(asyncio.CancelledError):
        await save
    await state.create(new_record())  # queued behind it
    read = await state.get(record.upload.id)
    assert read is not None
    assert read.upload.offset == 7


async def test_higher_fence_in_the_row_refuses_a_save(state: SqliteState, tmp_path: Path) -> None:
    """The row has the last word: a fence above the lease's stops it even if no lease here is newer."""
    record = new_record()
    await state.create(record)
    leased = await state.lease(record.upload.id)
    assert leased is not None
    connection = connect(tmp_path / "state.db", "rw")
    connection.execute("UPDATE uploads SET fence = ?", (leased[1].fence + 1,))
    connection.close()
    with pytest.raises(Fenced):
        await state.save(record, leased[1])
    with pytest.raises(Fenced):
        await state.delete(record.upload.id, leased[1])


async def test_dropped_and_released_leases_are_forgotten(state: SqliteState) -> None:
    """The table of leases holds what is in use, not what ever was."""
    records = [new_record() for _ in range(100)]
    await asyncio.gather(*(state.create(record) for record in records))
    held = [await state.lease(record.upload.id) for record in records]
    assert len(state._leases) == 100
    for leased in held[:50]:
        assert leased is not None
        await state.release(leased[1])
    assert len(state._leases) == 50
    held.clear()
    leased = None
    assert len(state._leases) == 0


async def test_calls_before_opening_fail_in_plain_words(tmp_path: Path) -> None:
    """A state that is not open says so."""
    state = make_state(tmp_path)
    with pytest.raises(StateError, match="not open"):
        await state.get(new_id())
    with pytest.raises(StateError, match="not open"):
        await state.create(new_record())
    await state.close()


async def test_listing_reaper_and_start_use_indexes(state: SqliteState, tmp_path: Path) -> None:
    """No page sorts the whole table, the reaper looks only at what is due, and a start at what is unfinished."""
    connection = connect(tmp_path / "state.db", "rw")

    def plan_of(query: str, values: object) -> list[str]:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]  # type: ignore[arg-type]

    try:
        for query, values in ((queries.PAGE, (5,)), (queries.PAGE_AFTER, (1.0, "a", 5))):
            plan = plan_of(query, values)
            assert len(plan) == 1
            assert "uploads_by_age" in plan[0]
        plan = plan_of(queries.DUE, {"now": 1.0, "limit": 5})
        assert any("uploads_due (expires_at<?)" in step for step in plan)
        assert any("uploads_by_phase (phase=?)" in step for step in plan)
        assert not any(step.startswith("SCAN uploads") for step in plan)
        for query, phases in ((queries.in_phases([Phase.FINISHING]), ("[]",)), (DISTRUST, ())):
            plan = plan_of(query, phases)
            assert any("uploads_by_phase (phase=?)" in step for step in plan)
            assert not any(step.startswith("SCAN uploads") for step in plan)
        assert any("COVERING INDEX uploads_by_phase" in step for step in plan_of(queries.UNFINISHED, ()))
    finally:
        connection.close()
