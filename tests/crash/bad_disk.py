"""`ferryman` on a disk that is slow, or refuses to sync, as a file says while it runs; and with a clock that is ahead.

Run as a program in the place of `ferryman`: `python -P bad_disk.py serve …`. Two variables speak to it:

- `BAD_DISK` names the file that says what the disk does: `name=number` pairs in one line (see :class:`Trouble`). It is
  read before each sync, so whoever writes it changes the disk of a running server.
- `CLOCK_AHEAD`: seconds by which `time.time` is ahead of the machine's clock.

A sync that fails here does what a kernel does: the pages count as clean and may be dropped. So what was written since
the last good sync of that file is overwritten with zeros: whoever trusts it after the error finds it wrong. When a sync
of the whole file system fails, that happens to every file, and the next sync of each tells so, too.
"""

import ctypes
import errno
import os
import random
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

MODES: Final = ("delay", "write_delay", "fail_files", "fail_folders")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the disk."""

    delay: float = 0.0  # seconds that each sync takes longer
    write_delay: float = 0.0  # seconds that each write takes longer
    fail_files: float = 0.0  # the part of files' syncs that fail, 0 to 1
    fail_folders: float = 0.0  # the same of folders'

    def __str__(self) -> str:
        return " ".join(f"{mode}={getattr(self, mode)}" for mode in MODES if getattr(self, mode))


def read_trouble(path: str) -> Trouble:
    """What the file says; no file, or an empty one: nothing is wrong."""
    try:
        with open(path, encoding="ascii") as stream:
            said = dict(pair.split("=") for pair in stream.read().split())
    except FileNotFoundError:
        return Trouble()
    return Trouble(**{mode: float(value) for mode, value in said.items()})


_Key: TypeAlias = tuple[int, str]


@dataclass(slots=True)
class _Fresh:
    """What was written to a file since its last good sync."""

    path: str
    ranges: list[tuple[int, int]] = field(default_factory=list)  # start and stop, in bytes


class BadDisk:
    """Stands before `os.pwrite`, `os.fdatasync`, `os.fsync` and the C library's `syncfs` in this process."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._chance = random.Random(control)
        self._pwrite, self._fdatasync, self._fsync = os.pwrite, os.fdatasync, os.fsync
        self._fresh: dict[_Key, _Fresh] = {}
        self._untold: set[_Key] = set()  # files that lost bytes and whose own sync has not said so yet
        self._guard = threading.Lock()

    def install(self) -> None:
        """Take the functions' places."""
        os.pwrite = self._write  # type: ignore[assignment]
        os.fdatasync = lambda fd: self._sync(fd, self._fdatasync)  # type: ignore[arg-type]
        os.fsync = lambda fd: self._sync(fd, self._fsync)  # type: ignore[arg-type]
        disk = self

        class Library(ctypes.CDLL):
            def __getattr__(self, name: str) -> Any:
                found = super().__getattr__(name)
                return partial(disk._sync_all, found) if name == "syncfs" else found

        ctypes.CDLL = Library  # type: ignore[misc]

    def _write(self, descriptor: int, data: memoryview, offset: int) -> int:
        delay = read_trouble(self._control).write_delay
        if delay:
            time.sleep(delay)
        count = self._pwrite(descriptor, data, offset)
        path = _path(descriptor)
        with self._guard:
            fresh = self._fresh.setdefault(_key(descriptor, path), _Fresh(path))
            if fresh.ranges and fresh.ranges[-1][1] == offset:
                offset = fresh.ranges.pop()[0]
            fresh.ranges.append((offset, offset + count))
        return count

    def _sync(self, descriptor: int, sync: Callable[[int], None]) -> None:
        key, folder = _key(descriptor, _path(descriptor)), stat.S_ISDIR(os.fstat(descriptor).st_mode)
        with self._guard:
            fresh = self._fresh.pop(key, None)
            lost = key in self._untold
            self._untold.discard(key)
        if lost or self._fails("fail_folders" if folder else "fail_files"):
            if fresh is not None:
                self._drop(fresh)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    def _sync_all(self, sync: Callable[[int], int], descriptor: int) -> int:
        with self._guard:
            everything, self._fresh = self._fresh, {}
        if self._fails("fail_files"):
            with self._guard:
                self._untold |= everything.keys()
            for fresh in everything.values():
                self._drop(fresh)
            ctypes.set_errno(errno.EIO)
            return -1
        return sync(descriptor)

    def _fails(self, mode: str) -> bool:
        """Whether a sync is to fail, after the time that it takes."""
        trouble = read_trouble(self._control)
        if trouble.delay:
            time.sleep(trouble.delay * self._chance.uniform(0.5, 1.5))
        chance: float = getattr(trouble, mode)
        return self._chance.random() < chance

    def _drop(self, fresh: _Fresh) -> None:
        """Lose the pages."""
        try:
            descriptor = os.open(fresh.path, os.O_WRONLY)
        except FileNotFoundError:  # deleted, or moved
            return
        try:
            for start, stop in fresh.ranges:
                stop = min(stop, os.fstat(descriptor).st_size)
                for position in range(start, stop, 1 << 20):
                    self._pwrite(descriptor, bytes(min(1 << 20, stop - position)), position)
        finally:
            os.close(descriptor)


def _path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _key(descriptor: int, path: str) -> _Key:
    """What a file keeps when it moves to another folder. An inode alone is soon another file's."""
    return os.fstat(descriptor).st_ino, os.path.basename(path)


def _put_clock_ahead(seconds: float) -> None:
    honest = time.time
    time.time = lambda: honest() + seconds


def main() -> int:
    """Prepare the process, then be `ferryman`."""
    control, ahead = os.environ.pop("BAD_DISK", ""), os.environ.pop("CLOCK_AHEAD", "")
    if control:
        BadDisk(control).install()
    if ahead:
        _put_clock_ahead(float(ahead))
    from ferryman_cli import main as ferryman  # only now: its modules keep the functions they find

    return ferryman()


if __name__ == "__main__":
    sys.exit(main())
