"""The open end of a file: what it does beside other threads, and on its way out."""

import os
import threading
from pathlib import Path

import pytest

from ferryman_server.storage.base import StoreError, SyncFailed
from ferryman_server.storage.local_files import LocalWriter
from ferryman_server.storage.recycling import Recycling


class Gate:
    """A sync that waits, as a slow disk does, until the test lets it go on; then it may fail."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.fails = False

    def __call__(self, descriptor: int) -> None:
        """Wait at the gate, then sync or fail."""
        self.entered.set()
        assert self.leave.wait(10)
        if self.fails:
            raise OSError(5, "the disk is gone")
        os.fdatasync(descriptor)


@pytest.fixture
def gate() -> Gate:
    """A slow disk."""
    return Gate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The upload's file."""
    return tmp_path / "upload"


def writer_of(path: Path, gate: Gate, clean: list[str] | None = None, descriptor: int | None = None) -> LocalWriter:
    """A writer of a new file on a slow disk, or of one that is open already."""
    told = clean if clean is not None else []
    return LocalWriter(
        os.open(path, os.O_WRONLY | os.O_CREAT) if descriptor is None else descriptor,
        str(path),
        0,
        sync=gate,
        sync_entry=None,
        on_clean_close=lambda: told.append("clean"),
        recycling=Recycling(),
    )


def in_background(function: object) -> tuple[threading.Thread, list[object]]:
    """Call in a thread; the list gets what it returned, or raised."""
    results: list[object] = []

    def call() -> None:
        assert callable(function)
        try:
            results.append(function())
        except StoreError as error:
            results.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, results


def test_writing_goes_on_during_a_sync(path: Path, gate: Gate) -> None:
    """A sync tells the offset that was written when it began; pieces written meanwhile belong to the next."""
    writer = writer_of(path, gate)
    writer.write(memoryview(b"before"))
    thread, results = in_background(writer.sync)
    assert gate.entered.wait(10)
    writer.write(memoryview(b" during"))
    assert writer.written == 13
    gate.leave.set()
    thread.join()
    assert results == [6]
    assert writer.sync() == 13
    writer.close()


def test_closing_waits_for_a_sync_under_way(path: Path, gate: Gate) -> None:
    """The descriptor's number is not freed, and given to another upload, while a sync still uses it."""
    writer = writer_of(path, gate)
    writer.write(memoryview(b"bytes"))
    syncing, results = in_background(writer.sync)
    assert gate.entered.wait(10)
    closing, _ = in_background(writer.close)
    closing.join(0.05)
    assert closing.is_alive()
    gate.leave.set()
    syncing.join()
    closing.join()
    assert results == [5]


def test_a_sync_that_fails_beside_writing_leaves_no_hole(path: Path, gate: Gate) -> None:
    """What was written during the failing sync is cut off too, and later pieces are refused."""
    writer = writer_of(path, gate)
    gate.fails = True
    writer.write(memoryview(b"before"))
    thread, results = in_background(writer.sync)
    assert gate.entered.wait(10)
    writer.write(memoryview(b" during"))
    gate.leave.set()
    thread.join()
    assert isinstance(results[0], SyncFailed)
    with pytest.raises(SyncFailed, match="the disk is gone; bytes after 0 are given up"):
        writer.write(memoryview(b" after"))
    assert path.stat().st_size == 0
    writer.close()


def test_a_clean_close_is_told(path: Path, gate: Gate) -> None:
    """The store learns that nothing is volatile only from a writer that has synced all it wrote."""
    gate.leave.set()
    clean: list[str] = []
    unsynced = writer_of(path, gate, clean)
    unsynced.write(memoryview(b"volatile"))
    unsynced.close()
    half_synced = writer_of(path, gate, clean)
    half_synced.write(memoryview(b"durable,"))
    half_synced.sync()
    half_synced.write(memoryview(b" volatile"))
    half_synced.close()
    assert clean == []
    synced = writer_of(path, gate, clean)
    synced.write(memoryview(b"durable."))
    synced.sync()
    synced.close()
    synced.close()
    assert clean == ["clean"]


def test_a_piece_that_cannot_be_written_is_told_with_its_place(path: Path, gate: Gate) -> None:
    """The error names the file and the byte; the file, from which something may have been cut, is not called clean."""
    path.touch()
    gate.leave.set()
    clean: list[str] = []
    descriptor = os.open(path, os.O_RDONLY)  # the kernel refuses to write through it
    writer = writer_of(path, gate, clean, descriptor)
    writer.sync()
    with pytest.raises(StoreError, match=r"cannot write to .*upload at byte 0: Bad file descriptor"):
        writer.write(memoryview(b"bytes"))
    with pytest.raises(StoreError, match=r"cannot copy 5 bytes to .*upload at byte 0"):
        writer.copy_from(descriptor, 5)
    writer.close()
    assert clean == []
