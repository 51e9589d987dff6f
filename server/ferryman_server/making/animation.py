"""How long an animated GIF, PNG or WebP runs once, told from its structure: nothing is decoded.

Sources: GIF89a §§17 to 27; PNG 11.3.7.2 (fcTL); RFC 9649 2.7.1.1 (ANMF).
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

_MOST_PICTURES: Final = 20_000
_MOST_PARTS: Final = 500_000  # chunks or blocks: a GIF of 64 MiB has half of that
_AT_ONCE: Final = 0.01  # seconds: pictures that ask for no more are shown for 0.1, by all browsers
_SLOW: Final = 0.1


def running_time(file: BinaryIO) -> tuple[int, float]:
    """How many pictures there are, and their seconds; (0, 0.0): it is no animation, or a damaged one. Raises what
    reading the file does."""
    file.seek(0)
    head = file.read(16)
    find = _gif if head[:3] == b"GIF" else _png if head[:4] == b"\x89PNG" else _webp if head[8:12] == b"WEBP" else None
    if find is None:
        return 0, 0.0
    count, total = 0, 0.0
    for count, seconds in enumerate(find(file), 1):
        total += seconds if seconds > _AT_ONCE else _SLOW
        if count == _MOST_PICTURES:
            break
    return (count, round(total, 3)) if count > 1 else (0, 0.0)


def _png(file: BinaryIO) -> Iterator[float]:
    at = 8
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        if head[4:] == b"fcTL":
            control = file.read(24)
            if len(control) == 24:
                parts, whole = struct.unpack(">HH", control[20:24])
                yield parts / (whole or 100)
        at += 12 + int.from_bytes(head[:4], "big")


def _webp(file: BinaryIO) -> Iterator[float]:
    at = 12
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(8 + 15)
        if len(head) < 8:
            return
        if head[:4] == b"ANMF" and len(head) == 23:
            yield int.from_bytes(head[20:23], "little") / 1000
        length = int.from_bytes(head[4:8], "little")
        at += 8 + length + length % 2


def _gif(file: BinaryIO) -> Iterator[float]:
    file.seek(10)
    (flags,) = file.read(1) or b"\0"
    file.seek(13 + _table(flags))
    delay = 0.0
    for _ in range(_MOST_PARTS):
        block = file.read(1)
        if block == b"!":
            if file.read(1) == b"\xf9":  # graphic control
                delay = int.from_bytes(file.read(5)[2:4], "little") / 100
        elif block == b",":
            descriptor = file.read(9)
            if len(descriptor) < 9:
                return
            file.seek(_table(descriptor[8]) + 1, 1)  # and the size of its codes
            yield delay
            delay = 0.0
        else:
            return
        if not _pass_blocks(file):
            return


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _pass_blocks(file: BinaryIO) -> bool:
    """Data sub-blocks, up to the one without data; False: the file ends before."""
    for _ in range(_MOST_PARTS):
        length = file.read(1)
        if length in (b"", b"\0"):
            return bool(length)
        file.seek(length[0], 1)
    return False
