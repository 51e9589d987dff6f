"""The records of a ZIP file, taken apart: local headers, directory entries, end records (APPNOTE 4.3)."""

import struct
from typing import Final, NamedTuple

LOCAL: Final = b"PK\x03\x04"
CENTRAL: Final = b"PK\x01\x02"
END: Final = b"PK\x05\x06"
END64: Final = b"PK\x06\x06"
LOCATOR64: Final = b"PK\x06\x07"
DESCRIPTOR: Final = b"PK\x07\x08"
SIGNATURE: Final = b"PK\x05\x05"
EXTRA_DATA: Final = b"PK\x06\x08"
SPANNED: Final = b"PK00"

LOCAL_SIZE: Final = 30  # bytes, without name and extra fields
CENTRAL_SIZE: Final = 46
END_SIZE: Final = 22
END64_SIZE: Final = 56
LOCATOR64_SIZE: Final = 20

_LOCAL: Final = struct.Struct("<4xHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4xHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4xHHHHIIH")
_END64: Final = struct.Struct("<4xQHHIIQQQQ")
_LOCATOR64: Final = struct.Struct("<4xIQI")


class LocalHeader(NamedTuple):
    """The fixed part of a local header (4.3.7)."""

    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_length: int
    extra_length: int

    @classmethod
    def of(cls, record: bytes) -> "LocalHeader":
        """Take LOCAL_SIZE bytes apart."""
        return cls._make(_LOCAL.unpack(record))


class CentralHeader(NamedTuple):
    """The fixed part of a directory entry (4.3.12)."""

    made_by: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal: int
    external: int
    offset: int

    @classmethod
    def of(cls, record: bytes) -> "CentralHeader":
        """Take CENTRAL_SIZE bytes apart."""
        return cls._make(_CENTRAL.unpack(record))


class EndRecord(NamedTuple):
    """The end record without its comment (4.3.16)."""

    disk: int
    directory_disk: int
    here: int  # entries on this disk
    entries: int
    size: int  # of the directory, bytes
    offset: int
    comment_length: int

    @classmethod
    def of(cls, record: bytes) -> "EndRecord":
        """Take END_SIZE bytes apart."""
        return cls._make(_END.unpack(record))


class EndRecord64(NamedTuple):
    """The zip64 end record without extensible data (4.3.14)."""

    record_size: int  # of what follows this field, bytes
    made_by: int
    needed: int
    disk: int
    directory_disk: int
    here: int
    entries: int
    size: int
    offset: int

    @classmethod
    def of(cls, record: bytes) -> "EndRecord64":
        """Take END64_SIZE bytes apart."""
        return cls._make(_END64.unpack(record))


class Locator64(NamedTuple):
    """The zip64 end record's locator (4.3.15)."""

    disk: int
    offset: int  # of the zip64 end record
    disks: int

    @classmethod
    def of(cls, record: bytes) -> "Locator64":
        """Take LOCATOR64_SIZE bytes apart."""
        return cls._make(_LOCATOR64.unpack(record))
