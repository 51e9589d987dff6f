"""Small contents and unsynced moves of the local store: which syncs in which order, and what a failing disk does."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman_server.storage.base import StoreError, SyncFailed, read_all
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.local_kept import MANY
from ferryman_server.storage.syscalls import open_regular
from ferryman_server.storage.testing_rig import ONE, OTHER, THIRD, put
from ferryman_server.storage.testing_small import keep_all, some
from tests.server.storage.local_rig import LocalRig


@pytest.fixture
def rig() -> Iterator[LocalRig]:
    """A store on a disk that keeps only what was synced."""
    made = LocalRig()
    yield made
    made.close()


def path_of(rig: LocalRig, upload_id: str) -> Path:
    """Where a published file lies."""
    return rig.data / "files" / upload_id[:2] / upload_id


# which syncs


def test_many_contents_cost_one_sync(rig: LocalRig) -> None:
    """However many there are, in whichever folders."""
    contents = some(40)
    keep_all(rig.local, contents)
    rig.disk.log.clear()
    rig.local.write_out(list(contents))
    assert rig.disk.log == ["everything"]


def test_few_contents_are_synced_one_by_one(rig: LocalRig) -> None:
    """The rest of the disk is left alone: each file, its folder, and the folder's own entry when it is new."""
    contents = some(MANY - 1)
    keep_all(rig.local, contents)
    rig.disk.log.clear()
    rig.local.write_out(list(contents))
    files = [f"data/files/{upload_id[:2]}/{upload_id}" for upload_id in contents]
    assert rig.disk.log[: len(files)] == files
    assert set(rig.disk.log[len(files) :]) == {os.path.dirname(file) for file in files} | {"data/files"}


def test_after_a_failed_sync_of_all_each_file_is_synced_by_itself_once(rig: LocalRig) -> None:
    """The failure may have been another program's file's; then the sync for all is tried again."""
    contents = some(40)
    keep_all(rig.local, contents)
    rig.fail_syncs(True)
    with pytest.raises(SyncFailed):
        rig.local.write_out(list(contents))
    rig.fail_syncs(False)
    for everything in (0, 1):
        rig.disk.log.clear()
        keep_all(rig.local, contents)
        rig.local.write_out(list(contents))
        assert rig.disk.log.count("everything") == everything


def test_settling_syncs_nothing(rig: LocalRig) -> None:
    """The move is made durable when something else asks for it: the new name's folder before the old one's."""
    put(rig.local, ONE, b"one")
    rig.disk.log.clear()
    rig.local.settle(ONE, 3)
    assert rig.disk.log == []
    put(rig.local, OTHER, b"other")
    assert rig.disk.log == [
        f"data/uploads/{OTHER}",
        f"data/files/{ONE[:2]}",
        "data/files",
        "data/uploads",
    ]


def test_no_move_slips_in_between_the_two_folders(rig: LocalRig) -> None:
    """One that begins when the new names are durable waits until the old names' folder is synced too."""
    put(rig.local, ONE, b"first")
    late = ONE[:2] + "b" * 24
    put(rig.local, late, b"late")
    rig.local.settle(ONE, 5)
    settling = threading.Thread(target=rig.local.settle, args=(late, 4))
    sync = rig.disk.sync_folder

    def sync_folder(descriptor: int) -> None:
        sync(descriptor)
        if rig.disk.log[-1] == f"data/files/{ONE[:2]}":
            settling.start()
            settling.join(0.2)

    rig.local._folders._sync = sync_folder
    put(rig.local, OTHER, b"other")
    settling.join()
    rig.power_cut()
    assert read_all(rig.local, ONE, 5) == b"first"
    assert read_all(rig.local, late, 4) == b"late"


