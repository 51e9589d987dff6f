"""What a process knows of the moves that the one before it had not synced."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman_server.storage import local_moved
from ferryman_server.storage.base import SyncFailed
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.local_moved import SIZE, Moved
from ferryman_server.storage.testing_rig import ONE, OTHER, THIRD, publish, put
from tests.server.storage.local_rig import LocalRig

FOURTH = "z" * 26
FIRST_FOLDER, THIRD_FOLDER, FOURTH_FOLDER = (f"data/files/{prefix}" for prefix in ("a2", "q7", "zz"))


@pytest.fixture
def rig() -> Iterator[LocalRig]:
    """A store on a disk that keeps only what was synced."""
    made = LocalRig()
    yield made
    made.close()


def settle(rig: LocalRig, *ids: str) -> None:
    """Receive uploads and move them, unsynced."""
    for upload_id in ids:
        put(rig.store, upload_id, b"bytes")
    for upload_id in ids:
        rig.local.settle(upload_id, 5)


def synced_at_first(rig: LocalRig) -> list[str]:
    """The folders that a new process syncs for the first new upload, in order."""
    rig.kill()
    rig.disk.log.clear()
    put(rig.store, OTHER, b"new")
    assert rig.disk.log[0] == f"data/uploads/{OTHER}"
    return rig.disk.log[1:]


def test_only_what_was_moved_into_is_synced(rig: LocalRig) -> None:
    """However many folders there are: each sync of one takes a slow disk a tenth of a second."""
    publish(rig.store, ONE, b"durable")
    settle(rig, THIRD)
    assert synced_at_first(rig) == [THIRD_FOLDER, "data/files", "data/uploads"]


def test_a_process_that_comes_after_two_knows_the_moves_of_both(rig: LocalRig) -> None:
    """The one in the middle moved something, and made nothing durable."""
    put(rig.store, THIRD, b"bytes")
    settle(rig, ONE)
    rig.kill()
    rig.local.settle(THIRD, 5)
    assert set(synced_at_first(rig)) == {FIRST_FOLDER, THIRD_FOLDER, "data/files", "data/uploads"}


def test_new_folders_share_the_sync_of_the_one_they_lie_in(rig: LocalRig) -> None:
    """It comes behind theirs, and before that of the folder which the files were moved from."""
    settle(rig, ONE, THIRD, FOURTH)
    synced = synced_at_first(rig)
    assert set(synced[:3]) == {FIRST_FOLDER, THIRD_FOLDER, FOURTH_FOLDER}
    assert synced[3:] == ["data/files", "data/uploads"]


@pytest.mark.parametrize("left", [None, b"", b"a2", bytes(SIZE), b" " * (SIZE + 1)])
def test_where_nobody_knows_every_folder_is_synced(rig: LocalRig, left: bytes | None) -> None:
    """The file is gone, or holds what is left after a power cut, or what somebody else wrote."""
    publish(rig.store, ONE, b"durable")
    publish(rig.store, THIRD, b"durable")
    (rig.data / "moved").unlink()
    if left is not None:
        (rig.data / "moved").write_bytes(left)
    assert set(synced_at_first(rig)) == {FIRST_FOLDER, THIRD_FOLDER, "data/files", "data/uploads"}
    assert synced_at_first(rig) == ["data/uploads"]


def test_what_a_store_moved_that_syncs_nothing_is_unknown(rig: LocalRig) -> None:
    """`durability` was `"os"` for a while: the next process trusts no folder."""
    publish(rig.store, ONE, b"durable")
    put(rig.store, THIRD, b"bytes")
    unsynced = LocalStore(rig.data, durability="os")
    unsynced.open()
    unsynced.settle(THIRD, 5)
    assert set(synced_at_first(rig)) == {FIRST_FOLDER, THIRD_FOLDER, "data/files", "data/uploads"}


def test_a_move_that_cannot_be_told_leaves_nothing_known(rig: LocalRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: it takes place all the same, and the next process syncs every folder."""
    publish(rig.store, ONE, b"durable")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(local_moved, "write_all", full)
        settle(rig, THIRD)
    assert set(synced_at_first(rig)) == {FIRST_FOLDER, THIRD_FOLDER, "data/files", "data/uploads"}


def test_a_move_behind_a_sync_that_failed_is_told(rig: LocalRig) -> None:
    """The failed one was for the same folder, and for a file that an earlier sync had made durable there."""
    settle(rig, ONE)
    put(rig.store, OTHER, b"bytes")
    rig.disk.folders_failing = True
    with pytest.raises(SyncFailed):
        rig.store.publish(ONE, 5)
    rig.disk.folders_failing = False
    rig.local.settle(OTHER, 5)
    rig.kill()
    rig.disk.log.clear()
    put(rig.store, THIRD, b"new")
    assert rig.disk.log == [f"data/uploads/{THIRD}", FIRST_FOLDER, "data/files", "data/uploads"]


def test_all_folders_there_can_be_have_room(tmp_path: Path) -> None:
    """Two characters of thirty-two each."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    moved = Moved(str(tmp_path / "moved"))
    everything = {one + two for one in letters for two in letters}
    moved.write(everything)
    assert moved.read() == everything
    moved.write(["a2"])
    assert moved.read() == {"a2"}
    moved.write([])
    assert moved.read() == set()
