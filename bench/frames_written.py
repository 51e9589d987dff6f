"""How many bytes are written for each that is received, when an archive of frames comes in.

Told three ways: what the folders have grown by after a sync (the database, its log, the archive itself, and in MinIO
what that keeps), what the server's processes made dirty in the page cache (`write_bytes` of /proc/PID/io; a page of the
log that holds the ends of two commits counts twice), and what they handed to the kernel (`wchar`, without sockets). The
first two are judged; into MinIO the first, since the server writes nothing but its database there. A small archive
comes first: what is made once (databases, their tables, their logs) is not a matter of the bytes received.
"""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.background import derived, slug_of
from bench.bucket import Depot
from bench.fresh_server import Fresh, fresh_server
from bench.processes import family
from bench.servers import Server, without_derived
from bench.slow import Verdict
from ferryman_server.benching.archives import Archive
from ferryman_server.benching.archives import frames_archive as small_archive
from ferryman_server.benching.sending import Sender
from tests.support.archive import frames_archive

MOST: Final = 1.01  # bytes that are there for each received, without derived pictures
MOST_DERIVED: Final = 0.03  # of the archive more, with them
WARM: Final = 10  # frames of the first archive
SETTLED: Final = 2.0  # seconds after the frames are there: the file has been moved, thumbnails are gone


@dataclass(frozen=True, slots=True)
class Written:
    """What an archive came to, in bytes."""

    received: int
    dirtied: int  # in the page cache
    handed: int  # to the kernel; sockets count too where uvloop writes to them
    grown: int  # on the disk
    made: int  # sizes of what was made of it in the background
    kinds: int  # how many

    def times(self, value: int) -> str:
        """A figure for people: per byte received."""
        return f"{value / self.received:.4f}"


def written(server: Server, place: Path, depot: Depot | None = None) -> list[Verdict]:
    """Upload a film's frames, with derived pictures and without. Raises CannotMeasure."""
    archive = Archive([frames_archive().read_bytes()], frames_archive().stat().st_size)
    bare = _measured(archive, without_derived(server), place, depot, background=False)
    whole = _measured(archive, server, place, depot, background=True)
    return judge(bare, whole, into_minio=depot is not None)


def judge(bare: Written, whole: Written, *, into_minio: bool) -> list[Verdict]:
    """Both as lines, with whether the budgets hold."""
    written = bare.grown if into_minio else max(bare.grown, bare.dirtied)
    handed = "" if into_minio else f", {bare.times(bare.handed)} handed to the kernel"
    return [
        Verdict(
            f"written: {bare.received / 1e6:.0f} MB",
            f"for each byte received {bare.times(bare.grown)} on the disk; by the server {bare.times(bare.dirtied)} "
            f"dirtied{handed}",
            written <= MOST * bare.received,
        ),
        _of_derived(bare, whole),
    ]


def _of_derived(bare: Written, whole: Written) -> Verdict:
    title = "… with derived pictures"
    if not whole.kinds:
        return Verdict(title, "not measured: this server makes none")
    more = (whole.grown - bare.grown) / whole.received
    text = (
        f"{more:+.4f} on the disk; {whole.kinds} of {whole.made / 1e3:,.0f} kB together: "
        f"{whole.made / whole.received:.4f}"
    )
    return Verdict(title, text, more <= MOST_DERIVED)


def _measured(archive: Archive, server: Server, place: Path, depot: Depot | None, *, background: bool) -> Written:
    with fresh_server(server, place, depot) as fresh:
        folders = [fresh.data, *([depot.objects] if depot else [])]
        _published(fresh, small_archive(WARM), "warm.zip", background=background)
        before, dirtied, handed = _grown(folders), _io(fresh, "write_bytes"), _io(fresh, "wchar")
        made = _published(fresh, archive, "film.zip", background=background)
        return Written(
            received=archive.size,
            dirtied=_io(fresh, "write_bytes") - dirtied,
            handed=_io(fresh, "wchar") - handed,
            grown=_grown(folders) - before,
            made=sum(each["size"] or 0 for each in made),
            kinds=sum(each["state"] == "ready" for each in made),
        )


def _published(fresh: Fresh, archive: Archive, name: str, *, background: bool) -> list[dict[str, Any]]:
    """Upload an archive, and wait for all that follows; what was made of it in the background."""
    sender = Sender(fresh.address)
    path = sender.create(archive.size, name)
    sender.put(path, archive)
    made = derived(fresh.address, slug_of(fresh.address, path)) if background else []
    time.sleep(SETTLED)
    return made


def _io(fresh: Fresh, name: str) -> int:
    """One of the figures of /proc/PID/io, of all its processes together."""
    told = "\n".join(Path(f"/proc/{pid}/io").read_text() for pid in family(fresh.process.pid))
    return sum(map(int, re.findall(rf"^{name}: (\d+)$", told, re.MULTILINE)))


def _grown(folders: list[Path]) -> int:
    """The room that all files below these folders take on the disk."""
    os.sync()  # before, not every file has its blocks
    return sum(_room(Path(root) / name) for folder in folders for root, _, names in os.walk(folder) for name in names)


def _room(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:  # it went while we looked
        return 0
