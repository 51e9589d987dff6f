"""Archives of frames to send, in next to no memory.

An archive of 5,000 frames has 768 MB. It is a sequence of views here: each frame is the same noise, turned by another
number of bytes, so that no two are alike and none can be compressed. Whoever sends them sends from the processor's
cache, and takes nothing of the machine that is being measured but the sending.
"""

import json
import random
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.media.entries import STORED

WIDTH: Final = 320  # pixels
HEIGHT: Final = 240
FRAME: Final = WIDTH * HEIGHT * 2  # bytes: rgb565le
MOST_FRAMES: Final = 20_000  # of one archive: it has no zip64 fields, so less than 4 GiB and 65,535 entries

_LOCAL: Final = struct.Struct("<4s5H3L2H")  # APPNOTE 4.3.7
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_END: Final = struct.Struct("<4s4H2LH")  # 4.3.16
_VERSION: Final = 20  # 2.0: needed for folders and deflate
_DATE: Final = 1 << 5 | 1  # the first of January 1980, the earliest there is


@dataclass(frozen=True, slots=True)
class Packed:
    """An entry's bytes as they stand in an archive."""

    name: str  # ASCII
    data: bytes | memoryview
    size: int  # bytes unpacked
    crc: int  # of the unpacked bytes
    method: int = STORED


@dataclass(frozen=True, slots=True)
class Archive:
    """A ZIP archive, or any other body, in pieces."""

    pieces: Sequence[bytes | memoryview]
    size: int  # bytes

    def first(self, size: int) -> Iterator[memoryview]:
        """Its first `size` bytes, of which there are as many."""
        for piece in self.pieces:
            if size <= 0:
                return
            yield memoryview(piece)[:size]
            size -= len(piece)


def frames_archive(count: int) -> Archive:
    """So many frames, stored, behind a `metadata.json`; the same bytes each time. At most MOST_FRAMES."""
    said = {"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": 25, "frames": count}
    return pack([stored("metadata.json", json.dumps(said).encode()), *_frames(count)])


def stored(name: str, data: bytes | memoryview) -> Packed:
    """An entry that is not compressed."""
    return Packed(name, data, len(data), zlib.crc32(data))


def pack(entries: Iterable[Packed]) -> Archive:
    """Put entries into an archive, with their sizes in the local headers."""
    pieces: list[bytes | memoryview] = []
    listed: list[bytes] = []
    offset = 0
    for entry in entries:
        name = entry.name.encode("ascii")
        fields = (_VERSION, 0, entry.method, 0, _DATE, entry.crc, len(entry.data), entry.size, len(name), 0)
        header = _LOCAL.pack(b"PK\3\4", *fields) + name
        listed.append(_CENTRAL.pack(b"PK\1\2", _VERSION, *fields, 0, 0, 0, 0, offset) + name)
        pieces += [header, entry.data]
        offset += len(header) + len(entry.data)
    directory, count = b"".join(listed), len(listed)
    pieces += [directory, _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)]
    return Archive(pieces, offset + len(directory) + _END.size)


def _frames(count: int) -> Iterator[Packed]:
    chance = random.Random(count)
    noise = chance.randbytes(FRAME)
    twice = memoryview(noise + noise)
    for number in range(count):
        turned = chance.randrange(FRAME)
        yield stored(f"frames/frame_{number:05}.rgb", twice[turned : turned + FRAME])
