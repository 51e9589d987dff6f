"""How a PNG, JPEG or WebP picture lies, from its Exif, with no decoder and without reading its pixels.

Only this one field is looked for, in the first directory; whatever is damaged or missing means upright. The work is
bounded: so many segments or chunks, so many fields.

Sources: Exif 3.0 §4.5.4 (APP1), §4.6.2 (directories), §4.6.5 (Orientation); PNG 11.3.4.5 (eXIf); RFC 9649 2.7.1.5
(EXIF).
"""

import struct
from typing import BinaryIO, Final

from ferryman_server.making.turning import UPRIGHT
from ferryman_server.media.frame_formats import Format

_MOST_PARTS: Final = 1000  # segments or chunks before it
_MOST_FIELDS: Final = 200
_LONGEST: Final = 65536  # bytes of Exif that are read: as many as a JPEG's segment has
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_IN_JPEG: Final = b"Exif\0\0"


def orientation_of(file: BinaryIO, form: Format) -> int:
    """1 to 8, as Exif counts; `file` is one of this format. Raises what reading it does."""
    find = {Format.JPEG: _in_jpeg, Format.PNG: _in_png, Format.WEBP: _in_webp}.get(form)
    return UPRIGHT if find is None else of_exif(find(file))


def of_exif(exif: bytes) -> int:
    """The same from the Exif itself, which begins with its byte order, or as in a JPEG."""
    exif = exif.removeprefix(_IN_JPEG)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return UPRIGHT
    (at,) = struct.unpack_from(order + "I", exif, 4)
    if at + 2 > len(exif):
        return UPRIGHT
    (fields,) = struct.unpack_from(order + "H", exif, at)
    for place in range(at + 2, at + 2 + 12 * min(fields, _MOST_FIELDS), 12):
        if place + 12 > len(exif):
            break
        tag, kind, _count, value = struct.unpack_from(order + "HHIH", exif, place)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT


def _in_jpeg(file: BinaryIO) -> bytes:
    at = 2
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[0] != 0xFF or head[1] in (0xD8, 0xD9, 0xDA):  # SOI, EOI, SOS
            break
        if head[1] == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(head[2:4], "big")
        if head[1] == 0xE1 and head[4:10] == _IN_JPEG:
            return file.read(max(0, length - 8))
        at += 2 + length
    return b""


def _in_png(file: BinaryIO) -> bytes:
    at = 8
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            return file.read(min(length, _LONGEST))
        at += 12 + length
    return b""


def _in_webp(file: BinaryIO) -> bytes:
    at = 12
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"EXIF":
            return file.read(min(length, _LONGEST))
        at += 8 + length + length % 2
    return b""
