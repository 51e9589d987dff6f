"""The bad disk behaves as bad disks do: a failed sync loses what was not synced before, and says so."""

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.bad_disk import BadDisk, Trouble, read_trouble

ALWAYS = Trouble(fail_files=1.0)


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says what the disk does, which stands before this process's own system calls during the test."""
    for place, name in ((os, "pwrite"), (os, "fdatasync"), (os, "fsync"), (ctypes, "CDLL")):
        monkeypatch.setattr(place, name, getattr(place, name))  # put back afterwards
    BadDisk(str(tmp_path / "control")).install()
    return tmp_path / "control"


@pytest.fixture
def file(tmp_path: Path, control: Path) -> Iterator[int]:
    """A file's descriptor: five bytes are durable, and five more were written."""
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(descriptor, b"right", 0)
    os.fdatasync(descriptor)
    os.pwrite(descriptor, b"wrong", 5)
    yield descriptor
    os.close(descriptor)


def test_a_failed_sync_loses_what_was_written_since_the_last_good_one(file: int, control: Path) -> None:
    """A second sync is good and has stored nothing of it: so it is with a kernel, too."""
    control.write_text(str(ALWAYS))
    with pytest.raises(OSError, match="Input/output"):
        os.fdatasync(file)
    control.unlink()
    os.fdatasync(file)
    assert os.pread(file, 20, 0) == b"right" + bytes(5)


def test_a_failed_sync_of_everything_is_told_by_each_file_once_more(file: int, control: Path, tmp_path: Path) -> None:
    """The C library's own call, as a server makes it."""
    folder = os.open(tmp_path, os.O_RDONLY)
    library = ctypes.CDLL(None, use_errno=True)
    control.write_text(str(ALWAYS))
    assert library.syncfs(folder) == -1
    control.unlink()
    assert os.pread(file, 20, 0) == b"right" + bytes(5)
    with pytest.raises(OSError, match="Input/output"):
        os.fdatasync(file)
    os.fdatasync(file)
    assert library.syncfs(folder) == 0
    os.close(folder)


def test_folders_fail_apart_from_files(file: int, control: Path, tmp_path: Path) -> None:
    """Each has a share of its own."""
    folder = os.open(tmp_path, os.O_RDONLY)
    control.write_text(str(Trouble(fail_folders=1.0)))
    os.fdatasync(file)
    with pytest.raises(OSError, match="Input/output"):
        os.fsync(folder)
    os.close(folder)


def test_a_slow_disk_takes_its_time(file: int, control: Path) -> None:
    """At least half of the delay, which varies by half."""
    control.write_text(str(Trouble(delay=0.1)))
    began = time.monotonic()
    os.fdatasync(file)
    assert time.monotonic() - began >= 0.05


def test_what_is_said_is_what_is_read(control: Path) -> None:
    """Without a file the disk is good."""
    assert read_trouble(str(control)) == Trouble()
    said = Trouble(delay=0.25, fail_files=0.5)
    control.write_text(str(said))
    assert read_trouble(str(control)) == said
