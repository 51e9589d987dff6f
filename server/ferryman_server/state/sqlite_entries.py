"""Entries of archives as rows.

Theory: the driver gives the interpreter lock up at every step of a statement, and a busy event loop hands it back
milliseconds later (:mod:`.sqlite_writes`). Five thousand rows written one by one took eight seconds beside such a loop,
sixty milliseconds as statements of many rows. Reading is stepped row by row too: the rows come as one JSON text.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_size import PictureSize
from ferryman_server.state.media import IndexedEntry

_FIELDS: Final = (
    "number",
    "name",
    "offset",
    "data",
    "packed",
    "size",
    "crc",
    "method",
    "flags",
    "picture_format",
    "picture_width",
    "picture_height",
)
HIGHEST: Final = (1 << 63) - 1  # what a column holds: numbers that people ask for are cut to it
_PIECES: Final = (256, 64, 16, 4, 1)  # rows a statement: few different ones, so that each stays prepared
_COLUMNS: Final = ", ".join(f'entries."{name}"' for name in _FIELDS)
_NAMES: Final = ", ".join(f'"{name}"' for name in _FIELDS)
_ENTRIES: Final = f"""
    SELECT json_group_array(json_array({_COLUMNS})) FROM (
        SELECT * FROM entries WHERE archive_id = ? AND number >= ? ORDER BY number LIMIT ?) AS entries
"""
_FRAMES: Final = f"""
    SELECT json_group_array(json_array(n, {_COLUMNS}))
    FROM frames CROSS JOIN entries ON entries.archive_id = frames.archive_id AND number = entry
    WHERE frames.archive_id = ? AND n >= ? AND n < ?
"""

_Value: TypeAlias = str | int | None


def write_entries(connection: sqlite3.Connection, archive_id: int, entries: Sequence[IndexedEntry]) -> None:
    """Add entries; those that are there stay as they are."""
    for piece in _pieces(entries):
        values: list[_Value] = [archive_id]
        for indexed in piece:
            values += _to_row(indexed)
        row = f"(?1{', ?' * len(_FIELDS)})"
        connection.execute(
            f"INSERT INTO entries (archive_id, {_NAMES}) VALUES {', '.join([row] * len(piece))} "
            "ON CONFLICT (archive_id, number) DO NOTHING",
            values,
        )


def fetch_entries(connection: sqlite3.Connection, archive_id: int, start: int, limit: int) -> list[IndexedEntry]:
    """Entries in their order; a negative limit: all of them."""
    (text,) = connection.execute(_ENTRIES, (archive_id, _held(start), limit)).fetchone()
    return [_from_row(row) for row in sorted(json.loads(text))]  # an aggregate may see its rows in any order


def write_frames(connection: sqlite3.Connection, archive_id: int, entries: Sequence[int]) -> int:
    """Say which entries are the frames, in their order. How many of these entries there are."""
    connection.execute("DELETE FROM frames WHERE archive_id = ?", (archive_id,))
    written = connection.execute(
        # CROSS JOIN: a frame's entry is looked up; the other way round the whole list is read for each entry
        "INSERT INTO frames (archive_id, n, entry) SELECT archive_id, key, number FROM json_each(?) "
        "CROSS JOIN entries WHERE archive_id = ? AND number = value",
        (json.dumps(list(entries)), archive_id),
    )
    return written.rowcount


def fetch_frames(
    connection: sqlite3.Connection, archive_id: int, start: int, stop: int
) -> list[tuple[int, IndexedEntry]]:
    """Frames and their numbers, from `start` up to, not including, `stop`."""
    (text,) = connection.execute(_FRAMES, (archive_id, _held(start), _held(stop))).fetchone()
    return [(n, _from_row(row)) for n, *row in sorted(json.loads(text))]


def _held(number: int) -> int:
    return max(0, min(number, HIGHEST))


def _pieces(entries: Sequence[IndexedEntry]) -> Iterator[Sequence[IndexedEntry]]:
    done = 0
    for size in _PIECES:
        while len(entries) - done >= size:
            yield entries[done : done + size]
            done += size


def _to_row(indexed: IndexedEntry) -> tuple[_Value, ...]:
    entry, picture = indexed.entry, indexed.picture
    return (
        entry.number,
        entry.name,
        entry.offset,
        entry.data,
        entry.packed,
        entry.size,
        entry.crc,
        entry.method,
        entry.flags,
        *((None, None, None) if picture is None else (picture.format.value, picture.width, picture.height)),
    )


def _from_row(row: Sequence[Any]) -> IndexedEntry:
    *values, form, width, height = row
    picture = None if form is None else PictureSize(Format(form), width, height)
    return IndexedEntry(Entry(*values), picture)
