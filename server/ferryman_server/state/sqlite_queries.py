"""The statements, but for those that write rows in numbers (:mod:`ferryman_server.state.sqlite_writes`).

Each function does one thing to the database inside the caller's transaction.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ferryman_protocol.model import Concat, Phase
from ferryman_server.state.base import Fenced, Lease, Notes, Record
from ferryman_server.state.cursors import Key
from ferryman_server.state.rows import COLUMNS, from_row

_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_CONCAT: Final = COLUMNS.index("concat")
_SELECT: Final = f"SELECT {_NAMES} FROM uploads"
_PARTS: Final = """
    SELECT final_id, partial_id FROM parts WHERE final_id IN (SELECT value FROM json_each(?))
    ORDER BY final_id, position
"""
PAGE: Final = f"{_SELECT} ORDER BY created_at DESC, id DESC LIMIT ?"
PAGE_AFTER: Final = f"{_SELECT} WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?"
UNFINISHED: Final = "SELECT phase, count(*) FROM uploads WHERE phase <> 'complete' GROUP BY phase"
# `id` and `notes`, a JSON object, are put in by whoever uses these
FORGET: Final = """
    DELETE FROM notes WHERE upload_id = {id} AND name IN (SELECT key FROM json_each({notes}) WHERE type = 'null')
"""
REMEMBER: Final = """
    INSERT OR REPLACE INTO notes (upload_id, name, value)
    SELECT {id}, key, value FROM json_each({notes}) WHERE type <> 'null'
"""
DUE: Final = f"""
    {_SELECT} WHERE rowid IN (
        SELECT rowid FROM (
            SELECT rowid FROM uploads WHERE phase <> 'complete' AND phase IN ('expired', 'terminated')
            ORDER BY coalesce(expires_at, created_at), id LIMIT :limit)
        UNION ALL
        SELECT rowid FROM (
            SELECT rowid FROM uploads
            WHERE (phase NOT IN ('complete', 'expired', 'terminated') OR (phase = 'complete' AND concat = 'partial'))
            AND expires_at <= :now
            ORDER BY expires_at, id LIMIT :limit)
    ) ORDER BY coalesce(expires_at, created_at), id LIMIT :limit
"""


def remove(connection: sqlite3.Connection, lease: Lease) -> None:
    """Delete the row, its parts and its notes. Raises Fenced when a higher fence wrote, or the row is gone."""
    deletion = "DELETE FROM uploads WHERE id = ? AND fence <= ?"
    if connection.execute(deletion, (lease.upload_id, lease.fence)).rowcount != 1:
        raise _fenced(lease)


def take_notes(connection: sqlite3.Connection, upload_id: str, notes: Notes, lease: Lease | None) -> None:
    """Write and remove notes of an upload that is not complete. Raises Fenced when a higher fence wrote, or the row is
    gone."""
    row = connection.execute("SELECT fence, phase FROM uploads WHERE id = ?", (upload_id,)).fetchone()
    if lease is not None and (row is None or row[0] > lease.fence):
        raise _fenced(lease)
    if row is not None and row[1] != Phase.COMPLETE:
        texts = json.dumps(notes)
        connection.execute(FORGET.format(id="?1", notes="?2"), (upload_id, texts))
        connection.execute(REMEMBER.format(id="?1", notes="?2"), (upload_id, texts))


def fetch_notes(connection: sqlite3.Connection, upload_id: str) -> dict[str, str]:
    """The notes of one upload."""
    return dict(connection.execute("SELECT name, value FROM notes WHERE upload_id = ?", (upload_id,)).fetchall())


def fetch(connection: sqlite3.Connection, upload_id: str) -> Record | None:
    """One upload."""
    records = _records(connection, connection.execute(f"{_SELECT} WHERE id = ?", (upload_id,)))
    return records[0] if records else None


def fetch_redo(connection: sqlite3.Connection, limit: int) -> list[tuple[str, bytes]]:
    """Contents that only the database holds, in the order in which they came."""
    return connection.execute("SELECT upload_id, content FROM redo ORDER BY rowid LIMIT ?", (limit,)).fetchall()


def drop_redo(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Remove the contents of these uploads."""
    connection.execute("DELETE FROM redo WHERE upload_id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))


def fetch_page(connection: sqlite3.Connection, limit: int, after: Key | None) -> list[Record]:
    """Up to `limit` uploads, newest first, from the newest or from just after a key."""
    if after is None:
        return _records(connection, connection.execute(PAGE, (limit,)))
    return _records(connection, connection.execute(PAGE_AFTER, (*after, limit)))


def fetch_due(connection: sqlite3.Connection, now: float, limit: int) -> list[Record]:
    """Uploads for the reaper, the longest due first."""
    return _records(connection, connection.execute(DUE, {"now": now, "limit": limit}))


def in_phases(phases: Sequence[str]) -> str:
    """The query for :func:`fetch_in_phases`. Complete uploads are found by looking at every row, all others are not."""
    condition = "phase IN (SELECT value FROM json_each(?))"
    if Phase.COMPLETE not in phases:
        condition = f"phase <> 'complete' AND {condition}"  # said, so that the index is used
    return f"{_SELECT} WHERE {condition} ORDER BY created_at, id"


def fetch_in_phases(connection: sqlite3.Connection, phases: Sequence[str]) -> list[Record]:
    """Every upload in one of the phases, oldest first."""
    return _records(connection, connection.execute(in_phases(phases), (json.dumps(list(phases)),)))


def fetch_waiting_on(connection: sqlite3.Connection, partial_id: str) -> list[Record]:
    """Waiting final uploads that name the partial, oldest first."""
    condition = "phase = 'waiting' AND id IN (SELECT final_id FROM parts WHERE partial_id = ?)"
    return _records(
        connection, connection.execute(f"{_SELECT} WHERE {condition} ORDER BY created_at, id", (partial_id,))
    )


def fetch_existing(connection: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Those of the ids that have a row."""
    query = "SELECT id FROM uploads WHERE id IN (SELECT value FROM json_each(?))"
    return [upload_id for (upload_id,) in connection.execute(query, (json.dumps(list(ids)),))]


def count_phases(connection: sqlite3.Connection) -> dict[str, int]:
    """How many uploads each phase has; every phase is there."""
    counts = {phase.value: 0 for phase in Phase}
    counts.update(connection.execute(UNFINISHED).fetchall())
    (rows,) = connection.execute("SELECT count(*) FROM uploads").fetchone()
    counts[Phase.COMPLETE.value] = rows - sum(counts.values())
    return counts


def _fenced(lease: Lease) -> Fenced:
    return Fenced(f"upload {lease.upload_id}: its row is gone, or was written under a fence above {lease.fence}")


def _records(connection: sqlite3.Connection, cursor: Iterable[Sequence[Any]]) -> list[Record]:
    rows = list(cursor)
    finals = [row[0] for row in rows if row[_CONCAT] == Concat.FINAL.value]
    parts: dict[str, list[str]] = {}
    if finals:
        for final_id, partial_id in connection.execute(_PARTS, (json.dumps(finals),)):
            parts.setdefault(final_id, []).append(partial_id)
    return [from_row(row, parts.get(row[0], ())) for row in rows]
