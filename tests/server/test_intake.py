"""An intake never runs far ahead of what is durable: a power cut costs the checkpoint's size at most."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman_protocol.commands import Admission, Content
from ferryman_protocol.model import Phase, Upload
from ferryman_server.intake import Intake
from ferryman_server.state.base import Record
from ferryman_server.storage import local_marks
from ferryman_server.storage.base import Mark, Store, StoreError, SyncFailed
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore, MemoryWriter
from tests.server.core_model import crc_of
from tests.server.storage.synced_disk import SyncedDisk
from tests.support.process import eventually
from tests.support.uploading import content

ID = "a2b3c4d5e6f7g2h3i4j5k6l7m2"
MOST = 1000


def _intake(store: Store | None = None) -> Intake:
    store = store or MemoryStore()
    store.open()
    upload = Upload(id=ID, phase=Phase.EMPTY, length=None, dialect="tus")
    admission = Admission(room=None, length=None, finishes_at_length=False, completes=False, overrun_invalidates=False)
    return Intake(store=store, record=Record(upload=upload), admission=admission, content=Content(length=1 << 30))


def _write(intake: Intake, size: int) -> threading.Thread:
    thread = threading.Thread(target=intake.write, args=(memoryview(bytes(size)),), daemon=True)
    thread.start()
    return thread


def _returns(thread: threading.Thread) -> bool:
    thread.join(0.05)
    return not thread.is_alive()


def test_a_writer_too_far_ahead_waits_for_a_commit() -> None:
    """It is asked for at half the way, so that a fast body seldom waits; the commit lets it go."""
    intake, due = _intake(), threading.Semaphore(0)
    intake.keep_near(MOST, due.release)
    intake.write(memoryview(bytes(500)))
    assert due.acquire(timeout=5)
    thread = _write(intake, 501)
    assert not _returns(thread)
    intake.committed(500)
    thread.join(5)
    assert not thread.is_alive()


def test_a_commit_in_time_keeps_nobody_waiting() -> None:
    """Whoever commits each half as it falls due never meets a waiting writer."""
    intake = _intake()
    intake.keep_near(MOST, lambda: intake.committed(intake.mark.offset))
    for _ in range(100):
        intake.write(memoryview(bytes(300)))
    assert intake.mark.offset == 30_000


def test_the_byte_held_back_waits_for_nobody() -> None:
    """It is stored by the commit itself, which would wait for its own end."""
    store = MemoryStore()
    store.open()
    upload = Upload(id=ID, phase=Phase.EMPTY, length=500, dialect="tus")
    admission = Admission(room=500, length=500, finishes_at_length=True, completes=False, overrun_invalidates=False)
    intake = Intake(store=store, record=Record(upload=upload), admission=admission, content=Content(length=500))
    intake.keep_near(500, lambda: None)
    intake.write(memoryview(bytes(500)))
    assert intake.sync(whole=True).offset == 500


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=40), seed=st.integers(0, 1 << 16))
def test_what_is_stored_never_runs_beyond_the_limit(sizes: list[int], seed: int) -> None:
    """For all pieces and for commits that come whenever they come."""
    intake, chance = _intake(), random.Random(seed)
    due: Callable[[], None] = threading.Event().set
    intake.keep_near(MOST, due)

    def write() -> None:
        for size in sizes:
            intake.write(memoryview(bytes(size)))

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    committed = 0
    while thread.is_alive():
        reached = intake.mark.offset
        assert reached - committed <= MOST
        if chance.random() < 0.5:
            committed = reached
            intake.committed(committed)
        time.sleep(0)
    assert intake.mark.offset == sum(sizes)


@pytest.mark.parametrize("behind", [0, 100])
def test_an_older_commit_takes_nothing_back(behind: int) -> None:
    """What was durable stays durable, in whatever order it is told."""
    intake = _intake()
    intake.keep_near(MOST, lambda: None)
    intake.write(memoryview(bytes(600)))
    intake.committed(500)
    intake.committed(behind)
    thread = _write(intake, 800)
    thread.join(5)
    assert not thread.is_alive()


def test_a_store_that_keeps_marks_needs_no_commit(tmp_path: Path) -> None:
    """The bytes of a body that goes on are marked instead, each with the right checksum; nobody waits for ever."""
    store, whole = LocalStore(tmp_path / "data"), content(50 * MOST)
    intake = _intake(store)
    intake.keep_near(MOST, _never)
    for start in range(0, len(whole), 300):
        intake.write(memoryview(whole[start : start + 300]))
        for mark in store.marks(ID):
            assert mark == Mark(mark.offset, crc_of(whole[: mark.offset]))
    assert max(mark.offset for mark in store.marks(ID)) >= len(whole) - MOST
    intake.close()


def test_what_was_closed_unsynced_is_not_taken_for_durable() -> None:
    """A request that failed is closed without a sync: an observer's commit that comes after it has nothing to tell."""
    intake = _intake()
    intake.write(memoryview(bytes(500)))
    intake.close()
    assert not intake.concluded
    with pytest.raises(StoreError):
        intake.sync()


def test_a_sync_while_an_intake_concludes_finds_all_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An observer's, in another thread: it comes when all is synced, and the store's handle is just being let go of."""
    intake = _intake()
    intake.write(memoryview(bytes(500)))
    closing, closed = threading.Event(), threading.Event()
    close = MemoryWriter.close

    def slowly(writer: MemoryWriter) -> None:
        closing.set()
        closed.wait(5)
        close(writer)

    monkeypatch.setattr(MemoryWriter, "close", slowly)
    concluding = threading.Thread(target=intake.conclude)
    concluding.start()
    assert closing.wait(5)
    assert intake.sync().offset == 500
    closed.set()
    concluding.join()
    assert intake.concluded
    assert intake.sync().offset == 500


def test_where_no_mark_can_be_left_a_commit_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a store that keeps none."""
    monkeypatch.setattr(local_marks, "_possible", False)
    intake, due = _intake(LocalStore(tmp_path / "data")), threading.Event()
    intake.keep_near(MOST, due.set)
    intake.write(memoryview(bytes(MOST)))
    assert due.wait(5)
    intake.close()


def test_a_mark_whose_sync_fails_ends_the_writing(tmp_path: Path) -> None:
    """Whoever writes is not kept waiting, and hears of it with the next piece."""
    tmp_path.joinpath("disk").mkdir()
    disk = SyncedDisk(tmp_path / "disk")
    intake = _intake(LocalStore(disk.root / "data", sync=disk.sync_file, sync_entries=disk.sync_folder))
    intake.keep_near(MOST, _never)
    intake.write(memoryview(bytes(MOST // 4)))
    disk.failing = True

    def write_on() -> bool:
        try:
            intake.write(memoryview(bytes(100)))
        except SyncFailed:
            return True
        return False

    eventually(write_on)
    intake.close()
    disk.close()


def _never() -> None:
    raise AssertionError("a commit was asked for")
