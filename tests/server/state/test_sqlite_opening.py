"""Opening the SQLite state: whose database it is, which version, which boot, and who only reads."""

import asyncio
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import Lease, Record, StateError
from ferryman_server.state.boot import kernel_boot_id
from ferryman_server.state.rows import COLUMNS, to_row
from ferryman_server.state.sqlite import SqliteState, StoreMismatch
from ferryman_server.state.sqlite_schema import migrations
from ferryman_server.state.testing_records import advanced, new_record


async def opened(path: Path, store_id: str | None = "store", *, readonly: bool = False) -> SqliteState:
    """An open state."""
    state = SqliteState(path, store_id=store_id, readonly=readonly)
    await state.open()
    return state


async def made(path: Path, *records: Record) -> None:
    """Make a database with these uploads and close it."""
    state = await opened(path)
    for record in records:
        await state.create(record)
    await state.close()


def execute(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Do something to the closed database."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def test_database_keeps_a_synced_write_ahead_log(tmp_path: Path) -> None:
    """The file is in WAL mode, and the log is folded into it when the state is closed."""
    path = tmp_path / "state.db"
    await made(path)
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]
    assert os.listdir(tmp_path) == ["state.db"]


async def test_boot_id_of_the_open_before_is_told(tmp_path: Path) -> None:
    """The caller learns what was recorded before, and the present boot is recorded."""
    path = tmp_path / "state.db"
    first = await opened(path)
    assert first.previous_boot_id is None
    await first.close()
    second = await opened(path)
    assert second.previous_boot_id == kernel_boot_id()
    await second.close()
    execute(path, "UPDATE meta SET value = 'another' WHERE key = 'boot_id'")
    third = await opened(path)
    assert third.previous_boot_id == "another"
    await third.close()
    fourth = await opened(path)
    assert fourth.previous_boot_id == kernel_boot_id()
    await fourth.close()


async def test_reboot_ends_the_adoption_of_tails(tmp_path: Path) -> None:
    """After a reboot no unfinished upload's tail may be adopted, however often the server then starts."""
    path = tmp_path / "state.db"
    receiving, complete = new_record(phase=Phase.RECEIVING), new_record(phase=Phase.COMPLETE)
    await made(path, receiving, complete)
    same_boot = await opened(path)
    assert await same_boot.get(receiving.upload.id) == receiving
    await same_boot.close()
    execute(path, "UPDATE meta SET value = 'another' WHERE key = 'boot_id'")
    for _ in range(2):
        state = await opened(path)
        assert await state.get(receiving.upload.id) == replace(receiving, adoptable=False)
        assert await state.get(complete.upload.id) == complete
        await state.close()


async def test_other_store_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    """A database and a store that do not belong together are never opened as a pair."""
    path = tmp_path / "state.db"
    await made(path)
    before = execute(path, "SELECT key, value FROM meta")
    with pytest.raises(StoreMismatch, match=r"store.*other") as caught:
        await opened(path, "other")
    assert (caught.value.recorded, caught.value.given) == ("store", "other")
    with pytest.raises(StoreMismatch):
        await opened(path, "other", readonly=True)
    assert execute(path, "SELECT key, value FROM meta") == before


async def test_newer_schema_is_refused_unchanged(tmp_path: Path) -> None:
    """An older program leaves a newer database alone and says which is which."""
    path = tmp_path / "state.db"
    await made(path)
    execute(path, "PRAGMA user_version = 99")
    with pytest.raises(StateError, match=r"newer Ferryman.*99"):
        await opened(path)
    with pytest.raises(StateError, match="newer"):
        await opened(path, readonly=True)
    assert execute(path, "PRAGMA user_version") == [(99,)]


async def test_database_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    """Rows from before contents were kept for redo are there afterwards, counted, found by phase, and completed."""
    path = tmp_path / "state.db"
    finishing, complete = new_record(phase=Phase.FINISHING), new_record(phase=Phase.COMPLETE)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"{migrations()[0]} PRAGMA user_version = 1; PRAGMA foreign_keys = ON;")
    names, places = ", ".join(f'"{name}"' for name in COLUMNS), ", ".join("?" * len(COLUMNS))
    rows = [to_row(finishing), to_row(complete)]
    connection.executemany(f"INSERT INTO uploads ({names}) VALUES ({places})", rows)
    connection.close()
    state = await opened(path)
    assert list(await state.in_phases([Phase.FINISHING])) == [finishing]
    assert await state.get(complete.upload.id) == complete
    assert {phase: count for phase, count in (await state.counts()).items() if count} == {"finishing": 1, "complete": 1}
    leased = await state.lease(finishing.upload.id)
    assert leased is not None
    await state.save(advanced(finishing, phase=Phase.COMPLETE), leased[1], content=b"content")
    assert list(await state.redo(10)) == [(finishing.upload.id, b"content")]
    await state.close()
    assert execute(path, "PRAGMA user_version") == [(len(migrations()),)]


