"""The extra fields of a header (APPNOTE 4.5): found, counted, and read where they change what a reader sees.

Two fields do: 0x0001 brings sizes and offsets of 64 bits, 0x7075 another name. Readers differ in which of two they
believe, so neither may be there twice.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from ferryman_server.media.zip_errors import BadArchive

ZIP64: Final = 0x0001
STRONG_ENCRYPTION: Final = 0x0017
UNICODE_PATH: Final = 0x7075
AES: Final = 0x9901
SENTINEL32: Final = 0xFFFFFFFF  # in a field of 32 bits: the zip64 field has the value
SENTINEL16: Final = 0xFFFF

_ALONE: Final = {ZIP64: "zip64 field (0x0001)", UNICODE_PATH: "Unicode path field (0x7075)"}


class Wide(NamedTuple):
    """The values of a header, whatever their width there."""

    size: int
    packed: int
    offset: int
    disk: int


def extra_fields(extra: bytes) -> dict[int, bytes]:
    """The fields by their number. Raises BadArchive for a field that goes beyond its end, or one that is there twice
    and must not be.

    Up to three NULs at the end are padding, which tools that align data leave there.
    """
    found: dict[int, bytes] = {}
    if not extra:
        return found
    position = 0
    while len(extra) - position >= 4:
        number, size = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + size > len(extra):
            raise BadArchive(
                f"its extra field 0x{number:04x} says {size} bytes, and {len(extra) - position} are left: a header is "
                "damaged"
            )
        if number in found and number in _ALONE:
            raise BadArchive(f"it has more than one {_ALONE[number]}: readers differ in which one they believe")
        found[number] = extra[position : position + size]
        position += size
    if extra[position:].strip(b"\0"):
        raise BadArchive(f"the last {len(extra) - position} bytes of its extra field are no field: a header is damaged")
    return found


def widened(fields: dict[int, bytes], *, size: int, packed: int, offset: int = 0, disk: int = 0) -> Wide:
    """The header's values, those at their limit replaced by what the zip64 field says (APPNOTE 4.5.3).

    "This field MUST only be used if the corresponding field is set to 0xFFFF or 0xFFFFFFFF": a value beyond those has
    to be the same as in the header, or BadArchive is raised; so it is where a value is wanted and missing.
    """
    wide = fields.get(ZIP64)
    if wide is None:
        return Wide(size, packed, offset, disk)
    narrow = ((size, SENTINEL32, 8), (packed, SENTINEL32, 8), (offset, SENTINEL32, 8), (disk, SENTINEL16, 4))
    wanted = sum(width for value, limit, width in narrow if value == limit)
    complete = len(wide) != wanted  # it has values that nobody asked for, too: then in their order, from the first on
    values, position = [], 0
    for value, limit, width in narrow:
        if value != limit and not (complete and position + width <= len(wide)):
            values.append(value)
            continue
        if position + width > len(wide):
            raise BadArchive(f"its zip64 field has {len(wide)} bytes, too few for what its header leaves to it")
        values.append(int.from_bytes(wide[position : position + width], "little"))
        position += width
    if position != len(wide):
        raise BadArchive(f"its zip64 field has {len(wide)} bytes, more than its header leaves to it: readers differ")
    _compare([value for value, _, _ in narrow], [limit for _, limit, _ in narrow], values)
    return Wide(*values)


def _compare(narrow: Sequence[int], limits: Sequence[int], wide: Sequence[int]) -> None:
    for value, limit, other in zip(narrow, limits, wide, strict=True):
        if value not in (limit, other):
            raise BadArchive(f"its zip64 field says {other} where its header says {value}: readers differ")
