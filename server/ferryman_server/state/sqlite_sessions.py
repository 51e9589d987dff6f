"""How a batch runs on SQLite: writes in one transaction with one commit – mostly one statement – reads in one snapshot.

WAL lets readers and the one writer work at the same time; `synchronous=FULL` syncs the log at every commit, so what is
committed survives a power cut (unless nobody asked for that). When a commit fails, no work of its batch is done.

The log is folded into the database file from time to time, which takes as long as tens of commits: between two batches
rather than inside a commit that somebody waits for.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ferryman_server.state.sqlite_errors import DRIVER_ERRORS, is_refusal, spoils_connection, translated
from ferryman_server.state.sqlite_schema import Opening, migrate, register, use_log
from ferryman_server.state.sqlite_thread import Failure, Work
from ferryman_server.state.sqlite_writes import STATEMENTS, pages_of, prepare, run_together, steps, write

BUSY_TIMEOUT: Final = 2.0  # seconds to wait for another process, an operator's sqlite3 for instance
FOLD_AFTER: Final = 4_000  # pages in the log, about (16 MB): then it is folded between two batches
FOLD_AT_ONCE: Final = 16_000  # pages in the log (64 MB): then it is folded by the commit that made it so long


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection whose transactions are ours to begin. `mode`: "rwc" may make the file, "rw", "ro"."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT, cached_statements=STATEMENTS
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {FOLD_AT_ONCE}")
        # What is deleted is not overwritten by writing pages that are only free from now on (some builds would).
        connection.execute("PRAGMA secure_delete = FAST")
    except BaseException:
        connection.close()  # the file is no database, for instance
        raise
    return connection


_COUNT_DOUBT: Final = """
    INSERT INTO meta (key, value) VALUES ('doubts', '1')
    ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""


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

    def rest(self) -> None:
        """Nothing to do."""

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

    def __init__(self, path: Path, store_id: str, *, durable: bool = True) -> None:
        """`durable=False`: a commit survives a killed process, but is not synced."""
        super().__init__(path)
        self._store_id = store_id
        self._durable = durable
        self._logged = 0  # pages written to the log since it was folded, roughly
        self.in_doubt = False  # a commit failed: until another one succeeds, a crash may bring it back
        self.opening: Opening | None = None  # there once `open` returned

    def open(self) -> None:
        """Connect, migrate and record this open. Raises StateError."""
        try:
            connection = self._connected("rwc")
            migrate(connection, self._path)
            use_log(connection, self._path)
            self.opening = register(connection, self._path, self._store_id)
            prepare(connection)
        except DRIVER_ERRORS as error:
            raise translated(error, self._path) from error

    def _connected(self, mode: str) -> sqlite3.Connection:
        new = self._connection is None
        connection = super()._connected(mode)
        if new:
            try:
                self._furnish(connection)
            except BaseException:
                self.close()  # half furnished it must not be found the next time
                raise
        return connection

    def _furnish(self, connection: sqlite3.Connection) -> None:
        if not self._durable:
            connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: only folding the log is synced
        if self.opening is not None:  # else it is to be migrated first
            prepare(connection)

    def run(self, works: Sequence[Work[Any]]) -> list[object]:
        """One transaction; work that raises is undone alone."""
        try:
            connection = self._connected("rw")
            if self.in_doubt:
                self._end_doubt(connection)
            outcomes = self._at_once(connection, works) or self._in_transaction(connection, works)
        except Exception as error:
            self._abandon(error)
            return self._failed(error, works)
        self._logged += pages_of(works)
        return outcomes

    def _at_once(self, connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[object] | None:
        """Do what can be done by one statement that commits by itself. None: it cannot, or one of its rows is refused;
        nothing has been done then."""
        (step, *others) = steps(works)
        if others or not isinstance(step, list):
            return None
        try:
            write(connection, step)
        except Exception as error:
            if not is_refusal(error):
                self.in_doubt = True  # it may have been the commit
                raise
            return None
        return [None] * len(step)

    def _in_transaction(self, connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[object]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = run_together(connection, works)
        except Exception:
            outcomes = self._one_by_one(connection, works)  # whose fault it was is found out here
        self._commit(connection)
        return outcomes

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Commit. One that fails may have written its pages to the log, whole: what failed is only the sync. SQLite
        would find them after a crash and take them for committed, as long as no later commit has overwritten them."""
        try:
            connection.execute("COMMIT")
        except BaseException:
            self.in_doubt = True  # before anybody is told of the failure, and not while a commit is only under way
            raise

    def _end_doubt(self, connection: sqlite3.Connection) -> None:
        """Overwrite in the log what a failed commit has left there. Something has to change: SQLite logs no page that
        stays as it is."""
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_COUNT_DOUBT)
        self._commit(connection)
        self.in_doubt = False

    def rest(self) -> None:
        """Fold the log into the database file if it has become long."""
        if self._logged >= FOLD_AFTER and self._connection is not None:
            self._logged = 0
            with suppress(sqlite3.Error):  # the log keeps everything; a disk that fails is told by the next commit
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _one_by_one(self, connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[object]:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        return [self._one(connection, work) for work in works]

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
