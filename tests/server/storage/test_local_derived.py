"""What is made of uploads as local files: whole or not there, private, and usable before the store is opened."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import settings

from ferryman_server.storage.base import StoreError, StoreFull
from ferryman_server.storage.derived import UNFINISHED
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing_derived import FIRST, OTHERS, SECOND, DerivedTests, content
from ferryman_server.storage.testing_derived_machine import DerivedMachine
from ferryman_server.storage.testing_rig import Rig
from tests.server.storage.local_rig import LocalRig
from tests.support.small_disk import can_mount, lasting_small_disk


class TestLocalDerived(DerivedTests):
    """The inherited suite."""

    def make_rig(self) -> Rig:
        """A new store."""
        return LocalRig()


class LocalMachine(DerivedMachine):
    """The inherited machine."""

    def make_rig(self) -> Rig:
        """A store on a disk that keeps only what was synced."""
        return LocalRig()


TestLocalMachine = LocalMachine.TestCase
TestLocalMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def files(data: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def test_a_store_that_was_not_opened_is_used(tmp_path: Path) -> None:
    """Beside the server: folders are made when they are needed, and nothing else is."""
    one, other = LocalStore(tmp_path), LocalStore(tmp_path)
    assert (list(one.derived.places()), one.derived.tidy(1e12), one.derived.size(FIRST)) == ([], 0, None)
    one.derived.free(FIRST)
    assert list(tmp_path.iterdir()) == []
    one.derived.put(FIRST, b"first")
    assert content(other.derived, FIRST) == b"first"
    assert files(tmp_path) == [f"derived/{FIRST[:2]}/{FIRST}"]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Files 0600, folders 0700."""
    LocalStore(tmp_path).derived.put(FIRST, b"first")
    folder = tmp_path / "derived" / FIRST[:2]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, folder / FIRST)]
    assert modes == [0o700, 0o700, 0o600]


def test_nothing_is_synced_where_nothing_need_be(tmp_path: Path) -> None:
    """With durability "os"."""

    def never(descriptor: int) -> None:
        raise AssertionError

    derived = LocalStore(tmp_path, durability="os", sync=never, sync_entries=never).derived
    derived.put(FIRST, b"first")
    assert content(derived, FIRST) == b"first"
    derived.free(FIRST)
    assert derived.size(FIRST) is None


def test_each_folders_entry_is_synced_once_by_a_process() -> None:
    """Also where another one made it, and was killed perhaps before it synced that."""
    rig = LocalRig()
    folder = f"data/derived/{FIRST[:2]}"
    for _ in range(2):
        rig.disk.log.clear()
        rig.local.derived.put(FIRST, b"first")
        assert [entry for entry in rig.disk.log if not entry.endswith(".new")] == [folder, "data/derived", "data"]
        rig.disk.log.clear()
        rig.local.derived.put(SECOND, b"second")
        assert [entry for entry in rig.disk.log if not entry.endswith(".new")] == [folder]
        rig.kill()
    rig.close()


def test_a_folder_that_was_removed_is_made_again() -> None:
    """An operator who frees all of it by hand does no harm: it can be put again, durably."""
    rig = LocalRig()
    rig.local.derived.put(FIRST, b"first")
    folder = rig.data / "derived" / FIRST[:2]
    (folder / FIRST).unlink()
    folder.rmdir()
    folder.parent.rmdir()
    rig.local.derived.put(FIRST, b"again")
    rig.power_cut()
    assert content(rig.local.derived, FIRST) == b"again"
    rig.close()


def test_what_a_killed_process_left_half_written_is_tidied_away(tmp_path: Path) -> None:
    """Once nobody writes it any more: the walk passes it over, and what is an operator's stays."""
    derived = LocalStore(tmp_path).derived
    derived.put(FIRST, b"first")
    folder = tmp_path / "derived" / FIRST[:2]
    left, fresh = folder / f"{SECOND}.0123456789ab.new", folder / f"{SECOND}.ba9876543210.new"
    notes = folder / "notes.txt"
    for path, age in ((left, UNFINISHED + 1), (fresh, UNFINISHED - 60), (notes, 1e6)):
        path.write_bytes(b"half")
        os.utime(path, (1e9 - age, 1e9 - age))
    assert [kept.place for kept in derived.places()] == [FIRST]
    assert derived.tidy(1e9) == 4
    assert derived.tidy(1e9) == 0
    assert {path.name for path in folder.iterdir()} == {FIRST, fresh.name, notes.name}


def test_what_lies_in_the_wrong_place_is_none_of_ours(tmp_path: Path) -> None:
    """Neither a link, nor a folder, nor a file that another folder would have."""
    derived = LocalStore(tmp_path).derived
    derived.put(FIRST, b"first")
    folder = tmp_path / "derived" / FIRST[:2]
    (folder / SECOND).symlink_to(folder / FIRST)
    (folder / OTHERS).mkdir()
    (tmp_path / "derived" / "zz").mkdir()
    (tmp_path / "derived" / "zz" / FIRST).write_bytes(b"moved by somebody")
    (tmp_path / "derived" / FIRST).write_bytes(b"moved by somebody")
    assert [kept.place for kept in derived.places()] == [FIRST]
    with pytest.raises(StoreError):
        next(derived.read(SECOND, 0, 5))
    with pytest.raises(StoreError, match="regular"):
        derived.size(OTHERS)
    derived.put(SECOND, b"film")
    assert (content(derived, FIRST), content(derived, SECOND)) == (b"first", b"film")


def test_whoever_reads_one_that_is_replaced_reads_it_to_its_end(tmp_path: Path) -> None:
    """Each reader has all of one content."""
    derived = LocalStore(tmp_path).derived
    old, new = b"o" * (3 << 20), b"n" * (3 << 20)
    derived.put(FIRST, old)
    pieces = derived.read(FIRST, 0, len(old))
    first = bytes(next(pieces))
    derived.put(FIRST, new)
    assert first + b"".join(bytes(piece) for piece in pieces) == old
    assert content(derived, FIRST) == new


def test_no_folder_can_be_made_where_a_file_is(tmp_path: Path) -> None:
    """The store's own error, in words; nothing of the system's."""
    (tmp_path / "derived").write_bytes(b"")
    derived = LocalStore(tmp_path).derived
    with pytest.raises(StoreError, match="derived"):
        derived.put(FIRST, b"first")
    with pytest.raises(StoreError, match="derived"):
        list(derived.places())


@pytest.mark.parametrize("disk", ["small disk"] if can_mount() else [])
def test_a_full_disk_says_so(disk: str, tmp_path: Path) -> None:
    """StoreFull, and nothing half-written stays; what was there does."""
    with lasting_small_disk(tmp_path / "disk", 1 << 20) as (_, folder):
        derived = LocalStore(folder).derived
        derived.put(FIRST, b"first")
        for place in (FIRST, SECOND):
            with pytest.raises(StoreFull):
                derived.put(place, bytes(2 << 20))
        assert files(folder) == [f"derived/{FIRST[:2]}/{FIRST}"]
        assert content(derived, FIRST) == b"first"