def test_os_durability_syncs_no_settled_and_no_kept_file(tmp_path: Path) -> None:
    """With durability "os" they are written and moved all the same."""

    synced: list[int] = []
    seams = {"sync": synced.append, "sync_entries": synced.append, "sync_all": synced.append}
    store = LocalStore(tmp_path / "data", durability="os", **seams)
    store.open()
    synced.clear()
    put(store, THIRD, b"bytes")
    store.settle(THIRD, 5)
    contents = some(40)
    keep_all(store, contents)
    assert sorted(store.write_out(list(contents))) == sorted(contents)
    assert len(list((tmp_path / "data" / "files").glob("*/*"))) == 41
    assert synced == []


# reading


def test_a_file_that_moves_while_it_is_looked_for_is_found(rig: LocalRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not yet where it belongs, and then not any more where it was."""
    put(rig.local, ONE, b"0123")

    def overtaken(path: str, flags: int) -> tuple[int, int]:
        try:
            return open_regular(path, flags)
        except FileNotFoundError:
            rig.local.settle(ONE, 4)
            raise

    monkeypatch.setattr("ferryman_server.storage.local_reading.open_regular", overtaken)
    assert read_all(rig.local, ONE, 4) == b"0123"
    assert path_of(rig, ONE).exists()


# a disk in trouble


def test_whatever_an_earlier_attempt_left_is_overwritten(rig: LocalRig) -> None:
    """Half a file, or one that somebody has filled with something longer."""
    for left in (b"ri", b"something longer"):
        path_of(rig, ONE).parent.mkdir(exist_ok=True)
        path_of(rig, ONE).write_bytes(left)
        rig.local.keep(ONE, b"right")
        rig.local.write_out([ONE])
        assert path_of(rig, ONE).read_bytes() == b"right"


@pytest.mark.parametrize("count", [2, 40])
def test_one_that_cannot_be_written_does_not_hold_up_the_others(rig: LocalRig, count: int) -> None:
    """Somebody has put a folder in its file's place: it stays in memory, and is written when that is gone."""
    contents = some(count)
    poor = next(iter(contents))
    path_of(rig, poor).mkdir(parents=True)
    keep_all(rig.local, contents)
    assert set(rig.local.write_out(list(contents))) == set(contents) - {poor}
    assert read_all(rig.local, poor, len(contents[poor])) == contents[poor]
    with pytest.raises(StoreError):
        rig.local.write_out([poor])
    path_of(rig, poor).rmdir()
    assert rig.local.write_out([poor]) == [poor]
    rig.power_cut()
    for upload_id, content in contents.items():
        assert read_all(rig.local, upload_id, len(content)) == content


def test_a_folder_that_cannot_be_synced_keeps_its_contents(rig: LocalRig) -> None:
    """A file without a durable name is not durable."""
    rig.local.keep(ONE, b"one")
    rig.disk.folders_failing = True
    with pytest.raises(SyncFailed, match="Input/output error"):
        rig.local.write_out([ONE])
    rig.disk.folders_failing = False
    assert rig.local.write_out([ONE]) == [ONE]
    rig.power_cut()
    assert read_all(rig.local, ONE, 3) == b"one"


def test_a_move_that_cannot_be_made_is_told(rig: LocalRig) -> None:
    """The file stays where it is, and can be read."""
    put(rig.local, ONE, b"one")
    (rig.data / "files" / ONE[:2]).write_text("a file in the folder's place")
    with pytest.raises(StoreError, match="cannot move"):
        rig.local.settle(ONE, 3)
    (rig.data / "files" / ONE[:2]).unlink()
    assert read_all(rig.local, ONE, 3) == b"one"


def test_a_store_whose_folder_is_gone_keeps_what_it_has(rig: LocalRig) -> None:
    """An operator who removes the tree under a running server gets a StoreError, not a crash."""
    contents = some(40)
    keep_all(rig.local, contents)
    rig.data.rename(rig.data.with_name("elsewhere"))
    with pytest.raises(StoreError, match=os.strerror(errno.ENOENT)):
        rig.local.write_out(list(contents))
    rig.data.with_name("elsewhere").rename(rig.data)
    assert sorted(rig.local.write_out(list(contents))) == sorted(contents)
