"""One sync for many files: where it is trusted, and that it syncs."""

import errno
import os
import platform
from pathlib import Path

import pytest

from ferryman_server.storage.joined_sync import file_system_of, kernel_is_new, sync_filesystem, tells_failures


@pytest.mark.parametrize(
    ("release", "new"),
    [
        ("5.16.20", False),
        ("5.17.0-1-amd64", True),
        ("6.1.0-18-amd64", True),
        ("10.0", True),
        ("4.19.0", False),
        ("unknown", False),
    ],
)
def test_kernels_that_drop_errors_are_not_trusted(release: str, new: bool) -> None:
    """Before 5.17, what the file system reports does not come out of syncfs."""
    assert kernel_is_new(release) is new


def test_the_file_system_of_a_folder_is_that_of_its_mount(tmp_path: Path) -> None:
    """The innermost mount counts, for folders that do not exist yet and through symbolic links too."""
    assert file_system_of(Path("/proc/self")) == "proc"
    assert file_system_of(tmp_path / "later") == file_system_of(tmp_path) is not None
    (tmp_path / "link").symlink_to("/proc/self")
    assert file_system_of(tmp_path / "link") == "proc"


def test_file_systems_that_may_not_tell_are_not_trusted() -> None:
    """`/proc` stores nothing, so nothing can be told of it."""
    assert not tells_failures(Path("/proc"))


def test_syncing_works_and_a_wrong_descriptor_is_told(tmp_path: Path) -> None:
    """On a folder's descriptor it returns nothing; an error of the kernel's comes out as OSError."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "file").write_bytes(b"bytes")
    sync_filesystem(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor") as failed:
        sync_filesystem(descriptor)
    assert failed.value.errno == errno.EBADF


def test_this_machine_is_judged_by_kernel_and_file_system(tmp_path: Path) -> None:
    """Both have to be known good."""
    good = kernel_is_new(platform.release()) and file_system_of(tmp_path) in {"btrfs", "ext4", "xfs"}
    assert tells_failures(tmp_path) is good
