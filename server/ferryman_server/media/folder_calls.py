"""What replacing a folder as a whole asks of the kernel: two names that change places, locks on folders, syncs."""

import ctypes
import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from ferryman_server.storage.joined_sync import sync_filesystem, tells_failures

CANNOT_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What `exchange` raises on an old kernel and on some file systems: there it has to be done in two steps."""

_AT_FDCWD: Final = -100  # linux/fcntl.h
_RENAME_EXCHANGE: Final = 2  # linux/fs.h


def exchange(one: Path, other: Path) -> None:
    """Linux's renameat2 (2): two names change places in one step. Raises OSError."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(one), None, str(other))


def open_folder(path: Path) -> int:
    """Its descriptor; a link is not followed. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def lock(descriptor: int) -> bool | None:
    """Take the lock on an open folder, until it is closed. False: somebody has it. None: this file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(path: Path, descriptor: int) -> bool:
    """Whether an open folder is there under this name."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def make_durable(descriptor: int, folder: Path) -> None:
    """One sync for all files in a folder; where that does not tell for certain whether all went well, each one is
    asked, which is quick then. `descriptor`: the folder's, opened before they were written. Raises OSError."""
    with suppress(OSError, AttributeError):  # AttributeError: not Linux
        sync_filesystem(descriptor)
        if tells_failures(folder):
            return
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def sync(path: Path) -> None:
    """Make a file durable, or what a folder lists. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
