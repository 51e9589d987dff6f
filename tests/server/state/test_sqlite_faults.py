"""What the SQLite state loses when a process is killed or the disk refuses: nothing that it said was done."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import Record, StateError
from ferryman_server.state.boot import kernel_boot_id
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.testing_records import advanced, new_record, walk


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: writes beyond it fail as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_failed_commit_fails_its_whole_batch(state: SqliteState, tmp_path: Path) -> None:
    """When the log cannot be written, every write of the group fails, none is seen, and the next ones work."""
    record = new_record()
    await state.create(record)
    leased = await state.lease(record.upload.id)
    assert leased is not None
    log = tmp_path / "state.db-wal"
    with files_limited_to(log.stat().st_size + 100):
        asked = [state.create(new_record(metadata="m" * 2000)) for _ in range(5)]
        outcomes = await asyncio.gather(
            *asked, state.save(advanced(record, offset=5), leased[1]), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [StateError] * 6
    assert "disk" in str(outcomes[0])
    assert await walk(state, limit=10) == [record]
    await state.save(advanced(record, offset=6), leased[1])
    await state.create(new_record())
    assert sorted(read.upload.offset for read in await walk(state, limit=10)) == [0, 6]


async def test_full_database_refuses_and_recovers(state: SqliteState) -> None:
    """With no room to grow, what is there stays readable; with room again, writing goes on."""
    first = new_record()
    await state.create(first)
    writer = state._writer
    assert writer is not None
    await writer.submit(lambda connection: connection.execute("PRAGMA max_page_count = 14").fetchone())
    kept = [first]
    with pytest.raises(StateError, match="disk is full"):
        await _create_until_refused(state, kept)
    assert sorted(read.upload.id for read in await walk(state, limit=10)) == [record.upload.id for record in kept]
    await writer.submit(lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone())
    last = new_record(metadata="m" * 3000)
    await state.create(last)
    assert await state.get(last.upload.id) == last


async def test_database_that_vanished_is_not_made_anew(state: SqliteState, tmp_path: Path) -> None:
    """After a fault the state opens its own file again, never an empty one in its place."""
    await state.create(new_record())
    log = tmp_path / "state.db-wal"
    with files_limited_to(log.stat().st_size), pytest.raises(StateError):
        await state.create(new_record())
    for name in os.listdir(tmp_path):
        (tmp_path / name).unlink()
    with pytest.raises(StateError, match="cannot be opened"):
        await state.create(new_record())
    assert not (tmp_path / "state.db").exists()


@pytest.mark.parametrize("lines", [1, 40, 300])
async def test_killed_process_loses_nothing_it_acknowledged(tmp_path: Path, lines: int) -> None:
    """After kill -9 in the middle of commits, every write that had returned is there."""
    path = tmp_path / "state.db"
    acknowledged = _run_and_kill(path, lines)
    assert acknowledged
    state = SqliteState(path, store_id="store")
    await state.open()
    try:
        assert state.previous_boot_id == kernel_boot_id()
        for upload_id, offset in acknowledged.items():
            record = await state.get(upload_id)
            assert record is not None
            assert record.upload.offset >= offset
            assert record.crc64 == record.upload.offset  # a row is one commit, never a mixture
            leased = await state.lease(upload_id)
            assert leased is not None
            await state.save(advanced(leased[0], reason="after"), leased[1])
        completed = {record.upload.id: record.upload for record in await state.in_phases([Phase.COMPLETE])}
        contents = dict(await state.redo(sys.maxsize))
        assert contents.keys() == completed.keys()  # a content without its row, or the other way round, is never there
        for upload_id, content in contents.items():
            assert content == upload_id.encode() * (completed[upload_id].offset // 26)
    finally:
        await state.close()


async def _create_until_refused(state: SqliteState, kept: list[Record]) -> None:
    for _ in range(50):
        record = new_record(metadata="m" * 3000)
        await state.create(record)
        kept.append(record)


def _run_and_kill(path: Path, lines: int) -> dict[str, int]:
    """Let a child write until it has told `lines` acknowledgements, kill it, and return the last offset of each id."""
    script = Path(__file__).with_name("writing_child.py")
    acknowledged: dict[str, int] = {}
    with subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for number, line in enumerate(child.stdout, 1):
            if number == lines:
                child.send_signal(signal.SIGKILL)  # what it says until it is dead counts as well
            if line.endswith("\n"):
                upload_id, offset = line.split()
                acknowledged[upload_id] = int(offset)
    assert child.returncode == -signal.SIGKILL
    return acknowledged
