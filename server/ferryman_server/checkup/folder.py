"""The data folder: can it be used, on what kind of file system does it lie, how much room and how fast a disk.

A folder that is not there yet is judged by the nearest parent that is: `serve` makes the rest.
"""

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.humane import human_size
from ferryman_server.settings import Settings

MOUNTS: Final = Path("/proc/self/mountinfo")
VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
NETWORK: Final = re.compile(
    r"(nfs\d?|cifs|smb3?|smbfs|9p|afs|ceph|lustre|ncpfs|fuse\.(sshfs|rclone|s3fs|glusterfs|.*nfs.*))"
)
LITTLE_ROOM: Final = 1 << 30  # bytes
SLOW_SYNC: Final = 0.1  # seconds: every answer to an upload waits for a sync
ROUNDS: Final = 5


class Mount(NamedTuple):
    """Where a file system begins, and its kind."""

    point: str
    kind: str


def check_folder(settings: Settings) -> list[Finding]:
    """Everything about the folder."""
    present = nearest(settings.data)
    findings = [_usable(settings.data, present)]
    mount = mount_of(present, _mounts())
    if mount is not None:
        findings.append(judge_mount(mount))
    findings.append(_room(present, settings))
    if os.access(present, os.W_OK | os.X_OK):
        findings.append(judge_sync(sync_time(present), settings))
    return findings


def nearest(path: Path) -> Path:
    """The path itself if it exists, or the nearest of its parents that does."""
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _usable(data: Path, present: Path) -> Finding:
    if not present.is_dir():
        return wrong(f"{present} is not a folder", "remove it, or choose another folder with --data")
    if not os.access(present, os.R_OK | os.W_OK | os.X_OK):
        return wrong(
            f"the folder {present} cannot be read and written by user id {os.geteuid()}",
            f"change its owner (chown {os.geteuid()} {present}) or choose another folder with --data",
        )
    if present != data:
        return ok(f"the data folder {data} is not there yet; serve makes it")
    return ok(f"the data folder {data} can be read and written")


def _mounts() -> str:
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return ""


def mount_of(path: Path, mountinfo: str) -> Mount | None:
    """The file system that `path` lies on, by the text of `/proc/self/mountinfo` (proc(5)); None: it does not tell."""
    target, best = path.resolve(), None
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        # a later mount at the same place covers the earlier one
        if target.is_relative_to(point) and (best is None or len(point) >= len(best.point)):
            best = Mount(point, after.split(" ")[0])
    return best


def judge_mount(mount: Mount) -> Finding:
    """Whether uploads and a database are safe on this kind of file system."""
    where = f"the data lie on {mount.kind} (mounted at {mount.point})"
    if mount.kind in VOLATILE:
        return wrong(f"{where}, which is memory: everything is gone after a reboot", "choose a folder on a disk")
    if NETWORK.fullmatch(mount.kind):
        return wrong(
            f"{where}, a network file system: SQLite's log and the kernel's locks do not work reliably there",
            "choose a folder on a disk of this machine",
        )
    if mount.kind in ("overlay", "aufs"):
        return note(
            f"{where}, a container's own layer: it is gone when the container is removed",
            "mount a volume at the data folder",
        )
    return ok(where)


def _room(present: Path, settings: Settings) -> Finding:
    status = os.statvfs(present)
    free = status.f_bavail * status.f_frsize
    inodes = status.f_favail if status.f_files else None  # file systems without a table of inodes say 0
    text = f"{human_size(free)} are free"
    remedy = "free some room, or choose a folder on a larger disk with --data"
    if inodes is not None and inodes < 1000:
        return wrong(f"the file system has room for {inodes} more files only", "remove files, or choose another disk")
    if free == 0:
        return wrong("the disk is full: every upload is refused", remedy)
    if settings.max_size is not None and free < settings.max_size and not settings.in_bucket:
        return note(f"{text}, less than the largest upload allowed ({human_size(settings.max_size)})", remedy)
    return note(text, remedy) if free < LITTLE_ROOM else ok(text)


def sync_time(folder: Path, sync: Callable[[int], None] = os.fdatasync) -> float:
    """Seconds that a sync of 4 KiB takes here, the median of a few; the file has no name that could be left behind."""
    times = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(ROUNDS):
            file.write(bytes(4096))
            began = time.perf_counter()
            sync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def judge_sync(seconds: float, settings: Settings) -> Finding:
    """Say the disk's own figure; durable answers cannot be faster."""
    text = f"the disk takes {seconds * 1000:.2f} ms to make 4 KiB durable"
    if settings.durability == "os":
        return note(
            'durability is "os": nothing is synced, a power cut may lose bytes that clients were told are safe',
            'set durability to "disk" unless lost bytes do not matter',
        )
    if seconds > SLOW_SYNC:
        return note(f"{text}: every answer waits for that", "choose a faster disk if uploads feel slow")
    return ok(text)
