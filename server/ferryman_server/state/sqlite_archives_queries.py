"""The statements about archives. Each function does one thing to the database inside the caller's transaction."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ferryman_server.state.media import MOST_THUMBS, Archive, IndexedEntry, NotIndexing, Thumb
from ferryman_server.state.sqlite_entries import HIGHEST, fetch_entries, write_entries

_OVER: Final = "('terminated', 'expired', 'failed', 'invalid')"
_SELECT: Final = """
    SELECT upload_id, phase, "offset",
        (SELECT ifnull(max(number) + 1, 0) FROM entries WHERE archive_id = archives.id),
        checkpoint, reason, updated_at
    FROM archives
"""
_BEGIN: Final = f"""
    INSERT INTO archives (upload_id, phase, "offset", updated_at)
    SELECT id, 'indexing', 0, ? FROM uploads WHERE id = ? AND phase NOT IN {_OVER}
    ON CONFLICT (upload_id) DO NOTHING
"""
_THUMB: Final = f"""
    INSERT INTO thumbs (archive_id, number, jpeg)
    SELECT ?1, ?2, ?3 WHERE (SELECT count(*) FROM thumbs WHERE archive_id = ?1) < {MOST_THUMBS}
    ON CONFLICT (archive_id, number) DO NOTHING
"""
# The tables of what was found.
_FOUND: Final = ("entries", "frames", "thumbs")


def begin(connection: sqlite3.Connection, upload_id: str, now: float) -> Archive:
    """Insert an archive unless there is one. Raises NotIndexing."""
    connection.execute(_BEGIN, (now, upload_id))
    archive = fetch(connection, upload_id)
    if archive is None:
        raise NotIndexing(f"upload {upload_id} is gone or over: there is nothing to be indexed")
    return archive


def fetch(connection: sqlite3.Connection, upload_id: str) -> Archive | None:
    """One archive."""
    row = connection.execute(f"{_SELECT} WHERE upload_id = ?", (upload_id,)).fetchone()
    return None if row is None else _archive(row)


def fetch_many(connection: sqlite3.Connection, upload_ids: Sequence[str]) -> dict[str, Archive]:
    """The archives of these uploads."""
    chosen = f"{_SELECT} WHERE upload_id IN (SELECT value FROM json_each(?))"
    return {row[0]: _archive(row) for row in connection.execute(chosen, (json.dumps(list(upload_ids)),))}


def fetch_unsettled(connection: sqlite3.Connection) -> list[Archive]:
    """Every archive that is being indexed, the oldest first."""
    return [_archive(row) for row in connection.execute(f"{_SELECT} WHERE phase = 'indexing' ORDER BY id")]


def advance(
    connection: sqlite3.Connection,
    archive: Archive,
    entries: Sequence[IndexedEntry],
    thumbs: Sequence[Thumb],
) -> None:
    """Add what was found, and be as far as this archive says. Raises NotIndexing."""
    archive_id, offset = _being_indexed(connection, archive.upload_id)
    if archive.offset < offset:
        return
    write_entries(connection, archive_id, entries)
    for thumb in thumbs:
        connection.execute(_THUMB, (archive_id, thumb.number, thumb.jpeg))
    connection.execute(
        'UPDATE archives SET "offset" = ?, checkpoint = ?, updated_at = ? WHERE id = ?',
        (archive.offset, archive.checkpoint, archive.updated_at, archive_id),
    )


def rewind(connection: sqlite3.Connection, upload_id: str, now: float) -> Archive | None:
    """Put an archive back to its beginning."""
    archive_id = find(connection, upload_id)
    if archive_id is None:
        return None
    _forget(connection, archive_id)
    connection.execute("DELETE FROM waiting WHERE upload_id = ?", (upload_id,))
    connection.execute(
        """UPDATE archives SET phase = 'indexing', "offset" = 0, checkpoint = NULL, reason = NULL, updated_at = ?
        WHERE id = ?""",
        (now, archive_id),
    )
    return fetch(connection, upload_id)


def settle(connection: sqlite3.Connection, archive: Archive, *, drop: bool) -> None:
    """Keep phase and reason, nothing else; with `drop`, leave the upload over. Raises NotIndexing when there is no such
    archive."""
    archive_id = find(connection, archive.upload_id)
    if archive_id is None:
        raise NotIndexing(f"upload {archive.upload_id} has no index (any more)")
    _forget(connection, archive_id)
    connection.execute("DELETE FROM generations WHERE upload_id = ? AND frames IS NOT NULL", (archive.upload_id,))
    connection.execute("DELETE FROM waiting WHERE upload_id = ?", (archive.upload_id,))
    connection.execute(
        "UPDATE archives SET phase = ?, reason = ?, checkpoint = NULL, updated_at = ? WHERE id = ?",
        (archive.phase, archive.reason, archive.updated_at, archive_id),
    )
    if drop:
        connection.execute("INSERT OR IGNORE INTO leftover_uploads VALUES (?)", (archive.upload_id,))


def find(connection: sqlite3.Connection, upload_id: str) -> int | None:
    """The number of this upload's archive."""
    row = connection.execute("SELECT id FROM archives WHERE upload_id = ?", (upload_id,)).fetchone()
    return None if row is None else int(row[0])


def entries_of(connection: sqlite3.Connection, upload_id: str, start: int, limit: int) -> list[IndexedEntry]:
    """Entries of an upload in their order."""
    archive_id = find(connection, upload_id)
    return [] if archive_id is None else fetch_entries(connection, archive_id, start, limit)


def fetch_thumb_numbers(connection: sqlite3.Connection, upload_id: str) -> list[int]:
    """Which entries have a thumb."""
    query = "SELECT number FROM thumbs WHERE archive_id = ? ORDER BY number"
    return [number for (number,) in connection.execute(query, (find(connection, upload_id),))]


def fetch_thumb(connection: sqlite3.Connection, upload_id: str, number: int) -> bytes | None:
    """One thumb."""
    query = "SELECT jpeg FROM thumbs WHERE archive_id = ? AND number = ?"
    row = connection.execute(query, (find(connection, upload_id), min(number, HIGHEST))).fetchone()
    return None if row is None else bytes(row[0])


def drop_thumbs(connection: sqlite3.Connection, upload_id: str) -> None:
    """Remove all thumbs of an upload."""
    connection.execute("DELETE FROM thumbs WHERE archive_id = ?", (find(connection, upload_id),))


def _being_indexed(connection: sqlite3.Connection, upload_id: str) -> tuple[int, int]:
    row = connection.execute('SELECT id, phase, "offset" FROM archives WHERE upload_id = ?', (upload_id,)).fetchone()
    if row is None or row[1] != "indexing":
        state = "has no index (any more)" if row is None else f"has an index that is {row[1]}"
        raise NotIndexing(f"upload {upload_id} {state}: nothing may be added to it")
    return row[0], row[2]


def _forget(connection: sqlite3.Connection, archive_id: int) -> None:
    for table in _FOUND:
        connection.execute(f"DELETE FROM {table} WHERE archive_id = ?", (archive_id,))


def _archive(row: Sequence[Any]) -> Archive:
    upload_id, phase, offset, entries, checkpoint, reason, updated_at = row
    return Archive(
        upload_id=upload_id,
        phase=phase,
        offset=offset,
        entries=entries,
        checkpoint=checkpoint,
        reason=reason,
        updated_at=updated_at,
    )
