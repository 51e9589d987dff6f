"""The database's shape and what it knows about itself: migrations, whose store it is, which boot last opened it.

Migrations are the numbered SQL files in `migrations/`, applied in order, each in one transaction with the number it
leaves in `PRAGMA user_version`. A number is never used again and a released file never changes.
"""

import sqlite3
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from ferryman_server.state.base import StateError
from ferryman_server.state.boot import kernel_boot_id

OLDEST_SQLITE: Final = (3, 38, 0)  # STRICT tables since 3.37, JSON functions in every build since 3.38
DISTRUST: Final = """
    UPDATE uploads SET adoptable = 0 WHERE adoptable AND phase <> 'complete' AND phase IN ('empty', 'receiving')
"""


class StoreMismatch(StateError):
    """The database belongs to another store than the one it was opened for: nothing may run on the two together."""

    def __init__(self, path: Path, *, recorded: str, given: str) -> None:
        super().__init__(
            f"The database {path} belongs to the store {recorded}, but the store here is {given}. Bring back the "
            "database and the files that were made together; with a mixed pair, uploads would be lost."
        )
        self.recorded = recorded
        self.given = given


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What was found and set when the database was opened for writing."""

    previous_boot_id: str | None  # recorded by the open before this one
    term: int  # counts the opens, from 1


def migrations() -> list[str]:
    """The SQL of every migration; the first brings a new database to version 1."""
    folder = resources.files("ferryman_server.state") / "migrations"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    numbers = [int(entry.name.partition("_")[0]) for entry in files]
    if numbers != list(range(1, len(files) + 1)):
        raise StateError(f"Ferryman's migrations are not numbered from 1 without gaps: {numbers}. Install it again.")
    return [entry.read_text(encoding="utf-8") for entry in files]


def check_version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """The database's version, 0 for an empty one. Raises StateError for one that this code cannot use."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StateError(f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed.")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if version > newest:
        raise StateError(
            f"The database {path} was written by a newer Ferryman (its schema is {version}, this one knows {newest}). "
            "Install that version, or use another data folder."
        )
    if version == 0 and tables:
        raise StateError(f"The database {path} holds another program's tables. Use another data folder.")
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database to the newest version. Raises StateError; what a failing migration began is undone."""
    scripts = migrations()
    version = check_version(connection, path, len(scripts))
    for number, script in enumerate(scripts[version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def use_log(connection: sqlite3.Connection, path: Path) -> None:
    """Switch a database that is known to be ours to write-ahead logging. Raises StateError where that cannot be."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StateError(f"The database {path} cannot keep a write-ahead log there. Move the data to a local disk.")


def check_readable(connection: sqlite3.Connection, path: Path, store_id: str | None) -> None:
    """Check a database that is only read: it must be of this version, and of this store if one is given."""
    newest = len(migrations())
    if check_version(connection, path, newest) < newest:
        raise StateError(f"The database {path} is older than this Ferryman: start the server once, it is brought up.")
    _check_store(_meta(connection), path, store_id)


def register(connection: sqlite3.Connection, path: Path, store_id: str) -> Opening:
    """Record this open in one transaction. Raises StoreMismatch and changes nothing if the store is another one.

    After a reboot no row's tail may be adopted: it was in a page cache that is gone. The rows are marked with the same
    commit that records the new boot, or a second start would take those tails for the work of a killed process.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        meta = _meta(connection)
        _check_store(meta, path, store_id)
        boot_id, previous = kernel_boot_id(), meta.get("boot_id")
        term = int(meta.get("term", "0")) + 1
        values = {"store_id": store_id, "term": str(term), "boot_id": boot_id or ""}
        connection.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", values.items())
        if not boot_id or boot_id != previous:
            connection.execute(DISTRUST)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return Opening(previous_boot_id=previous or None, term=term)


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _check_store(meta: dict[str, str], path: Path, store_id: str | None) -> None:
    recorded = meta.get("store_id")
    if recorded is not None and store_id is not None and recorded != store_id:
        raise StoreMismatch(path, recorded=recorded, given=store_id)
