"""The outbox of the SQLite state (:class:`.outbox.Outbox`)."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ferryman_server.state.outbox import Job, QueuedJob
from ferryman_server.state.sqlite_access import Access

_SELECT: Final = "SELECT id, kind, key, data, created_at, due_at, attempts, reason, failed_at FROM outbox"
_WAITING: Final = f"{_SELECT} WHERE taken_at IS NULL AND failed_at IS NULL ORDER BY due_at, id LIMIT ?"
_GIVEN_UP: Final = f"{_SELECT} WHERE failed_at IS NOT NULL ORDER BY failed_at DESC, id DESC LIMIT ?"
_TAKE: Final = "UPDATE outbox SET taken_at = ? WHERE id = ? AND taken_at IS NULL AND failed_at IS NULL"
_FAIL: Final = """
    UPDATE outbox SET taken_at = NULL, attempts = attempts + 1, reason = :reason,
        failed_at = CASE WHEN :again_at IS NULL THEN :now END, due_at = ifnull(:again_at, due_at)
    WHERE id = :id
"""


class SqliteOutbox:
    """Jobs in the state's file."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, jobs: Sequence[Job], now: float) -> None:
        """Put jobs in."""
        chosen = list(jobs)  # the caller's may change while this waits
        await self._access.write(lambda connection: put(connection, chosen, now))

    async def jobs(self, limit: int) -> Sequence[QueuedJob]:
        """Those that wait, the first due first."""
        return await self._access.read(lambda connection: _fetch(connection, _WAITING, limit))

    async def take(self, job_id: int, now: float) -> bool:
        """Take a job that waits."""
        return await self._access.write(lambda connection: connection.execute(_TAKE, (now, job_id)).rowcount == 1)

    async def finish(self, job_id: int) -> None:
        """Forget a job."""
        await self._access.write(lambda connection: _done(connection, "DELETE FROM outbox WHERE id = ?", (job_id,)))

    async def fail(self, job_id: int, reason: str, now: float, again_at: float | None) -> None:
        """Another attempt, or none."""
        values = {"id": job_id, "reason": reason, "now": now, "again_at": again_at}
        await self._access.write(lambda connection: _done(connection, _FAIL, values))

    async def given_up(self, limit: int) -> Sequence[QueuedJob]:
        """Those that were given up, the latest first."""
        return await self._access.read(lambda connection: _fetch(connection, _GIVEN_UP, limit))

    async def free_taken(self) -> int:
        """Let what was taken be taken again."""
        freeing = "UPDATE outbox SET taken_at = NULL WHERE taken_at IS NOT NULL"
        return await self._access.write(lambda connection: connection.execute(freeing).rowcount)


def put(connection: sqlite3.Connection, jobs: Sequence[Job], now: float) -> None:
    """Put jobs in, inside the caller's transaction. One of the same kind and key is replaced: its number is over."""
    for job in jobs:
        connection.execute(
            "INSERT OR REPLACE INTO outbox (kind, key, data, created_at, due_at) VALUES (?, ?, ?, ?, ?)",
            (job.kind, job.key, job.data, now, now),
        )


def _done(connection: sqlite3.Connection, statement: str, values: Any) -> None:
    connection.execute(statement, values)


def _fetch(connection: sqlite3.Connection, query: str, limit: int) -> list[QueuedJob]:
    return [_queued(row) for row in connection.execute(query, (limit,))]


def _queued(row: Sequence[Any]) -> QueuedJob:
    job_id, kind, key, data, created_at, due_at, attempts, reason, failed_at = row
    return QueuedJob(
        id=job_id,
        job=Job(kind, key, data),
        created_at=created_at,
        due_at=due_at,
        attempts=attempts,
        reason=reason,
        failed_at=failed_at,
    )
