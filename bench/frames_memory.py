"""What indexing an archive costs a server in memory: its peak beside that of the same bytes not indexed.

Two archives, one of stored frames and one of deflated ones, each into a fresh server process, since a peak is for good.
"""

import json
import statistics
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.bucket import Depot
from bench.fresh_server import fresh_server
from bench.servers import Server, without_derived
from bench.slow import Verdict
from ferryman_server.benching.archives import Archive, Packed, frames_archive, pack, stored
from ferryman_server.benching.sending import Sender
from ferryman_server.media.entries import DEFLATED
from tests.support import archive as film

MOST: Final = 16 * 1.048576  # MB (1e6 bytes) that indexing may cost: 16 MiB
STORED: Final = 3400  # frames: 522 MB
DEFLATED_MB: Final = 100


def memory(server: Server, times: int, place: Path, depot: Depot | None = None) -> list[Verdict]:
    """Peaks with indexing and without, so often each, in turns. Raises CannotMeasure."""
    archives = {"stored": frames_archive(STORED), "deflated": deflated_archive(DEFLATED_MB * 10**6)}
    return [_judged(name, archive, server, times, place, depot) for name, archive in archives.items()]


def deflated_archive(size: int) -> Archive:
    """A film's frames, deflated, again and again until there are so many bytes."""
    with zipfile.ZipFile(film.frames_archive()) as whole:
        frames = [whole.read(name) for name in whole.namelist() if name != "metadata.json"]
    packed = [(_deflate(each), len(each), zlib.crc32(each)) for each in frames]
    entries = list(_repeated(packed, size))
    said = {"width": film.WIDTH, "height": film.HEIGHT, "format": "rgb565le", "fps": 25, "frames": len(entries)}
    return pack([stored("metadata.json", json.dumps(said).encode()), *entries])


def _repeated(packed: list[tuple[bytes, int, int]], size: int) -> Iterator[Packed]:
    number = 0
    while size > 0:
        data, unpacked, crc = packed[number % len(packed)]
        yield Packed(f"frames/frame_{number:05}.rgb", data, unpacked, crc, DEFLATED)
        size -= len(data)
        number += 1


def _deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


def _judged(name: str, archive: Archive, server: Server, times: int, place: Path, depot: Depot | None) -> Verdict:
    peaks: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * times):
        indexed = number % 2 == 1
        peaks[indexed].append(_peak(archive, server, place, depot, indexed=indexed))
    plain, more = (statistics.median(peaks[indexed]) for indexed in (False, True))
    text = f"{more:.1f} MB at most, {plain:.1f} not indexed: {more - plain:+.1f}"
    title = f"memory: {archive.size / 1e6:.0f} MB {name}"
    return Verdict(title, text, more - plain <= MOST)


def _peak(archive: Archive, server: Server, place: Path, depot: Depot | None, *, indexed: bool) -> float:
    with fresh_server(without_derived(server), place, depot) as fresh:
        Sender(fresh.address).upload(archive, "film.zip", indexed=indexed)
        return fresh.process.peak_megabytes()
