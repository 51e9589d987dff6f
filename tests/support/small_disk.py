"""Disks that are full soon: a bound on the size of a server's files, and a small disk that only the server sees."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.process import Server

NEW_MOUNTS: Final = ("unshare", *(("--user", "--map-root-user") if os.geteuid() else ()), "--mount")
_ENTER: Final = ("nsenter", *(("--user", "--preserve-credentials") if os.geteuid() else ()), "--mount")
_MOUNT_AND_RUN: Final = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'


def can_mount() -> bool:
    """Whether a process here may mount a small disk that nobody else sees."""
    mount = [*NEW_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/tmp"]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def with_file_limit(data: Path, size: int, *flags: str) -> Server:
    """A server, not started yet, none of whose files may grow beyond `size` bytes."""
    return Server(data, *flags, prefix=("prlimit", f"--fsize={size}:unlimited"))


def lift_file_limit(server: Server) -> None:
    """Let the running server's files grow again."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)


def on_small_disk(data: Path, size: int, *flags: str) -> Server:
    """A server, not started yet, whose data folder is a disk of `size` bytes. The disk is gone with the process."""
    data.mkdir()
    return Server(data, *flags, prefix=(*NEW_MOUNTS, "sh", "-c", _MOUNT_AND_RUN, str(size), str(data)))


@contextmanager
def lasting_small_disk(folder: Path, size: int) -> Iterator[tuple[tuple[str, ...], Path]]:
    """A disk of `size` bytes mounted on `folder`, that lasts over several processes: the prefix of a command that is to
    see it, and the folder as everybody else sees it."""
    folder.mkdir()
    hold = (*NEW_MOUNTS, "sh", "-c", _MOUNT_AND_RUN, str(size), str(folder), "sh", "-c", "echo mounted; exec cat")
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "mounted\n", "the small disk could not be mounted"
            yield (*_ENTER, "--target", str(holder.pid)), Path(f"/proc/{holder.pid}/root{folder.resolve()}")
        finally:
            holder.stdin.close()  # `cat` ends, and the mount with it


def seen_by(server: Server) -> Path:
    """The data folder as the running server sees it."""
    return Path(f"/proc/{server.pid}/root{server.data.resolve()}")


def fill(folder: Path) -> Path:
    """Fill the disk to its last block; returns the file that does it, to be removed."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        block = bytes(4096)
        try:
            while True:
                stream.write(block)
        except OSError:
            return ballast
