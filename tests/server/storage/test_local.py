"""The local store keeps the contract, on a disk that keeps only what was synced."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from ferryman_server.storage.base import Concatenates, StoreError, StoreFull, SyncFailed, read_all
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing import StoreTests
from ferryman_server.storage.testing_machine import StoreMachine
from ferryman_server.storage.testing_rig import ONE, OTHER, THIRD, Rig, publish, put, received
from ferryman_server.storage.testing_settling import SettlingTests
from ferryman_server.storage.testing_small import SmallTests
from ferryman_server.storage.testing_together import TogetherTests
from tests.server.storage import full_disk
from tests.server.storage.local_rig import LocalRig

NEW_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"] if os.geteuid() else ["unshare", "--mount"]


def can_mount(folder: str = "/tmp") -> bool:
    """Whether a process here may mount a small disk that nobody else sees."""
    mount = [*NEW_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


WAYS_TO_FILL = ["file-size-limit", *(["small-disk"] if can_mount() else [])]


@pytest.fixture
def rig() -> Iterator[LocalRig]:
    """A store on a disk that keeps only what was synced."""
    made = LocalRig()
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store on the real disk."""
    made = LocalStore(tmp_path / "data")
    made.open()
    return made


class TestLocalStore(StoreTests, SettlingTests, SmallTests, TogetherTests):
    """The inherited suites."""

    def make_rig(self) -> Rig:
        """A store on a disk that keeps only what was synced."""
        return LocalRig()


class LocalMachine(StoreMachine):
    """The inherited machine."""

    def make_rig(self) -> Rig:
        """A store on a disk that keeps only what was synced."""
        return LocalRig()


TestLocalMachine = LocalMachine.TestCase
TestLocalMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_it_concatenates(store: LocalStore) -> None:
    """`concatenation` can be announced for the local store."""
    assert isinstance(store, Concatenates)


# where files lie


def test_files_lie_where_the_layout_says(store: LocalStore, tmp_path: Path) -> None:
    """`uploads/<id>` while receiving, `files/<2>/<id>` when published."""
    put(store, ONE, b"bytes")
    assert (tmp_path / "data" / "uploads" / ONE).read_bytes() == b"bytes"
    store.publish(ONE, 5)
    assert (tmp_path / "data" / "files" / ONE[:2] / ONE).read_bytes() == b"bytes"
    assert not (tmp_path / "data" / "uploads" / ONE).exists()


def test_files_are_private(store: LocalStore, tmp_path: Path) -> None:
    """Only the server's user can read uploads, whatever the umask."""
    put(store, OTHER, b"bytes")
    publish(store, THIRD, b"bytes")
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_descriptors_stay_with_the_process(store: LocalStore) -> None:
    """A child process (a hook, the jobs process) inherits no open upload."""
    before = set(os.listdir("/proc/self/fd"))
    with closing(store.writer(ONE, 0)):
        opened = set(os.listdir("/proc/self/fd")) - before
        assert not any(
            os.get_inheritable(int(number)) for number in opened if os.path.exists(f"/proc/self/fd/{number}")
        )


# the order of syncs


def test_the_folder_is_synced_before_the_first_offset_is_told(rig: LocalRig) -> None:
    """A new upload's first sync: its bytes, its folder; later syncs: its bytes alone."""
    rig.disk.log.clear()
    with closing(rig.store.writer(ONE, 0)) as writer:
        writer.write(memoryview(b"1"))
        assert rig.disk.log == []
        writer.sync()
        path = f"data/uploads/{ONE}"
        assert rig.disk.log == [path, "data/uploads"]
        writer.write(memoryview(b"2"))
        writer.sync()
        assert rig.disk.log[2:] == [path]


def test_a_known_entry_is_not_synced_again(rig: LocalRig) -> None:
    """A second request of an upload costs no folder sync."""
    put(rig.store, OTHER, b"1")
    rig.disk.log.clear()
    put(rig.store, OTHER, b"2", offset=1)
    assert rig.disk.log == [f"data/uploads/{OTHER}"]


def test_folders_of_an_operator_are_left_alone(rig: LocalRig) -> None:
    """What an earlier process may have moved is made durable before the first new entry is, and nothing else."""
    publish(rig.store, ONE, b"1")
    (rig.data / "files" / "lost+found").mkdir()
    (rig.data / "moved").unlink()  # nobody knows where it moved something to
    rig.kill()
    rig.disk.log.clear()
    put(rig.store, THIRD, b"3")
    assert rig.disk.log == [f"data/uploads/{THIRD}", f"data/files/{ONE[:2]}", "data/files", "data/uploads"]


def test_nothing_new_is_nothing_to_sync(rig: LocalRig) -> None:
    """A sync with nothing written since the last one does not ask the disk."""
    with closing(rig.store.writer(ONE, 0)) as writer:
        writer.write(memoryview(b"1"))
        writer.sync()
        rig.disk.log.clear()
        assert writer.sync() == 1
        assert rig.disk.log == []


