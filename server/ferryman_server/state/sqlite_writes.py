"""The writes that come in numbers, and how a batch of them becomes one statement.

Theory: the driver gives the interpreter lock up around every statement and has to take it back from a busy event loop,
which may hold it for milliseconds. So the rows of a batch are one statement that commits by itself: the lock is given
up once, for all of the work and the sync. The rows go into a view of this connection; its triggers do with each one, in
the order in which they were asked for, what the row says. A row that cannot be written undoes the statement.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from ferryman_server.state.base import Fenced, Lease, Notes, Record, StateError
from ferryman_server.state.rows import COLUMNS, FIXED, MUTABLE, Value, mutable_values, to_row
from ferryman_server.state.sqlite_queries import FORGET, REMEMBER
from ferryman_server.state.sqlite_thread import Work

ROWS_A_STATEMENT: Final = 64  # as many statements stay prepared
STATEMENTS: Final = 2 * ROWS_A_STATEMENT  # and others

_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_VALUES: Final = ", ".join(f'NEW."{name}"' for name in COLUMNS)
_CHANGES: Final = ", ".join(f'"{name}" = NEW."{name}"' for name in MUTABLE)
_PART: Final = "INSERT INTO parts (final_id, position, partial_id) VALUES (?, ?, ?)"
_NEW, _OLD = 1, 0  # the values of `is_new`

_VIEW: Final = f"""
    CREATE TEMP VIEW writes AS
    SELECT NULL AS is_new, NULL AS content, NULL AS notes, {", ".join(f'NULL AS "{name}"' for name in COLUMNS)};

    CREATE TEMP TRIGGER write_new INSTEAD OF INSERT ON writes WHEN NEW.is_new BEGIN
        INSERT INTO uploads ({_NAMES}) VALUES ({_VALUES});
    END;

    CREATE TEMP TRIGGER write_old INSTEAD OF INSERT ON writes WHEN NOT NEW.is_new BEGIN
        UPDATE uploads SET {_CHANGES} WHERE id = NEW.id AND fence <= NEW.fence;
        SELECT RAISE(ABORT, 'fenced') WHERE changes() = 0;
    END;

    CREATE TEMP TRIGGER write_content INSTEAD OF INSERT ON writes WHEN NEW.content IS NOT NULL BEGIN
        INSERT OR REPLACE INTO redo (upload_id, content) VALUES (NEW.id, NEW.content);
    END;

    CREATE TEMP TRIGGER write_notes INSTEAD OF INSERT ON writes WHEN NEW.notes IS NOT NULL BEGIN
        {FORGET.format(id="NEW.id", notes="NEW.notes")};
        {REMEMBER.format(id="NEW.id", notes="NEW.notes")};
    END;
"""


@dataclass(frozen=True, slots=True)
class Insert:
    """A new upload, its parts, and the content to be kept for redo. Raises StateError when the id is taken."""

    record: Record
    content: bytes | None = None

    @property
    def row(self) -> tuple[Value | bytes, ...]:
        """What goes into the view."""
        return (_NEW, self.content, None, *to_row(self.record))

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Do it alone."""
        upload = self.record.upload
        try:
            write(connection, [self])
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY":
                raise StateError(f"There is an upload {upload.id} already: take another id.") from error
            raise
        if upload.parts:
            connection.executemany(_PART, ((upload.id, place, part) for place, part in enumerate(upload.parts)))


@dataclass(frozen=True, slots=True)
class Update:
    """What may change of an upload, under a lease, the content to be kept for redo, and notes. Raises Fenced when a
    higher fence wrote, or the row is gone."""

    record: Record
    lease: Lease
    content: bytes | None = None
    notes: Notes | None = None

    @property
    def row(self) -> tuple[Value | bytes, ...]:
        """What goes into the view."""
        fixed = (self.lease.upload_id, *_UNTOUCHED)
        notes = None if self.notes is None else json.dumps(self.notes)
        return (_OLD, self.content, notes, *fixed, *mutable_values(self.record, self.lease.fence))

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Do it alone."""
        lease = self.lease
        try:
            write(connection, [self])
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname == "SQLITE_CONSTRAINT_TRIGGER":
                message = f"upload {lease.upload_id}: its row is gone, or was written under a fence above {lease.fence}"
                raise Fenced(message) from error
            raise


Write: TypeAlias = Insert | Update
_UNTOUCHED: Final = (None,) * (len(FIXED) - 1)  # of a row that is there: everything behind the id


def prepare(connection: sqlite3.Connection) -> None:
    """Make the view through which this connection writes."""
    connection.executescript(_VIEW)


def write(connection: sqlite3.Connection, writes: Sequence[Write]) -> None:
    """Do up to ROWS_A_STATEMENT writes without parts by one statement: all of them, or none. Commits by itself unless a
    transaction is open."""
    values: list[Value | bytes] = []
    for each in writes:
        values += each.row
    connection.execute(_statement(len(writes)), values)


def steps(works: Sequence[Work[Any]]) -> list[Work[Any] | list[Write]]:
    """The same work in the same order, what `write` can do together in lists."""
    found: list[Work[Any] | list[Write]] = []
    writes: list[Write] = []
    for work in works:
        if not isinstance(work, Insert | Update) or work.record.upload.parts:
            found.append(work)
            writes = []
            continue
        if not writes or len(writes) == ROWS_A_STATEMENT:
            writes = []
            found.append(writes)
        writes.append(work)
    return found


def run_together(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[object]:
    """Do all of it in as few statements as its order allows and return the outcomes. Raises whatever goes wrong with
    any of it, half-way."""
    outcomes: list[object] = []
    for step in steps(works):
        if isinstance(step, list):
            write(connection, step)
            outcomes += [None] * len(step)
        else:
            outcomes.append(step(connection))
    return outcomes


def pages_of(works: Sequence[Work[Any]]) -> int:
    """How many pages a commit of this work writes, roughly: each row lies in the page of its id in the index, and
    shares the others with its neighbours."""
    pages = 4 + 2 * len(works)
    for work in works:
        if isinstance(work, Insert | Update) and work.content is not None:
            pages += len(work.content) // 4096
    return pages


@cache
def _statement(rows: int) -> str:
    row = f"({', '.join('?' * (3 + len(COLUMNS)))})"
    return f"INSERT INTO writes (is_new, content, notes, {_NAMES}) VALUES {', '.join([row] * rows)}"
