"""One sync for many files: Linux's `syncfs`, where it is known to tell when something could not be stored.

A sync of each of many small files costs a commit of the file system's journal each, `syncfs` costs one for all of them.
It counts as good only where an error is certain to come out of it: on kernels from 5.17 on (earlier ones drop what the
file system itself reports), and on file systems that report there at all. What was written between `open` of the
descriptor and the call is covered; an error of somebody else's file may come out too, so a failure proves nothing.
"""

import ctypes
import os
import platform
import re
import sys
from pathlib import Path
from typing import Final

OLDEST_KERNEL: Final = (5, 17)
TELLING: Final = frozenset({"btrfs", "ext4", "xfs"})  # file systems whose `sync_fs` hands on what went wrong


def sync_filesystem(descriptor: int) -> None:
    """Make everything durable that was written to the file system `descriptor` lies on. Raises OSError."""
    if _libc().syncfs(descriptor) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def tells_failures(folder: Path) -> bool:
    """Whether `sync_filesystem` is there and to be trusted for files below this folder."""
    return kernel_is_new(platform.release()) and file_system_of(folder) in TELLING and hasattr(_libc(), "syncfs")


def kernel_is_new(release: str) -> bool:
    """Whether this release of Linux, as `uname -r` tells it, is new enough."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return sys.platform == "linux" and match is not None and (int(match[1]), int(match[2])) >= OLDEST_KERNEL


def file_system_of(folder: Path) -> str | None:
    """The type of the file system that a folder lies on, as the kernel calls it; None where it does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    path, found, longest = os.path.realpath(folder), None, 0
    for line in mounts:  # of two mounts on one point the later one is on top
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), before.split(" ")[4])
        below = path == point or path.startswith(point.rstrip("/") + "/")
        if below and len(point) >= longest:
            found, longest = after.split(" ")[0], len(point)
    return found


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
