"""Many writes, few statements, and the log that they fill."""

import asyncio
import itertools
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state import sqlite_sessions
from ferryman_server.state.base import Fenced, Lease, Record, StateError
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.sqlite_sessions import FOLD_AFTER, connect
from ferryman_server.state.sqlite_thread import BatchThread, Work
from ferryman_server.state.sqlite_writes import ROWS_A_STATEMENT, STATEMENTS, Insert, Update, run_together, steps
from ferryman_server.state.testing_records import advanced, new_id, new_record, walk


def writer(state: SqliteState) -> BatchThread:
    """The thread that writes."""
    assert state._writer is not None
    return state._writer


async def statements(state: SqliteState) -> list[str]:
    """The statements that the writer runs from here on, as they come."""
    seen: list[str] = []
    await writer(state).submit(lambda connection: connection.set_trace_callback(seen.append))
    return seen


async def leases_of(state: SqliteState, records: list[Record]) -> list[Lease]:
    """A lease of each upload."""
    return [leased[1] for record in records if (leased := await state.lease(record.upload.id))]


async def test_writes_of_a_batch_are_one_statement(state: SqliteState) -> None:
    """Thirty creations and thirty saves with contents that come together are one statement, which commits by itself."""
    seen, expected = await write_together(state, 30)
    assert verbs(seen) == ["COMMIT", "INSERT"]
    assert sorted([upload_id for upload_id, _ in await state.redo(100)]) == expected


async def test_writes_of_a_large_batch_are_one_transaction(state: SqliteState) -> None:
    """What does not fit into one statement is several, and one commit."""
    seen, expected = await write_together(state, ROWS_A_STATEMENT)
    assert verbs(seen) == ["COMMIT", "BEGIN", "INSERT", "INSERT", "COMMIT"]
    assert sorted([upload_id for upload_id, _ in await state.redo(200)]) == expected


async def write_together(state: SqliteState, count: int) -> tuple[list[str], list[str]]:
    """Complete so many uploads and create as many complete ones, all at once. Returns the statements and the ids."""
    records = [new_record() for _ in range(count)]
    await asyncio.gather(*(state.create(record) for record in records))
    leases = await leases_of(state, records)
    seen = await statements(state)
    fresh = [new_record(phase=Phase.COMPLETE) for _ in range(count)]
    dones = [advanced(record, phase=Phase.COMPLETE) for record in records]
    saves = (state.save(done, lease, content=b"1") for done, lease in zip(dones, leases, strict=True))
    await asyncio.gather(*saves, *(state.create(record, content=b"2") for record in fresh))
    return seen, sorted(record.upload.id for record in (*records, *fresh))


def verbs(seen: list[str]) -> list[str]:
    """What each statement does; a trigger says its statement again for each row."""
    return [text.split()[0] for text, _ in itertools.groupby(seen)]


async def test_an_upload_is_written_twice_by_one_statement(state: SqliteState) -> None:
    """A save that was asked for behind the creation of its row finds it there, and replaces its content."""
    record = new_record(phase=Phase.COMPLETE)
    lease = Lease(upload_id=record.upload.id, fence=1)
    works: list[Work[Any]] = [Insert(record, b"first"), Update(advanced(record), lease, b"second")]
    assert len(steps(works)) == 1
    await writer(state).submit(lambda connection: run_together(connection, works))
    assert await state.get(record.upload.id) == replace(record, fence=1)
    assert list(await state.redo(10)) == [(record.upload.id, b"second")]


def test_prepared_statements_fit_their_cache() -> None:
    """As many statements as there can be of each length are kept by the driver."""
    assert STATEMENTS >= ROWS_A_STATEMENT + 32


