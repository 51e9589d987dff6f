"""A PNG or JPEG picture without what its pixels can do without: Exif, colour profiles, texts, further images.

A decoder that never sees these cannot stumble over them. Pillow reads them before the pixels, in Python: it joins the
Exif segments of a JPEG one by one (time grows with the square of their number), takes them apart to find a resolution,
unpacks texts of a PNG, and gives warnings about broken ones. WebP needs none of this: libwebp passes over its own.

Sources: ITU-T T.81 B.1.1 (markers) and B.2.3 (scans); PNG 5.3 (chunk layout) and 5.6 (chunk order).
"""

import re
import struct
from typing import Final

from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_rules import BadPicture

_MARKER: Final = re.compile(rb"\xff+([^\x00\xff])")  # fill bytes may come before it; FF 00 is none
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_STAND_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM, RSTm: no length follows
_LEFT_OUT: Final = frozenset({_COM, *range(0xE1, 0xF0)}) - {0xEE}  # APP0 and APP14 tell libjpeg the colour space
_MOST_SCANS: Final = 100
"""Encoders write ten or so. Each costs the decoder a pass over the whole picture and the sender a few bytes only."""

_SIGNATURE: Final = 8  # bytes that a PNG begins with
_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def bare(data: bytes, format: Format) -> bytes:
    """The picture with the same pixels; `data` begin like a picture of this format. Raises BadPicture where they end
    before it does, or have more scans than any encoder makes."""
    if format is Format.JPEG:
        return _jpeg(data)
    return _png(data) if format is Format.PNG else data


def _jpeg(data: bytes) -> bytes:
    whole = memoryview(data)
    kept = [whole[:2]]
    at = 2
    while found := _MARKER.search(data, at):
        marker, begins, at = found[1][0], found.start(1) - 1, found.end()
        if marker == _SOS:
            scans = data.count(b"\xff\xda", begins)
            if scans > _MOST_SCANS:
                raise BadPicture(f"it is a JPEG picture of {scans} scans; at most {_MOST_SCANS} are decoded")
            return b"".join([*kept, whole[begins:]])  # further segments between scans are libjpeg's alone
        if marker in _STAND_ALONE:
            continue
        length = int.from_bytes(whole[at : at + 2], "big")  # of the segment, these two bytes included
        if marker in (_SOI, _EOI) or length < 2 or at + length > len(data):
            break
        at += length
        if marker not in _LEFT_OUT:
            kept.append(whole[begins:at])
    raise BadPicture("it is a JPEG picture that ends, or is damaged, before its pixels begin")


def _png(data: bytes) -> bytes:
    whole = memoryview(data)
    kept = [whole[:_SIGNATURE]]
    at = _SIGNATURE
    while at + 12 <= len(data):  # a chunk's length, name and CRC-32 take four bytes each
        length, name = struct.unpack_from(">I4s", data, at)
        ends = at + 12 + length
        if ends > len(data):
            break
        if name in _KEPT:
            kept.append(whole[at:ends])
        if name == b"IEND":
            return b"".join(kept)
        at = ends
    raise BadPicture(f"it is a PNG picture that ends too early, within the chunk at byte {at}")