def test_a_file_made_anew_is_made_durable_anew(rig: LocalRig) -> None:
    """When somebody removed a file behind the store's back, its successor's folder entry is synced like a new one's."""
    put(rig.store, ONE, b"first")
    (rig.data / "uploads" / ONE).unlink()
    put(rig.store, ONE, b"second")
    rig.power_cut()
    assert received(rig.store, ONE, 6) == b"second"


def test_publishing_syncs_both_folders(rig: LocalRig) -> None:
    """The new name is durable before the old one's removal is; bytes that are durable are not synced again."""
    put(rig.store, ONE, b"1")
    rig.disk.log.clear()
    rig.store.publish(ONE, 1)
    assert rig.disk.log == [f"data/files/{ONE[:2]}", "data/files", "data/uploads"]


def test_a_cut_is_durable_before_publishing(rig: LocalRig) -> None:
    """A tail that was cut off by a writer, but not durably, does not come back in the published file."""
    put(rig.store, ONE, b"0123 tail")
    rig.store.writer(ONE, 4).close()
    rig.store.publish(ONE, 4)
    rig.power_cut()
    assert [stray.size for stray in rig.store.strays()] == [4]


@pytest.mark.parametrize("crash", ["a kill", "a power cut", "a power cut after the first folder's sync"])
def test_publishing_is_repeatable_at_every_crash_point(rig: LocalRig, crash: str) -> None:
    """After a crash between the rename and the last sync, publishing again finishes the move.

    A disk that has the old name's removal without the new name would have no byte left; the order of syncs excludes it.
    """
    publish(rig.store, OTHER, b"makes the folders durable")
    put(rig.store, ONE, b"bytes")
    os.rename(rig.data / "uploads" / ONE, rig.data / "files" / ONE[:2] / ONE)
    if crash == "a power cut after the first folder's sync":
        descriptor = os.open(rig.data / "files" / ONE[:2], os.O_RDONLY)
        rig.disk.sync_folder(descriptor)
        os.close(descriptor)
    if crash == "a kill":
        rig.kill()
    else:
        rig.power_cut()
    rig.store.publish(ONE, 5)
    rig.power_cut()
    assert read_all(rig.store, ONE, 5) == b"bytes"
    assert rig.store.tail(ONE, 5) == -1


def test_the_deletion_of_a_published_file_is_durable(rig: LocalRig) -> None:
    """The reaper never deletes published files without a row: one that comes back would stay for ever."""
    publish(rig.store, ONE, b"bytes")
    rig.store.discard(ONE, published=True)
    rig.power_cut()
    assert list(rig.store.strays()) == []


def test_os_durability_syncs_no_upload(tmp_path: Path) -> None:
    """With durability "os" no sync is made, from writing to publishing, and offsets are told all the same."""
    synced: list[str] = []

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    store = LocalStore(tmp_path / "data", durability="os", sync=note, sync_entries=note)
    store.open()
    assert str(tmp_path / "data") in synced, "a folder that lost its store.toml cannot be used again"
    synced.clear()
    publish(store, ONE, b"bytes")
    store.publish(OTHER, 0)
    store.concatenate(THIRD, 0, ONE, 5)
    assert read_all(store, ONE, 5) == b"bytes"
    store.discard(ONE, published=True)
    assert synced == []


# disks in trouble


@pytest.mark.parametrize("way", WAYS_TO_FILL)
def test_a_full_disk_keeps_what_was_written(way: str, tmp_path: Path) -> None:
    """No room: StoreFull, nothing half-written stays, the durable offset is right, and with room it goes on."""
    command = [sys.executable, full_disk.__file__, way, str(tmp_path / "data")]
    prefix = NEW_MOUNTS if way == "small-disk" else []
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_failed_sync_of_the_folder_kills_the_writer_too(rig: LocalRig) -> None:
    """An offset is not told when the file's folder entry could not be made durable."""
    rig.disk.folders_failing = True
    with closing(rig.store.writer(ONE, 0)) as writer:
        writer.write(memoryview(b"bytes"))
        with pytest.raises(SyncFailed, match="Input/output error"):
            writer.sync()
        rig.disk.folders_failing = False
        with pytest.raises(SyncFailed):
            writer.sync()
    put(rig.store, ONE, b"again")
    rig.power_cut()
    assert received(rig.store, ONE, 5) == b"again"


def test_a_failed_sync_of_the_move_is_told_and_repeated(rig: LocalRig) -> None:
    """`publish` does not return before the move is durable; a later one makes it so."""
    put(rig.store, ONE, b"bytes")
    rig.disk.folders_failing = True
    with pytest.raises(SyncFailed, match="move"):
        rig.store.publish(ONE, 5)
    rig.disk.folders_failing = False
    rig.store.publish(ONE, 5)
    rig.power_cut()
    assert read_all(rig.store, ONE, 5) == b"bytes"


