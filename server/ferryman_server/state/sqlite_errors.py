"""SQLite's exceptions in plain words: what happened to which file, and what to do."""

import sqlite3
from pathlib import Path
from typing import Final

from ferryman_server.state.base import StateError, StateFull

# What the driver raises; the last two for values that no column can hold.
DRIVER_ERRORS: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError)

_DAMAGED: Final = (
    "is damaged or is no database. Stop the server and keep a copy of the file and of the -wal file beside it; then "
    "restore a backup, or save what can be read with the sqlite3 command's `.recover`"
)
_WORDS: Final = {
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Free some room; what was committed before is safe",
    sqlite3.SQLITE_IOERR: "cannot be read or written. Look at the disk's health and free room",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "is held by another process. Close other programs that write to it",
    sqlite3.SQLITE_LOCKED: "is held by another process. Close other programs that write to it",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Its folder must exist, and this user must be allowed to write there",
    sqlite3.SQLITE_READONLY: "cannot be written. This user needs the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be opened. This user needs the right to read and write the file and its folder",
}
_REFUSALS: Final = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
_HARMLESS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT})


def primary_code(error: BaseException) -> int | None:
    """SQLite's primary result code; None for an error that carries none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def is_refusal(error: BaseException) -> bool:
    """Whether a value or a row was refused, by the driver or by a constraint: not a word of it is in the database."""
    return not isinstance(error, sqlite3.Error | MemoryError) or isinstance(error, _REFUSALS)


def spoils_connection(error: BaseException) -> bool:
    """Whether a connection that gave this error is to be closed rather than trusted again."""
    return isinstance(error, sqlite3.Error) and primary_code(error) not in _HARMLESS


def translated(error: BaseException, path: Path) -> StateError:
    """The StateError to raise in its place."""
    code = primary_code(error)
    words = _WORDS.get(code or 0, "did not do what was asked")
    kind = StateFull if code == sqlite3.SQLITE_FULL else StateError
    return kind(f"The database {path} {words} (SQLite: {error}).")
