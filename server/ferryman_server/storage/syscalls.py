"""What the local store asks of the kernel, and the kernel's refusals in the store's words.

Nothing here follows a symbolic link in a file's last name, blocks on a FIFO that somebody put in a file's place, or
leaves a descriptor to a child process.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

from ferryman_server.storage.base import StoreError, StoreFull

PIECE: Final = 1 << 20  # bytes: the most that is read at once
FILE_MODE: Final = 0o600  # uploads are private to the user the server runs as
FOLDER_MODE: Final = 0o700

Sync: TypeAlias = Callable[[int], None]  # makes what a descriptor stands for durable, or raises OSError
WriteBack: TypeAlias = Callable[[int, int, int], None]  # descriptor, offset, length: begin to write, wait for nothing
KernelCopy: TypeAlias = Callable[[int, int, int, int, int], int]  # source, target, count, offset in each → bytes copied

# Not fdatasync, which need not store an attribute. Where a file has grown both commit its inode, and cost the same.
sync_file: Final[Sync] = os.fsync
kernel_copy: Final[KernelCopy | None] = getattr(os, "copy_file_range", None)  # Linux only

_SYNC_FILE_RANGE_WRITE: Final = 2  # linux/fs.h

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# two file systems, an old kernel, a file system without it: these mean "copy by hand"
_CANNOT_COPY: Final = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def failure(error: OSError, doing: str) -> StoreError:
    """The store's error for a refused system call: StoreFull when there is no room, StoreError otherwise."""
    kind = StoreFull if error.errno in _FULL else StoreError
    return kind(f"cannot {doing}: {error.strerror or error}")


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Raise every OSError of the block as the store's own; `doing` completes the sentence "cannot …"."""
    try:
        yield
    except OSError as error:
        raise failure(error, doing) from error


def open_regular(path: str, flags: int) -> tuple[int, int]:
    """Open a regular file, to be closed by the caller; returns its descriptor and its size in bytes.

    Raises OSError, or StoreError for anything that is not a regular file.
    """
    descriptor = os.open(path, flags | _SAFE, FILE_MODE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is not a regular file: something else was put in its place")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def size_of(path: str) -> int | None:
    """The size of a regular file in bytes, None when nothing is there. Raises StoreError for anything else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is not a regular file: something else was put in its place")
    return status.st_size


def make_folder(path: str) -> None:
    """Make one folder; one that is there already is fine. Raises OSError."""
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def sync_folder(path: str, sync: Sync) -> None:
    """Make a folder's entries durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, piece: memoryview, offset: int) -> None:
    """Write the whole piece at `offset`: one system call, unless the kernel takes less. Raises OSError."""
    taken = os.pwrite(descriptor, piece, offset)
    while taken < len(piece):
        # a second call after a short one either goes on or says why it cannot (ENOSPC, EFBIG, …)
        count = os.pwrite(descriptor, piece[taken:], offset + taken)
        if count == 0:
            raise OSError(errno.EIO, "the file system takes no more bytes and does not say why")
        taken += count


def copy_range(source: int, target: int, length: int, offset: int, copy: KernelCopy | None = kernel_copy) -> None:
    """Copy the first `length` bytes of `source` to `offset` in `target`, inside the kernel where it can do that.

    Raises OSError, also when the source is shorter.
    """
    done = _copied_by_kernel(source, target, length, offset, copy) if copy is not None else 0
    while done < length:
        piece = os.pread(source, min(PIECE, length - done), done)
        if not piece:
            raise OSError(errno.EIO, f"the source ends after {done} of {length} bytes")
        write_all(target, memoryview(piece), offset + done)
        done += len(piece)


def _copied_by_kernel(source: int, target: int, length: int, offset: int, copy: KernelCopy) -> int:
    done = 0
    try:
        while done < length:
            count = copy(source, target, length - done, done, offset + done)
            if count == 0:  # the end of the source, or a file system that pretends: reading will tell
                break
            done += count
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
    return done


def _drop_cached(descriptor: int, offset: int, length: int) -> None:
    with suppress(OSError):  # a hint
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


# Takes what is on the disk already out of the page cache: descriptor, offset, length.
drop_cached: Final[WriteBack | None] = _drop_cached if hasattr(os, "posix_fadvise") else None


def write_back_call() -> WriteBack | None:
    """Linux's sync_file_range, which has the kernel begin to write a file's range to the disk; None elsewhere.

    It is a hint: nothing is durable by it, so its result says nothing that the sync after it does not.
    """
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError, TypeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def begin(descriptor: int, offset: int, length: int) -> None:
        call(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)

    return begin
