"""What a generation consists of: its frames, what was derived from it, and what it leaves when it goes.

Each function does one thing to the database inside the caller's transaction.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ferryman_server.state.media import NO_FACTS, Derived, Facts, FrameRow, Leftovers
from ferryman_server.state.sqlite_entries import fetch_frames

_ARCHIVE: Final = "SELECT archives.id, upload_id, number FROM generations JOIN archives USING (upload_id)"
OF_SLUG: Final = f"{_ARCHIVE} WHERE number = (SELECT generation FROM media WHERE slug = ?)"
OF_UPLOAD: Final = f"{_ARCHIVE} WHERE upload_id = ?"
_DERIVED: Final = "SELECT upload_id, kind, state, place, size, content_type, reason, updated_at FROM derived"
_OF_SLUG: Final = """
    upload_id = (SELECT upload_id FROM media JOIN generations ON number = generation WHERE slug = ?) AND kind = ?
"""
_PUT: Final = """
    INSERT INTO derived (upload_id, kind, state, place, size, content_type, reason, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (upload_id, kind) DO UPDATE SET state = excluded.state, place = excluded.place, size = excluded.size,
        content_type = excluded.content_type, reason = excluded.reason, updated_at = excluded.updated_at
"""
_LEFT_OVER: Final = """
    SELECT upload_id FROM leftover_uploads JOIN uploads ON id = upload_id WHERE phase = 'complete' LIMIT ?
"""
_TELL: Final = """
    UPDATE generations SET width = ifnull(?, width), height = ifnull(?, height), fps = ifnull(?, fps),
        duration = ifnull(?, duration)
    WHERE number = ?
"""


def frames_of(connection: sqlite3.Connection, archive: str, name: str, start: int, stop: int) -> list[FrameRow]:
    """Frames from `start` up to, not including, `stop`. `archive`: OF_SLUG or OF_UPLOAD, and `name` is one of these."""
    row = connection.execute(archive, (name,)).fetchone()
    if row is None:
        return []
    archive_id, upload_id, generation = row
    found = fetch_frames(connection, archive_id, start, stop)
    return [FrameRow(n, upload_id, generation, indexed) for n, indexed in found]


def fetch_derived(connection: sqlite3.Connection, upload_id: str) -> list[Derived]:
    """What was made of a generation, by kind."""
    query = f"{_DERIVED} WHERE upload_id = ? ORDER BY kind"
    return [_derived(row) for row in connection.execute(query, (upload_id,))]


def fetch_derived_of(connection: sqlite3.Connection, slug: str, kind: str) -> Derived | None:
    """What of this kind was made of a medium's active generation."""
    row = connection.execute(f"{_DERIVED} WHERE {_OF_SLUG}", (slug, kind)).fetchone()
    return None if row is None else _derived(row)


def put_derived(connection: sqlite3.Connection, generation: int, derived: Sequence[Derived], facts: Facts) -> bool:
    """Record what was made and found. False: this generation is gone, or its number is another one now."""
    row = connection.execute("SELECT upload_id FROM generations WHERE number = ?", (generation,)).fetchone()
    if row is None or any(each.upload_id != row[0] for each in derived):
        return False
    for each in derived:
        made = each.state, each.place, each.size, each.content_type, each.reason, each.updated_at
        connection.execute(_PUT, (each.upload_id, each.kind, *made))
    if facts != NO_FACTS:
        connection.execute(_TELL, (facts.width, facts.height, facts.fps, facts.duration, generation))
        shown = "UPDATE media SET duration = ifnull(?, duration) WHERE generation = ?"
        connection.execute(shown, (facts.duration, generation))
    return True


def fetch_leftovers(connection: sqlite3.Connection, limit: int) -> Leftovers:
    """What is to be freed."""
    uploads = connection.execute(_LEFT_OVER, (limit,)).fetchall()
    places = connection.execute("SELECT place FROM leftover_places LIMIT ?", (limit,)).fetchall()
    return Leftovers(tuple(upload_id for (upload_id,) in uploads), tuple(place for (place,) in places))


def forget_places(connection: sqlite3.Connection, places: Sequence[str]) -> None:
    """These are free."""
    connection.executemany("DELETE FROM leftover_places WHERE place = ?", ((place,) for place in places))


def _derived(row: Sequence[Any]) -> Derived:
    upload_id, kind, state, place, size, content_type, reason, updated_at = row
    return Derived(
        upload_id=upload_id,
        kind=kind,
        state=state,
        place=place,
        size=size,
        content_type=content_type,
        reason=reason,
        updated_at=updated_at,
    )