async def test_foreign_database_is_refused(tmp_path: Path) -> None:
    """Another program's SQLite file is not taken for ours."""
    path = tmp_path / "state.db"
    execute(path, "CREATE TABLE songs (title TEXT)")
    with pytest.raises(StateError, match="another program"):
        await opened(path)
    assert execute(path, "SELECT name FROM sqlite_master") == [("songs",)]


@pytest.mark.parametrize("content", [b"not a database at all, only text" * 200, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_damaged_file_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    """A file that is no database is left as it is, and the message says how to go on."""
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"damaged.*backup"):
        await opened(path)
    assert path.read_bytes() == content


async def test_damage_met_later_is_told_too(tmp_path: Path) -> None:
    """Pages that went bad under a good header give StateError, not the driver's exception."""
    path = tmp_path / "state.db"
    await made(path, *(new_record(metadata="m" * 3000) for _ in range(20)))
    content = path.read_bytes()
    last = 4096 * 20  # bytes: what came last, one page for each of them
    path.write_bytes(content[:-last] + b"\xff" * last)
    state = await opened(path)
    with pytest.raises(StateError, match="damaged"):
        await state.in_phases(list(Phase))
    await state.close()


async def test_missing_folder_is_told(tmp_path: Path) -> None:
    """The state does not make folders, and says that one is missing."""
    with pytest.raises(StateError, match="folder must exist"):
        await opened(tmp_path / "nowhere" / "state.db")


async def test_path_with_odd_characters_is_a_path(tmp_path: Path) -> None:
    """Question marks, percent signs and spaces in a folder's name are no URI syntax."""
    folder = tmp_path / "a b?mode=memory&c#%41"
    folder.mkdir()
    record = new_record()
    await made(folder / "state.db", record)
    assert (folder / "state.db").exists()
    state = await opened(folder / "state.db", readonly=True)
    assert await state.get(record.upload.id) == record
    await state.close()


async def test_reader_sees_what_a_running_server_commits(tmp_path: Path) -> None:
    """A second, read-only state follows the first without getting in its way."""
    path = tmp_path / "state.db"
    server = await opened(path)
    reader = await opened(path, None, readonly=True)
    records = [new_record() for _ in range(20)]
    for record in records:
        await server.create(record)
        assert await reader.get(record.upload.id) == record
    assert (await reader.counts())["empty"] == 20
    await reader.close()
    await server.close()


async def test_reader_writes_nothing(tmp_path: Path) -> None:
    """Read-only means no writes, no leases, no boot recorded."""
    path = tmp_path / "state.db"
    record = new_record()
    await made(path, record)
    before = execute(path, "SELECT key, value FROM meta")
    reader = await opened(path, readonly=True)
    lease = Lease(upload_id=record.upload.id, fence=1 << 60)
    for attempt in (
        reader.create(new_record()),
        reader.save(record, lease),
        reader.delete(record.upload.id, lease),
        reader.lease(record.upload.id),
    ):
        with pytest.raises(StateError, match="reading only"):
            await attempt
    assert await reader.get(record.upload.id) == record
    await reader.close()
    assert execute(path, "SELECT key, value FROM meta") == before


async def test_reader_of_nothing_is_told(tmp_path: Path) -> None:
    """Reading where no server ever ran makes no file."""
    with pytest.raises(StateError, match="no database"):
        await opened(tmp_path / "state.db", readonly=True)
    assert os.listdir(tmp_path) == []


async def test_reader_asks_for_a_migration_first(tmp_path: Path) -> None:
    """A reader does not migrate, and says who does."""
    path = tmp_path / "state.db"
    path.touch()
    with pytest.raises(StateError, match="start the server once"):
        await opened(path, readonly=True)
    assert path.stat().st_size == 0


def test_writing_needs_a_store_id(tmp_path: Path) -> None:
    """Only a reader may leave the store open."""
    with pytest.raises(ValueError, match="store_id"):
        SqliteState(tmp_path / "state.db", store_id=None)


async def test_database_held_by_another_writer_is_told(tmp_path: Path) -> None:
    """Somebody's open transaction ends in a sentence after the busy timeout, and in work again once it is over."""
    path = tmp_path / "state.db"
    state = await opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    record = new_record()
    with pytest.raises(StateError, match="another process"):
        await state.create(record)
    other.execute("ROLLBACK")
    other.close()
    await state.create(record)
    assert await state.get(record.upload.id) == record
    await state.close()


async def test_cancelled_open_leaves_nothing_running(tmp_path: Path) -> None:
    """Whoever gives up on opening leaves no thread and no connection behind."""
    state = SqliteState(tmp_path / "state.db", store_id="store")
    opening = asyncio.create_task(state.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    with pytest.raises(StateError):
        await state.create(new_record())


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_commits_are_synced_unless_nobody_asked_for_it(tmp_path: Path, durable: bool, level: int) -> None:
    """SQLite's level is FULL, or NORMAL for a server whose answers need not survive a power cut."""
    state = SqliteState(tmp_path / "state.db", store_id="store", durable=durable)
    await state.open()
    assert state._writer is not None
    (found,) = await state._writer.submit(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
    assert found == level
    await state.close()
