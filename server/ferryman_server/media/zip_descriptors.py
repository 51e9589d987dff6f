"""Data descriptors (APPNOTE 4.3.9): sizes and CRC-32 behind the data, for writers that cannot go back.

"Although not originally assigned a signature, the value 0x08074b50 has commonly been adopted"; sizes have eight bytes
"when compressing files larger than 4 gigabytes", and some writers give them eight always. So there are four layouts.
Which one it is follows from the values, which have to be those of the bytes found, and from the record behind it.
"""

from typing import Final

from ferryman_server.media.zip_headers import CENTRAL, DESCRIPTOR, LOCAL

LONGEST: Final = 24  # bytes
AHEAD: Final = LONGEST + 4  # bytes to be looked at: a descriptor, and the signature behind it
SHORTEST: Final = 12


def descriptor_length(ahead: bytes, *, crc: int, packed: int, size: int) -> int | None:
    """How many of the AHEAD bytes are a descriptor that says these values; None: they are none."""
    found = [length for length in _lengths(ahead) if _says(ahead[:length], crc, packed, size)]
    followed = [length for length in found if ahead[length : length + 4] in (LOCAL, CENTRAL)]
    return next(iter(followed or found), None)


def _lengths(ahead: bytes) -> tuple[int, ...]:
    return (16, 24, 12, 20) if ahead.startswith(DESCRIPTOR) else (12, 20)


def _says(record: bytes, crc: int, packed: int, size: int) -> bool:
    width = 4 if len(record) in (12, 16) else 8
    values = record[-4 - 2 * width :]
    return (
        values[:4] == crc.to_bytes(4, "little")
        and int.from_bytes(values[4 : 4 + width], "little") == packed
        and int.from_bytes(values[4 + width :], "little") == size
    )


def told(ahead: bytes) -> str:
    """What stands where a descriptor should, for the reason of a refusal."""
    values = ahead[4:] if ahead.startswith(DESCRIPTOR) else ahead
    crc, packed, size = (int.from_bytes(values[start : start + 4], "little") for start in (0, 4, 8))
    return f"CRC-32 {crc:08x}, {packed} bytes packed, {size} unpacked"
