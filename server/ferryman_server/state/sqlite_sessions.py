"""How a batch runs on SQLite: writes in one transaction with one commit, reads in one snapshot.

WAL lets readers and the one writer work at the same time; `synchronous=FULL` syncs the log at every commit, so what is
committed survives a power cut. When a commit fails, no work of its batch is done.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ferryman_server.state.sqlite_errors import DRIVER_ERRORS, spoils_connection, translated
from ferryman_server.state.sqlite_schema import Opening, migrate, register, use_log
from ferryman_server.state.sqlite_thread import Failure, Work

BUSY_TIMEOUT: Final = 2.0  # seconds to wait for another process, an operator's sqlite3 for instance


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection whose transactions are ours to begin. `mode`: "rwc" may make the file, "rw", "ro"."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()  # the file is no database, for instance
        raise
    return connection


class _Session:
    """A connection that is opened again after an error that spoiled it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _connected(self, mode: str) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, mode)
        return self._connection

    def _failed(self, error: Exception, works: Sequence[Work[Any]]) -> list[object]:
        return [self._failure(error) for _ in works]

    def _failure(self, error: Exception) -> Failure:
        """What the waiting task is told: the driver's errors translated, ours as they are."""
        if not isinstance(error, DRIVER_ERRORS):
            return Failure(error)
        told = translated(error, self._path)
        told.__cause__ = error
        return Failure(told)


class WriteSession(_Session):
    """The one connection that writes."""

    def __init__(self, path: Path, store_id: str) -> None:
        super().__init__(path)
        self._store_id = store_id
        self.opening: Opening | None = None  # there once `open` returned

    def open(self) -> None:
        """Connect, migrate and record this open. Raises StateError."""
        try:
            connection = self._connected("rwc")
            migrate(connection, self._path)
            use_log(connection, self._path)
            self.opening = register(connection, self._path, self._store_id)
        except DRIVER_ERRORS as error:
            raise translated(error, self._path) from error

    def run(self, works: Sequence[Work[Any]]) -> list[object]:
        """One transaction; work that raises is undone alone."""
        try:
            connection = self._connected("rw")
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._one(connection, work) for work in works]
            connection.execute("COMMIT")
        except Exception as error:
            self._abandon(error)
            return self._failed(error, works)
        return outcomes

    def _one(self, connection: sqlite3.Connection, work: Work[Any]) -> object:
        connection.execute("SAVEPOINT work")
        try:
            outcome = work(connection)
        except Exception as error:
            if not connection.in_transaction:  # SQLite rolls everything back by itself after some errors
                raise
            connection.execute("ROLLBACK TO work")
            outcome = self._failure(error)
        connection.execute("RELEASE work")
        return outcome

    def _abandon(self, error: Exception) -> None:
        """Undo the transaction; a connection that cannot is closed, the next batch opens a new one."""
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()
        if spoils_connection(error):
            self.close()


class ReadSession(_Session):
    """A connection that reads; `check` looks at the database when it is first opened."""

    def __init__(
        self, path: Path, *, mode: str = "rw", check: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        super().__init__(path)
        self._mode = mode
        self._check = check

    def open(self) -> None:
        """Connect and check. Raises StateError."""
        try:
            connection = self._connected(self._mode)
            if self._check is not None:
                self._check(connection)
        except DRIVER_ERRORS as error:
            raise translated(error, self._path) from error

    def run(self, works: Sequence[Work[Any]]) -> list[object]:
        """One snapshot, taken after everything was submitted."""
        try:
            connection = self._connected(self._mode)
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            self.close()
            return self._failed(error, works)
        outcomes = [self._one(connection, work) for work in works]
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()
        return outcomes

    def _one(self, connection: sqlite3.Connection, work: Work[Any]) -> object:
        try:
            return work(connection)
        except Exception as error:
            return self._failure(error)
