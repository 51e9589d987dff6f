"""What an archive's index consists of: one entry for each file or folder in it."""

from dataclasses import dataclass
from typing import Final

STORED: Final = 0
DEFLATED: Final = 8
DEFLATED64: Final = 9
ZSTD: Final = 93
METHODS: Final = {STORED: "stored", DEFLATED: "deflated", DEFLATED64: "Deflate64", ZSTD: "zstd"}
"""APPNOTE 4.4.5: the compression methods that are read here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder of an archive, whose bytes have been seen and whose CRC-32 is right."""

    number: int  # its place in the archive, from 0
    name: str  # as decoded; a folder's ends with "/"
    offset: int  # bytes: where its local header begins
    data: int  # bytes: where its packed bytes begin
    packed: int  # bytes it takes in the archive
    size: int  # bytes unpacked
    crc: int  # CRC-32 of the unpacked bytes
    method: int  # one of METHODS
    flags: int  # APPNOTE 4.4.4

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")