def test_a_tail_that_failed_to_sync_is_cut_off(rig: LocalRig) -> None:
    """A process killed after a failed sync leaves no tail that could be taken for good."""
    writer = rig.store.writer(ONE, 0)
    writer.write(memoryview(b"good"))
    writer.sync()
    writer.write(memoryview(b"the kernel calls these pages clean now"))
    rig.fail_syncs(True)
    with pytest.raises(SyncFailed, match="after 4 are given up"):
        writer.sync()
    rig.kill()
    writer.close()
    assert rig.store.tail(ONE, 4) == 4


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_while_opening_is_store_full(tmp_path: Path, code: int) -> None:
    """The disk may be full as early as the first file of a new store."""

    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(StoreFull, match=os.strerror(code)):
        LocalStore(tmp_path / "data", sync=full).open()


# files that are not ours


def test_a_symbolic_link_in_a_files_place_is_refused(store: LocalStore, tmp_path: Path) -> None:
    """Nothing is written to, read from or published by way of a link, and its target stays as it is."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "data" / "files" / ONE[:2]).mkdir()
    for folder in ("uploads", f"files/{ONE[:2]}"):
        (tmp_path / "data" / folder / ONE).symlink_to(outside)
    for offset in (0, 4):
        with pytest.raises(StoreError):
            store.writer(ONE, offset)
    with pytest.raises(StoreError):
        store.tail(ONE, 0)
    with pytest.raises(StoreError):
        store.publish(ONE, 8)
    for published in (True, False):
        with pytest.raises(StoreError):
            next(store.read(ONE, 0, 8, published=published))
    assert list(store.strays()) == []
    store.discard(ONE, published=True)
    assert outside.read_bytes() == b"precious"


def test_a_fifo_in_a_files_place_is_refused(store: LocalStore, tmp_path: Path) -> None:
    """A FIFO does not make a thread wait for ever."""
    os.mkfifo(tmp_path / "data" / "uploads" / ONE)
    with pytest.raises(StoreError):
        store.writer(ONE, 0)
    with pytest.raises(StoreError, match="not a regular file"):
        next(store.read(ONE, 0, 0, published=False))


def test_the_walk_leaves_foreign_names_alone(store: LocalStore, tmp_path: Path) -> None:
    """What is not named like an upload, or lies in the wrong place, is not reported, so never deleted."""
    uploads, files = tmp_path / "data" / "uploads", tmp_path / "data" / "files"
    publish(store, ONE, b"ours")
    for folder in (uploads, files, files / ONE[:2]):
        (folder / "lost+found").mkdir()
        (folder / "backup.tar").write_text("an operator's backup")
        (folder / OTHER).mkdir()
    (files / ONE[:2] / THIRD).write_text("named like an upload, in the wrong folder")
    (files / "zz").symlink_to(files / ONE[:2])
    assert [stray.upload_id for stray in store.strays()] == [ONE]


def test_a_folder_that_vanishes_is_told_in_the_stores_words(store: LocalStore, tmp_path: Path) -> None:
    """An operator who removes the tree under a running server gets a StoreError, not a crash."""
    (tmp_path / "data" / "uploads").rmdir()
    with pytest.raises(StoreError, match="cannot list"):
        list(store.strays())
    with pytest.raises(StoreError, match="cannot open"):
        store.writer(ONE, 0)


def test_free_room_of_a_missing_folder_is_unknown(tmp_path: Path) -> None:
    """Nobody knows how much fits into a folder that is not there."""
    assert LocalStore(tmp_path / "nowhere").free_bytes() is None


def test_an_abandoned_reader_closes_its_file(store: LocalStore) -> None:
    """A download that breaks off leaves no descriptor behind."""
    publish(store, ONE, b"x" * 3_000_000)
    before = len(os.listdir("/proc/self/fd"))
    pieces = store.read(ONE, 0, 3_000_000)
    next(pieces)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del pieces
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_reader_is_told_when_its_file_shrinks(store: LocalStore, tmp_path: Path) -> None:
    """A file that somebody cuts while it is read ends in an error, not in a short answer taken for whole."""
    publish(store, ONE, b"x" * 3_000_000)
    pieces = store.read(ONE, 0, 3_000_000)
    next(pieces)
    os.truncate(tmp_path / "data" / "files" / ONE[:2] / ONE, 1_500_000)
    with pytest.raises(StoreError, match="cut short at byte 1500000"):
        list(pieces)


def test_a_store_that_is_not_open_has_no_id(tmp_path: Path) -> None:
    """Asking for the id too early is an error of the caller."""
    with pytest.raises(StoreError, match="not open"):
        _ = LocalStore(tmp_path / "data").store_id
