"""A commit whose sync failed may come back after a crash: until that is ruled out, nobody acts on its rows."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import StateError
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.sqlite_sessions import WriteSession
from ferryman_server.state.testing_records import advanced, new_record


class Disk:
    """Commits are carried out and told as failed: what a crash may make of one that failed."""

    def __init__(self, session: WriteSession) -> None:
        self.failing = True
        self.commits = 0
        connected = session._connected
        session._connected = lambda mode: Doubtful(connected(mode), self)  # type: ignore[assignment,method-assign,return-value]


class Doubtful:
    """A connection to a database on such a disk."""

    def __init__(self, connection: sqlite3.Connection, disk: Disk) -> None:
        self._connection = connection
        self._disk = disk

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Execute; what commits then fails."""
        writing = not self._connection.in_transaction and sql.startswith("INSERT")  # commits by itself
        cursor = self._connection.execute(sql, *values)
        if writing or sql == "COMMIT":
            self._disk.commits += 1
            if self._disk.failing:
                raise sqlite3.OperationalError("disk I/O error")
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _spoil(state: SqliteState) -> Disk:
    assert state._session is not None
    return Disk(state._session)


async def test_no_lease_is_given_while_a_failed_commit_may_come_back(state: SqliteState) -> None:
    """Under a lease files are cut to what the row says: the row must not be another one after a crash."""
    record = new_record()
    await state.create(record)
    held = await state.lease(record.upload.id)
    assert held is not None
    disk = _spoil(state)
    with pytest.raises(StateError):
        await state.save(advanced(held[0], offset=5, phase=Phase.RECEIVING), held[1])
    with pytest.raises(StateError):
        await state.lease(record.upload.id)
    disk.failing = False
    again = await state.lease(record.upload.id)
    assert again is not None
    assert again[0].upload.offset == 5, "the row that a crash would have brought back is the one that is acted on"


async def test_the_doubt_ends_with_one_commit(state: SqliteState, tmp_path: Path) -> None:
    """It is a real one, which writes to the log; afterwards leases are given without any."""
    record = new_record()
    await state.create(record)
    disk = _spoil(state)
    with pytest.raises(StateError):
        await state.create(new_record())
    disk.failing = False
    logged = (tmp_path / "state.db-wal").stat().st_size
    await state.lease(record.upload.id)
    assert (tmp_path / "state.db-wal").stat().st_size > logged
    before = disk.commits
    await state.lease(record.upload.id)
    assert disk.commits == before


async def test_a_write_that_cannot_end_the_doubt_is_not_made(state: SqliteState) -> None:
    """It fails like the one before it, and later both can be tried again."""
    disk = _spoil(state)
    first, second = new_record(), new_record()
    for record in (first, second):
        with pytest.raises(StateError):
            await state.create(record)
    assert await state.get(second.upload.id) is None
    disk.failing = False
    await state.create(second)
    assert await state.get(second.upload.id) == second
