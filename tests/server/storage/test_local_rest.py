"""A writer at rest holds no descriptor, loses nothing by it, and goes on where it stopped."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ferryman_server.storage import local_files
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.local_files import CACHED, GIVE_BACK, WRITE_BACK, LocalWriter
from ferryman_server.storage.recycling import Recycling
from tests.server.storage.local_rig import LocalRig
from tests.support.process import eventually

ID = "a2b3c4d5e6f7g2h3i4j5k6l7m2"


@pytest.fixture
def rig() -> Iterator[LocalRig]:
    """A local store on a disk that keeps only what was synced."""
    with closing(LocalRig()) as rig:
        yield rig


def _descriptors(path: Path) -> int:
    """How many descriptors of this process are open on the file."""
    opened = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            opened += os.path.samefile(f"/proc/self/fd/{entry}", path)
        except FileNotFoundError:  # the listing's own, closed by now
            continue
    return opened


def _path(rig: LocalRig) -> Path:
    return rig.data / "uploads" / ID


def test_a_synced_writer_rests_without_a_descriptor(rig: LocalRig) -> None:
    """It opens the file again when more comes; all of it is there after a power cut once it is synced."""
    with closing(rig.local.writer(ID, 0)) as writer:
        writer.write(memoryview(b"first "))
        writer.sync()
        before = _descriptors(_path(rig))
        writer.rest()
        assert _descriptors(_path(rig)) == before - 1
        assert writer.sync() == 6
        writer.write(memoryview(b"second"))
        assert _descriptors(_path(rig)) == before
        assert writer.sync() == 12
    rig.power_cut()
    assert _path(rig).read_bytes() == b"first second"


def test_a_writer_with_unsynced_bytes_does_not_rest(rig: LocalRig) -> None:
    """An error in writing them back would be told to nobody if the file were closed."""
    with closing(rig.local.writer(ID, 0)) as writer:
        writer.write(memoryview(b"volatile"))
        opened = _descriptors(_path(rig))
        writer.rest()
        assert _descriptors(_path(rig)) == opened
        writer.sync()
        writer.write(memoryview(b"again"))
        writer.rest()
        assert _descriptors(_path(rig)) == opened + 1, "the disk of this test holds one of its own since the sync"


def test_a_writer_closed_at_rest_takes_nothing_more(rig: LocalRig) -> None:
    """Closing twice is fine, writing is refused, and publishing needs no other sync of the file."""
    writer = rig.local.writer(ID, 0)
    writer.write(memoryview(b"whole"))
    writer.sync()
    writer.rest()
    writer.close()
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.write(memoryview(b"x"))
    synced = rig.disk.log.count(f"data/uploads/{ID[:2]}/{ID}")
    rig.local.publish(ID, 5)
    assert rig.disk.log.count(f"data/uploads/{ID[:2]}/{ID}") == synced


def test_a_file_that_was_changed_while_its_writer_rested_is_not_written_to(rig: LocalRig) -> None:
    """Somebody else has cut it: going on would leave a hole of zeros below acknowledged bytes."""
    with closing(rig.local.writer(ID, 0)) as writer:
        writer.write(memoryview(b"acknowledged"))
        writer.sync()
        writer.rest()
        os.truncate(_path(rig), 3)
        with pytest.raises(StoreError, match="3 bytes, not 12"):
            writer.write(memoryview(b"more"))


def test_the_kernel_is_told_to_begin_writing_each_mebibyte_once(tmp_path: Path) -> None:
    """In ranges that follow each other without a gap, never the same bytes twice."""
    told: list[tuple[int, int]] = []
    path = tmp_path / "file"
    writer = LocalWriter(
        os.open(path, os.O_CREAT | os.O_WRONLY, 0o600),
        str(path),
        0,
        sync=os.fsync,
        sync_entry=None,
        on_clean_close=lambda: None,
        recycling=Recycling(),
        write_back=lambda descriptor, offset, length: told.append((offset, length)),
    )
    with closing(writer):
        for _ in range(5):
            writer.write(memoryview(bytes(WRITE_BACK // 2)))
    assert told == [(0, WRITE_BACK), (WRITE_BACK, WRITE_BACK)]


@pytest.mark.parametrize("durability", ["disk", "os"])
def test_early_writing_is_real(tmp_path: Path, durability: str) -> None:
    """The real calls are made on a real file: the kernel is asked to begin, and gives back what is on the disk."""
    store = LocalStore(tmp_path / "data", durability="disk" if durability == "disk" else "os")
    store.open()
    with closing(store.writer(ID, 0)) as writer:
        writer.write(memoryview(bytes(3 * WRITE_BACK)))
        assert writer.sync() == 3 * WRITE_BACK
        eventually(lambda: writer._begun == 3 * WRITE_BACK)


@pytest.mark.parametrize(("durability", "stays"), [("disk", 0), ("os", CACHED)])
def test_what_is_on_the_disk_leaves_the_page_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: str, stays: int
) -> None:
    """All of it in the end, in ranges without a gap; where nothing is synced, the file's end stays."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(local_files, "drop_cached", lambda _, offset, length: told.append((offset, length)))
    store = LocalStore(tmp_path / "data", durability="disk" if durability == "disk" else "os")
    store.open()
    size = CACHED + 9 * WRITE_BACK
    with closing(store.writer(ID, 0)) as writer:
        for _ in range(size // WRITE_BACK):
            writer.write(memoryview(bytes(WRITE_BACK)))
        writer.sync()
    reached = 0
    for offset, length in told:
        assert offset <= reached < offset + length
        reached = offset + length
    assert 0 <= size - stays - reached < GIVE_BACK