async def test_one_refused_row_spoils_no_other(state: SqliteState) -> None:
    """Whatever is wrong with one write of a batch, the driver's refusal included, the others are committed."""
    records = [new_record() for _ in range(8)]
    await asyncio.gather(*(state.create(record) for record in records))
    leases = await leases_of(state, records)
    saves = [state.save(advanced(record, offset=9), lease) for record, lease in zip(records, leases, strict=True)]
    saves[3].close()
    saves[3] = state.save(advanced(records[3], offset=101), leases[3])  # beyond its length
    final = new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=(new_id(), "\ud800"))
    sound = new_record(phase=Phase.COMPLETE)
    outcomes = await asyncio.gather(
        *saves,
        state.create(records[0]),
        state.create(new_record(offset=1 << 63, length=None)),
        state.create(final),
        state.create(sound, content=b"sound"),
        return_exceptions=True,
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [
        *[type(None)] * 3,
        StateError,
        *[type(None)] * 4,
        StateError,
        StateError,
        StateError,
        type(None),
    ]
    assert "already" in str(outcomes[8])
    assert sorted(read.upload.offset for read in await walk(state, limit=100)) == [0, 0, *[9] * 7]
    assert list(await state.redo(10)) == [(sound.upload.id, b"sound")]


async def test_row_fenced_from_outside_spoils_no_other(state: SqliteState, tmp_path: Path) -> None:
    """Of saves that are one statement, exactly those are refused whose rows carry a higher fence."""
    records = [new_record() for _ in range(6)]
    await asyncio.gather(*(state.create(record) for record in records))
    leases = await leases_of(state, records)
    connection = connect(tmp_path / "state.db", "rw")
    try:
        for number in (1, 4):
            above = (leases[number].fence + 1, leases[number].upload_id)
            connection.execute("UPDATE uploads SET fence = ? WHERE id = ?", above)
    finally:
        connection.close()
    saves = (state.save(advanced(record, offset=9), lease) for record, lease in zip(records, leases, strict=True))
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Fenced)] == [1, 4]
    assert [outcome for number, outcome in enumerate(outcomes) if number not in (1, 4)] == [None] * 4
    assert records[1].upload.id in str(outcomes[1])
    assert [read.upload.offset for read in await walk(state, limit=10)] == [9, 0, 9, 9, 0, 9]


async def test_second_write_of_a_row_comes_after_the_first(state: SqliteState) -> None:
    """Saves of one upload in one batch, their waiters cancelled, are done in the order in which they were asked for."""
    record, other = new_record(), new_record()
    await state.create(record)
    await state.create(other)
    lease, other_lease = await leases_of(state, [record, other])
    seen = await statements(state)
    saves = []
    for offset in (1, 2, 3):
        saves.append(asyncio.create_task(state.save(advanced(record, offset=offset), lease)))
        saves.append(asyncio.create_task(state.save(advanced(other, offset=offset), other_lease)))
    await asyncio.sleep(0)
    for save in saves:
        save.cancel()
    await asyncio.gather(*saves, return_exceptions=True)
    await state.create(new_record())  # queued behind them
    assert await state.get(record.upload.id) == replace(advanced(record, offset=3), fence=lease.fence)
    assert sorted(read.upload.offset for read in await walk(state, limit=10)) == [0, 3, 3]
    assert "ROLLBACK" not in seen  # it was no failure that was mended


async def test_other_work_keeps_its_place(state: SqliteState) -> None:
    """What is not an insert or update sees all that was asked for before it, and nothing that came later."""
    record = new_record(phase=Phase.COMPLETE)
    lease = Lease(upload_id=record.upload.id, fence=1)

    def together(connection: sqlite3.Connection) -> list[object]:
        works: list[Work[Any]] = [Insert(record), seen, Update(record, lease), seen, Insert(new_record()), seen]
        return run_together(connection, works)

    def seen(connection: sqlite3.Connection) -> tuple[int, int]:
        rows, fences = connection.execute("SELECT count(*), sum(fence) FROM uploads").fetchone()
        return rows, fences

    outcomes = await writer(state).submit(together)
    assert outcomes == [None, (1, 0), None, (1, 1), None, (2, 1)]


async def test_log_is_folded_between_batches(
    state: SqliteState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the log has become long it is folded into the database file, and used again from its beginning."""
    monkeypatch.setattr(sqlite_sessions, "FOLD_AFTER", 40)
    database, log = tmp_path / "state.db", tmp_path / "state.db-wal"
    before = database.stat().st_size
    for _ in range(100):
        await state.create(new_record(metadata="m" * 2000))
        await writer(state).submit(lambda _: None)  # a batch later, the writer has had its rest
    assert database.stat().st_size > before + 40 * 2000
    assert log.stat().st_size < 100 * 4096


async def test_log_stays_bounded_when_there_is_no_rest(state: SqliteState, tmp_path: Path) -> None:
    """A writer that is never idle folds the log inside a commit at last."""
    limit = await writer(state).submit(lambda connection: connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])
    assert FOLD_AFTER < limit <= 64 << 20 >> 12
    durable = await writer(state).submit(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0])
    assert durable == 2  # FULL


async def test_fold_that_is_held_up_loses_nothing(
    state: SqliteState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody reads an old snapshot the log cannot be folded: commits go on, and are folded in at the end."""
    monkeypatch.setattr(sqlite_sessions, "FOLD_AFTER", 1)
    records = [new_record() for _ in range(20)]
    reader = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM uploads").fetchone()  # an old snapshot, which the log must keep
        for record in records:
            await state.create(record)
        assert reader.execute("SELECT count(*) FROM uploads").fetchone() == (0,)
    finally:
        reader.close()
    await state.close()
    assert os.listdir(tmp_path) == ["state.db"]
    again = SqliteState(tmp_path / "state.db", store_id="store")
    await again.open()
    try:
        assert len(await walk(again, limit=100)) == 20
    finally:
        await again.close()
