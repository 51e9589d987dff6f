"""The writes that come in numbers, and how many of them become one statement.

Theory: the driver gives the interpreter lock up around every statement and has to take it back from a busy event
loop. So the rows that a batch inserts are one statement, and the rows that it updates another. Writes that were asked
for together and concern different uploads may be done in any order; work of another kind, and a second write of one
upload, waits for what was asked before it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from ferryman_server.state.base import Fenced, Lease, Record, StateError
from ferryman_server.state.rows import COLUMNS, MUTABLE, Value, mutable_values, to_row
from ferryman_server.state.sqlite_thread import Work

ROWS_A_STATEMENT: Final = 32  # as many statements of each kind stay prepared
STATEMENTS: Final = 4 * ROWS_A_STATEMENT  # and a few others

_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_CHANGES: Final = ", ".join(f'"{name}" = new.column{number}' for number, name in enumerate(MUTABLE, 2))
_FENCE: Final = f"column{MUTABLE.index('fence') + 2}"
_PART: Final = "INSERT INTO parts (final_id, position, partial_id) VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Insert:
    """A new upload, its parts, and the content to be kept for redo. Raises StateError when the id is taken."""

    record: Record
    content: bytes | None = None

    @property
    def upload_id(self) -> str:
        """Whose row it is."""
        return self.record.upload.id

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Do it alone."""
        try:
            _insert(connection, [self])
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY":
                raise StateError(f"There is an upload {self.upload_id} already: take another id.") from error
            raise


@dataclass(frozen=True, slots=True)
class Update:
    """What may change of an upload, under a lease, and the content to be kept for redo. Raises Fenced when a higher
    fence wrote, or the row is gone."""

    record: Record
    lease: Lease
    content: bytes | None = None

    @property
    def upload_id(self) -> str:
        """Whose row it is."""
        return self.lease.upload_id

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Do it alone."""
        _update(connection, [self])


def run_together(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[object]:
    """Do all of it in as few statements as its order allows and return the outcomes. Raises whatever goes wrong with
    any of it, half-way."""
    outcomes: list[object] = []
    inserts: list[Insert] = []
    updates: list[Update] = []
    concerned: set[str] = set()

    def flush() -> None:
        for start in range(0, len(inserts), ROWS_A_STATEMENT):
            _insert(connection, inserts[start : start + ROWS_A_STATEMENT])
        for start in range(0, len(updates), ROWS_A_STATEMENT):
            _update(connection, updates[start : start + ROWS_A_STATEMENT])
        inserts.clear()
        updates.clear()
        concerned.clear()

    for work in works:
        if not isinstance(work, Insert | Update):
            flush()
            outcomes.append(work(connection))
            continue
        if work.upload_id in concerned:
            flush()
        concerned.add(work.upload_id)
        if isinstance(work, Insert):
            inserts.append(work)
        else:
            updates.append(work)
        outcomes.append(None)
    flush()
    return outcomes


def pages_of(works: Sequence[Work[Any]]) -> int:
    """How many pages a commit of this work writes, roughly: each row lies in the page of its id in the index, and
    shares the others with its neighbours."""
    pages = 4 + 2 * len(works)
    for work in works:
        if isinstance(work, Insert | Update) and work.content is not None:
            pages += len(work.content) // 4096
    return pages


def _insert(connection: sqlite3.Connection, writes: Sequence[Insert]) -> None:
    values: list[Value] = []
    for write in writes:
        values += to_row(write.record)
    connection.execute(_insertion(len(writes)), values)
    _keep(connection, writes)
    for write in writes:
        if parts := write.record.upload.parts:
            connection.executemany(_PART, ((write.upload_id, place, part) for place, part in enumerate(parts)))


def _update(connection: sqlite3.Connection, writes: Sequence[Update]) -> None:
    values: list[Value] = []
    for write in writes:
        values.append(write.upload_id)
        values += mutable_values(write.record, write.lease.fence)
    if connection.execute(_updating(len(writes)), values).rowcount != len(writes):
        lease = writes[0].lease  # said to anybody only when it is the only one
        raise Fenced(f"upload {lease.upload_id}: its row is gone, or was written under a fence above {lease.fence}")
    _keep(connection, writes)


def _keep(connection: sqlite3.Connection, writes: Sequence[Insert | Update]) -> None:
    values: list[str | bytes] = []
    for write in writes:
        if write.content is not None:
            values += (write.upload_id, write.content)
    if values:
        connection.execute(_keeping(len(values) // 2), values)


@cache
def _insertion(rows: int) -> str:
    return f"INSERT INTO uploads ({_NAMES}) VALUES {_values(rows, len(COLUMNS))}"


@cache
def _updating(rows: int) -> str:
    new = _values(rows, len(MUTABLE) + 1)
    condition = f"uploads.id = new.column1 AND uploads.fence <= new.{_FENCE}"
    return f"UPDATE uploads SET {_CHANGES} FROM (VALUES {new}) AS new WHERE {condition}"


@cache
def _keeping(rows: int) -> str:
    return f"INSERT OR REPLACE INTO redo (upload_id, content) VALUES {_values(rows, 2)}"


def _values(rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)
