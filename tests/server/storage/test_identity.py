"""The data folder's name and lock."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.identity import DataInUse, DataLock, prepare_folder, read_or_make_store_id, read_store_id
from ferryman_server.storage.local import LocalStore
from tests.server.storage.synced_disk import SyncedDisk

HOLDER = """
import sys, time
from pathlib import Path
from ferryman_server.storage.identity import DataLock
DataLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as an ordinary user: permissions mean nothing to root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


# the name


def test_an_id_is_made_once(data: Path) -> None:
    """The first call makes an id like an upload's, later ones read it."""
    assert read_store_id(data) is None
    made = read_or_make_store_id(data)
    assert re.fullmatch(ID_PATTERN, made)
    assert read_or_make_store_id(data) == read_store_id(data) == made
    assert sorted(path.name for path in data.iterdir()) == ["store.toml"]


def test_two_folders_have_two_ids(tmp_path: Path) -> None:
    """Ids tell folders apart."""
    ids = set()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        ids.add(read_or_make_store_id(tmp_path / name))
    assert len(ids) == 2


def test_a_new_id_survives_a_power_cut(tmp_path: Path) -> None:
    """The file, its name and the folder itself are synced before the id is told."""
    disk = SyncedDisk(tmp_path)
    data = tmp_path / "far" / "away" / "data"
    prepare_folder(data, disk.sync_folder)
    made = read_or_make_store_id(data, sync=disk.sync_file, sync_entries=disk.sync_folder)
    disk.power_cut()
    assert read_store_id(data) == made
    disk.close()


def test_what_a_crash_left_of_a_new_file_is_overwritten(data: Path) -> None:
    """A half-written new file does no harm."""
    (data / "store.new.toml").write_text("format = 1\nid = " + "x" * 1000)
    made = read_or_make_store_id(data)
    assert read_store_id(data) == made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"format = 1\nid = [", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"", "format None"),
        (b'format = 2\nid = "aaaaaaaaaaaaaaaaaaaaaaaaaa"', "format 2, this Ferryman knows format 1"),
        (b"format = 1", "no usable 'id'"),
        (b"format = 1\nid = 7", "no usable 'id'"),
        (b'format = 1\nid = "../../etc"', "no usable 'id'"),
    ],
)
def test_a_file_that_cannot_be_understood_stops_the_store(data: Path, text: bytes, words: str) -> None:
    """A damaged or foreign file is named with what to do, and never replaced."""
    (data / "store.toml").write_bytes(text)
    with pytest.raises(StoreError, match=words) as told:
        LocalStore(data).open()
    assert str(data / "store.toml") in str(told.value)
    assert (data / "store.toml").read_bytes() == text


def test_an_unreadable_file_stops_the_store(data: Path) -> None:
    """Something else in the file's place is told as the system tells it."""
    (data / "store.toml").mkdir()
    with pytest.raises(StoreError, match=r"cannot read .*store\.toml: Is a directory"):
        LocalStore(data).open()


# the folder


def test_a_file_in_the_folders_place_stops_the_store(tmp_path: Path) -> None:
    """A path that is a file, or leads through one, is told with what to do."""
    place = tmp_path / "data"
    place.write_text("a file")
    with pytest.raises(StoreError, match="is not a folder: choose another --data"):
        LocalStore(place).open()
    with pytest.raises(StoreError, match=r"cannot make the data folder .*: Not a directory"):
        LocalStore(place / "below").open()


def test_a_folder_of_somebody_else_stops_the_store(data: Path) -> None:
    """A folder that this user may not write is told before the first upload comes."""
    data.chmod(0o555)
    with unprivileged(), pytest.raises(StoreError, match=r"permission|Permission"):
        LocalStore(data).open()
    data.chmod(0o755)


def test_missing_parents_are_made(tmp_path: Path) -> None:
    """`--data` may name a folder several levels down."""
    store = LocalStore(tmp_path / "a" / "b" / "data")
    store.open()
    assert (tmp_path / "a" / "b" / "data" / "store.toml").is_file()


# the lock


def test_a_held_lock_names_its_holder(data: Path) -> None:
    """A second server is told which process to stop, or to choose another folder."""
    with DataLock(data), pytest.raises(DataInUse) as told:
        DataLock(data).acquire()
    assert told.value.pid == os.getpid()
    assert str(told.value) == (
        f"another ferryman serve uses {data} (process {os.getpid()}): stop it or choose another --data"
    )


def test_a_holder_that_has_not_signed_yet_is_unknown(data: Path) -> None:
    """Between locking and writing its number a process cannot be named; the lock holds all the same."""
    with DataLock(data):
        (data / "lock").write_text("")
        with pytest.raises(DataInUse, match="process unknown"):
            DataLock(data).acquire()


def test_a_released_lock_can_be_taken(data: Path) -> None:
    """Releasing may be repeated, and the next one signs the file with its own number."""
    lock = DataLock(data)
    lock.acquire()
    lock.release()
    lock.release()
    (data / "lock").write_text("pid 1\nstarted in another life, with a longer text\n")
    with DataLock(data):
        assert re.fullmatch(rf"pid {os.getpid()}\nstarted \S+\n", (data / "lock").read_text())


def test_the_lock_makes_its_folder(tmp_path: Path) -> None:
    """The lock comes first at start-up, so the folder may be missing."""
    with DataLock(tmp_path / "new" / "data"):
        assert (tmp_path / "new" / "data" / "lock").is_file()


def test_a_lock_that_cannot_be_made_is_told(data: Path) -> None:
    """A symbolic link in the lock's place is not followed."""
    (data / "lock").symlink_to(data / "elsewhere")
    with pytest.raises(StoreError, match=r"cannot lock .*lock"):
        DataLock(data).acquire()
    assert not (data / "elsewhere").exists()


def test_a_killed_process_releases_its_lock(data: Path) -> None:
    """After kill -9 nobody has to remove anything by hand."""
    command = [sys.executable, "-c", HOLDER, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataInUse, match=f"process {holder.pid}"):
            DataLock(data).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with DataLock(data):
            pass
