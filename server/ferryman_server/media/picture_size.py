"""Width and height of a PNG, JPEG or WebP picture from its first bytes, fed in pieces as they come.

At most 16 bytes are kept: what a JPEG picture has before its size (Exif with a preview, colour profiles) is passed over
without being held. Sizes are as stored: an Exif orientation turns nothing. Whatever the bytes are, nothing is raised,
and the work is bounded: a JPEG whose size does not come within so many markers is none.

Sources: PNG 11.2.1 (IHDR); ITU-T T.81 B.1.1 (markers) and B.2.2 (frame header); RFC 9649 (WebP) 2.5 to 2.7 and 3.4,
RFC 6386 9.1 (VP8 frame header).
"""

import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeAlias

from ferryman_server.media.frame_formats import Format

_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_MOST_SIDE: Final = 2**31 - 1  # PNG 7.1
_MOST_MARKERS: Final = 8192  # each at most 64 KiB long; the largest profiles and previews take a few hundred
_STAND_ALONE: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})  # a stuffed byte, TEM, RSTm: no length follows
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn, without DHT, JPG, DAC
_TOO_LATE: Final = frozenset({0xD8, 0xD9, 0xDA})  # SOI, EOI, SOS: no frame header comes before or after these


@dataclass(frozen=True, slots=True)
class PictureSize:
    """What a picture says of itself."""

    format: Format
    width: int  # pixels, from 1
    height: int


_Take: TypeAlias = int
"""So many bytes are needed next; a negative number: so many are passed over."""
_Parser: TypeAlias = Generator[_Take, bytes, PictureSize | None]


class Sizer:
    """Takes the bytes of one file from its beginning until it knows."""

    def __init__(self) -> None:
        self.size: PictureSize | None = None  # None: not known yet; once `done`, it is none of these pictures
        self.done = False  # no further byte is needed
        self._held = bytearray()
        self._parser = _picture()
        self._take = next(self._parser)

    def feed(self, piece: bytes | memoryview) -> bool:
        """Take the next bytes; returns `done`. When the file ends before, it is none of these pictures."""
        at = 0
        while not self.done and at < len(piece):
            if self._take < 0:
                step = min(-self._take, len(piece) - at)
                self._take += step
            else:
                step = min(self._take - len(self._held), len(piece) - at)
                self._held += piece[at : at + step]
            at += step
            if len(self._held) == self._take:
                self._go_on()
        return self.done

    def _go_on(self) -> None:
        held = bytes(self._held)
        self._held.clear()
        try:
            self._take = self._parser.send(held)
        except StopIteration as end:
            self.size = end.value
            self.done = True


def _picture() -> _Parser:
    head = yield 3
    if head == _PNG[:3]:
        return (yield from _png())
    if head == b"\xff\xd8\xff":
        return (yield from _jpeg())
    if head == b"RIF":
        return (yield from _webp())
    return None


def _png() -> _Parser:
    if (yield len(_PNG) - 3) != _PNG[3:]:
        return None
    return _sized(Format.PNG, *struct.unpack(">II", (yield 8)))


def _jpeg() -> _Parser:
    after_ff = True
    for _ in range(_MOST_MARKERS):
        (byte,) = yield 1
        if byte == 0xFF or not after_ff:  # "any marker may be preceded by any number of fill bytes", T.81 B.1.1.2
            after_ff = byte == 0xFF
            continue
        after_ff = False
        if byte in _TOO_LATE:
            return None
        if byte in _FRAME_HEADERS:
            height, width = struct.unpack(">3xHH", (yield 7))
            return _sized(Format.JPEG, width, height)
        if byte not in _STAND_ALONE:
            (length,) = struct.unpack(">H", (yield 2))
            if length < 2:
                return None
            if length > 2:
                yield 2 - length
    return None


def _webp() -> _Parser:
    head = yield 13
    if head[:1] != b"F" or head[5:9] != b"WEBP":
        return None
    yield -4  # the chunk's size
    match head[9:]:
        case b"VP8 ":
            tag, start, width, height = struct.unpack("<B2x3sHH", (yield 10))
            if tag & 1 or start != b"\x9d\x01\x2a":  # not a key frame
                return None
            return _sized(Format.WEBP, width & 0x3FFF, height & 0x3FFF)  # above: how to scale it
        case b"VP8L":
            mark, sides = struct.unpack("<BI", (yield 5))
            return _sized(Format.WEBP, (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1) if mark == 0x2F else None
        case b"VP8X":
            canvas = yield 10
            return _sized(Format.WEBP, *(int.from_bytes(canvas[at : at + 3], "little") + 1 for at in (4, 7)))
    return None


def _sized(form: Format, width: int, height: int) -> PictureSize | None:
    """None where a side is missing: zero, which in a JPEG says that the height comes after the first scan."""
    return PictureSize(form, width, height) if 1 <= width <= _MOST_SIDE and 1 <= height <= _MOST_SIDE else None
