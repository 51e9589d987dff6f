"""Copying inside the kernel and by hand, and the words for what it refuses."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman_server.storage.base import StoreError, StoreFull
from ferryman_server.storage.syscalls import KernelCopy, copy_range, failure, kernel_copy, translating, write_all

CONTENT = bytes(range(256)) * 9000  # more than two pieces, no multiple of one


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A source full of bytes, and a target that holds eight."""
    (tmp_path / "source").write_bytes(CONTENT)
    (tmp_path / "target").write_bytes(b"before, ")
    source = os.open(tmp_path / "source", os.O_RDONLY)
    target = os.open(tmp_path / "target", os.O_RDWR)
    yield source, target
    os.close(source)
    os.close(target)


def refusing(code: int, *, after: int = 0) -> KernelCopy:
    """A kernel that copies `after` bytes and then refuses."""

    def copy(source: int, target: int, count: int, offset_source: int, offset_target: int) -> int:
        if offset_source >= after:
            raise OSError(code, os.strerror(code))
        piece = os.pread(source, min(count, after - offset_source), offset_source)
        return os.pwrite(target, piece, offset_target)

    return copy


def test_the_kernel_copies(files: tuple[int, int]) -> None:
    """The real system call puts the source behind what is there."""
    copy_range(*files, len(CONTENT), 8)
    assert os.pread(files[1], 10_000_000, 0) == b"before, " + CONTENT


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("after", [0, 100_000])
def test_where_the_kernel_cannot_copy_it_is_done_by_hand(files: tuple[int, int], code: int, after: int) -> None:
    """Whether the kernel refuses at once or half-way, the copy is whole."""
    copy_range(*files, len(CONTENT), 8, refusing(code, after=after))
    assert os.pread(files[1], 10_000_000, 0) == b"before, " + CONTENT


def test_without_the_system_call_it_is_done_by_hand(files: tuple[int, int]) -> None:
    """Systems other than Linux have no such call."""
    copy_range(*files, 1000, 8, None)
    assert os.pread(files[1], 10_000_000, 0) == b"before, " + CONTENT[:1000]


def test_a_kernel_that_pretends_is_not_believed(files: tuple[int, int]) -> None:
    """Some file systems copy 0 bytes without an error: reading tells whether the source has ended."""
    copy_range(*files, 1000, 8, lambda *_: 0)
    assert os.pread(files[1], 10_000_000, 0) == b"before, " + CONTENT[:1000]


def test_other_refusals_come_out(files: tuple[int, int]) -> None:
    """A full disk is not mended by copying by hand."""
    with pytest.raises(OSError, match="No space left"):
        copy_range(*files, 1000, 8, refusing(errno.ENOSPC))


@pytest.mark.parametrize("copy", [kernel_copy, None])
def test_a_short_source_is_an_error(files: tuple[int, int], copy: KernelCopy | None) -> None:
    """A copy is whole or refused."""
    with pytest.raises(OSError, match=f"ends after {len(CONTENT)} of {len(CONTENT) + 1} bytes"):
        copy_range(*files, len(CONTENT) + 1, 8, copy)


def test_no_room_is_told_apart() -> None:
    """ENOSPC, EDQUOT and EFBIG mean that there is no room; everything else is just an error."""
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        assert isinstance(failure(OSError(code, os.strerror(code)), "do it"), StoreFull)
    other = failure(OSError(errno.EIO, os.strerror(errno.EIO)), "do it")
    assert not isinstance(other, StoreFull)
    assert str(other) == "cannot do it: Input/output error"


def test_translated_errors_keep_their_cause() -> None:
    """Logs can show the system's own error behind the store's."""
    with pytest.raises(StoreError, match="cannot look: No such file") as told, translating("look"):
        os.stat("/nowhere/at/all")
    assert isinstance(told.value.__cause__, FileNotFoundError)


def test_writing_to_a_device_without_room_is_told() -> None:
    """The real ENOSPC of /dev/full."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            write_all(descriptor, memoryview(b"bytes"), 0)
    finally:
        os.close(descriptor)
