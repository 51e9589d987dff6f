"""The general purpose bits of a header (APPNOTE 4.4.4): which are understood, and what the others are called."""

from typing import Final

from ferryman_server.media.zip_errors import BadArchive

ENCRYPTED: Final = 1 << 0
DESCRIBED: Final = 1 << 3  # sizes and CRC-32 follow the data
_NAMES: Final = {
    0: "encryption",
    1: "how well it is compressed",
    2: "how well it is compressed",
    3: "a descriptor behind the data",
    4: "enhanced deflating",
    5: "patched data",
    6: "strong encryption",
    11: "UTF-8",
    12: "enhanced compression",
    13: "masked headers",
}
_FINE: Final = ENCRYPTED | 0b110 | DESCRIBED | 1 << 11  # encryption is refused with words of its own


def check_flags(flags: int) -> None:
    """Raise BadArchive for what is not understood here."""
    if flags & (ENCRYPTED | 1 << 6 | 1 << 13):
        raise BadArchive("it is encrypted: nothing here has the key; pack it without a password")
    if flags & ~_FINE:
        raise BadArchive(f"{differing(flags & ~_FINE)} is set, which is not understood here")


def differing(bits: int) -> str:
    """The lowest of these bits, by number and name."""
    number = (bits & -bits).bit_length() - 1
    return f"flag bit {number} ({_NAMES.get(number, 'reserved')})"
