"""The events of the SQLite state (:class:`.event_rows.EventRows`).

Rows come and go by one statement each, however many they are: around every statement the driver gives the interpreter
lock up, and may wait for it. An event is one column, so that SQLite takes all of them out of one piece of JSON without
a look at what is in them. Whether somebody has opened the database since is told by the term, which counts that.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from ferryman_protocol.model import Phase
from ferryman_server.state.base import Record
from ferryman_server.state.event_rows import Begun, EventRow
from ferryman_server.state.rows import COLUMNS, from_row
from ferryman_server.state.sqlite_access import Access

CURRENT: Final = (Phase.EMPTY, Phase.RECEIVING, Phase.FINISHING, Phase.WAITING)

_NEWEST: Final = """
    SELECT seq, event ->> 0, event ->> '$[1].upload', event -> 1 FROM events ORDER BY seq DESC LIMIT ?
"""
_TERM: Final = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'term'"
_NUMBERS: Final = "SELECT reserved, whole_at FROM event_numbers"
_RESERVE: Final = "INSERT OR REPLACE INTO event_numbers (only_one, reserved, whole_at) VALUES (1, ?, NULL)"
_END: Final = f"UPDATE event_numbers SET reserved = ?, whole_at = ({_TERM})"
_INSERT: Final = "INSERT OR REPLACE INTO events (seq, event) SELECT ?2 + key, value FROM json_each(?1)"
_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_CURRENT: Final = f"""
    SELECT {_NAMES} FROM uploads WHERE rowid IN (
        SELECT rowid FROM uploads
        WHERE phase <> 'complete' AND phase IN ({", ".join(f"'{phase.value}'" for phase in CURRENT)})
        ORDER BY created_at DESC, id DESC LIMIT ?
    ) ORDER BY created_at DESC, id DESC
"""


class SqliteEvents:
    """Events in the state's file; its threads do the work."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def begin(self, *, least: int, block: int, kept: int) -> Begun:
        """Reserve `block` numbers from `least` on, or from above all that were ever reserved; read the newest `kept`
        rows and drop the others. Raises StateError."""
        return await self._access.write(lambda connection: _begin(connection, least, block, kept))

    async def store(self, rows: Sequence[EventRow], *, oldest: int | None = None, reserved: int | None = None) -> None:
        """Insert rows, whose numbers follow each other, and some of which may be there; drop those below the number
        `oldest`; reserve numbers up to `reserved`. Raises StateError."""

        def work(connection: sqlite3.Connection) -> None:
            events = ",".join([f'["{row.name}",{row.data}]' for row in rows])
            connection.execute(_INSERT, (f"[{events}]", rows[0].seq))
            if oldest is not None:
                connection.execute("DELETE FROM events WHERE seq < ?", (oldest,))
            if reserved is not None:
                connection.execute(_RESERVE, (reserved,))

        await self._access.write(work)

    async def end(self, last: int) -> None:
        """Say that every event that was told has its row; `last` is the highest number used. Raises StateError."""
        await self._access.write(lambda connection: connection.execute(_END, (last,)).close())

    async def current(self, limit: int) -> list[Record]:
        """The newest uploads that are not over, up to `limit`, the newest first; without the parts of final ones.
        Raises StateError."""
        return await self._access.read(lambda connection: _current(connection, limit))


def _begin(connection: sqlite3.Connection, least: int, block: int, kept: int) -> Begun:
    rows = [EventRow(*row) for row in connection.execute(_NEWEST, (kept,))][::-1]
    if rows:
        connection.execute("DELETE FROM events WHERE seq < ?", (rows[0].seq,))
    (term,) = connection.execute(_TERM).fetchone()
    reserved, whole_at = connection.execute(_NUMBERS).fetchone() or (0, None)
    first = max(reserved + 1, least)
    whole = bool(rows) and whole_at == term - 1
    connection.execute(_RESERVE, (first + block - 1,))
    return Begun(rows=rows, first=first, reserved=first + block - 1, whole=whole)


def _current(connection: sqlite3.Connection, limit: int) -> list[Record]:
    return [from_row(row) for row in connection.execute(_CURRENT, (limit,))]
