"""A ZIP writer for tests: every field of every record can be chosen, left out or lied about.

Without any choice an archive is right. What APPNOTE 6.3.10 says of a field is its default here: `*_overrides` replace a
field of a record by its name, lengths included, after all else was computed, so that nothing follows from a lie.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ferryman_server.media.entries import DEFLATED, DEFLATED64, STORED, ZSTD
from tests.zips.records import (
    CENTRAL,
    END,
    LOCAL,
    LOCATOR,
    ZIP64_END,
    ZIP64_FIELD,
    Descriptor,
    Fields,
    descriptor_record,
    extra_field,
    packed,
)

HAS_DESCRIPTOR: Final = 1 << 3
IS_UTF8: Final = 1 << 11
MAX16: Final = 0xFFFF
MAX32: Final = 0xFFFF_FFFF
MADE_ON_UNIX: Final = 3 << 8 | 30  # version made by: Unix, 3.0
_VERSIONS: Final = {STORED: 10, DEFLATED: 20, DEFLATED64: 21, ZSTD: 63}
_DATE: Final = 28 << 9 | 5 << 5 | 30  # 30 May 2008


@dataclass(frozen=True)
class Member:
    """One entry: its local header, its data, its descriptor and what the directory says of it.

    `packed`, `crc` and `size` are what `method` makes of `content`, unless given; `flags` are bit 3 and bit 11 as they
    must be. With a descriptor the CRC and the sizes of the local header are zero. `zip64` moves the sizes (and the
    directory's offset) into extra fields; `zip64_local` and `zip64_central` name the fields for one header alone.
    """

    name: bytes
    content: bytes = b""
    method: int = DEFLATED
    descriptor: Descriptor | None = None
    zip64: bool = False
    zip64_local: Sequence[str] | None = None  # of "size", "packed"
    zip64_central: Sequence[str] | None = None  # of "size", "packed", "offset"
    flags: int | None = None
    extra_local: bytes = b""
    extra_central: bytes = b""
    comment: bytes = b""
    external: int | None = None
    made_by: int = MADE_ON_UNIX
    packed: bytes | None = None
    crc: int | None = None
    size: int | None = None
    before: bytes = b""  # between what precedes and the local header
    after: bytes = b""  # behind the data and the descriptor
    local: bool = True  # whether it is written before the directory
    listed: bool = True  # whether the directory lists it
    local_overrides: Fields = field(default_factory=dict)
    zip64_local_overrides: Mapping[str, int] = field(default_factory=dict)
    descriptor_overrides: Fields = field(default_factory=dict)
    central_overrides: Fields = field(default_factory=dict)
    zip64_central_overrides: Mapping[str, int] = field(default_factory=dict)

    def data(self) -> bytes:
        """The packed bytes."""
        return packed(self.method, self.content) if self.packed is None else self.packed

    def truth(self, data: bytes) -> dict[str, int]:
        """CRC-32 and sizes, as a header should say them."""
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        return {"crc": crc, "packed": len(data), "size": len(self.content) if self.size is None else self.size}

    def local_header(self, truth: Mapping[str, int]) -> bytes:
        """The local header (APPNOTE 4.3.7)."""
        said = dict.fromkeys(truth, 0) if self.descriptor else dict(truth)
        named = self.zip64_local if self.zip64_local is not None else ("size", "packed") * self.zip64
        values = self._common() | _moved(said, named, self.zip64_local_overrides, self.extra_local)
        return LOCAL.pack({"signature": 0x04034B50, **values}, self.local_overrides)

    def trailing(self, truth: Mapping[str, int]) -> bytes:
        """The data descriptor, if there is one."""
        if self.descriptor is None:
            return b""
        return descriptor_record(self.descriptor, **truth, overrides=self.descriptor_overrides)

    def central_header(self, truth: Mapping[str, int], offset: int) -> bytes:
        """The entry of the directory (APPNOTE 4.3.12)."""
        named = self.zip64_central if self.zip64_central is not None else ("size", "packed", "offset") * self.zip64
        moved = _moved({**truth, "offset": offset}, named, self.zip64_central_overrides, self.extra_central)
        values = {"signature": 0x02014B50, "made_by": self.made_by, "internal": 0, "external": self._external()}
        return CENTRAL.pack({**values, **self._common(), **moved, "comment": self.comment}, self.central_overrides)

    def _external(self) -> int:
        if self.external is not None:
            return self.external
        return 0o040755 << 16 | 0x10 if self.name.endswith(b"/") else 0o100644 << 16

    def _common(self) -> dict[str, int | bytes]:
        flags = HAS_DESCRIPTOR * (self.descriptor is not None) | IS_UTF8 * (not self.name.isascii())
        zip64 = self.zip64 or self.zip64_local or self.zip64_central
        values: dict[str, int | bytes] = {"needed": 45 if zip64 else _VERSIONS.get(self.method, 20), "time": 0}
        values |= {"flags": flags if self.flags is None else self.flags, "method": self.method, "date": _DATE}
        return values | {"name": self.name}


def _moved(
    values: dict[str, int], named: Sequence[str], lies: Mapping[str, int], extra: bytes
) -> dict[str, int | bytes]:
    """The values with those that are `named` moved into a zip64 extra field (APPNOTE 4.5.3), and the extra fields."""
    moved = b"".join(struct.pack("<Q", lies.get(name, values[name])) for name in named)
    field_bytes = extra_field(ZIP64_FIELD, moved) if named else b""
    return {**values, **dict.fromkeys(named, MAX32), "extra": field_bytes + extra}


@dataclass(frozen=True)
class Places:
    """Where things are in an archive, in bytes from its first one. Those of members are in the order of the members."""

    headers: tuple[int, ...]
    data: tuple[int, ...]
    data_ends: tuple[int, ...]  # where the descriptors begin, if there are any
    directory: int
    central: tuple[int, ...]  # in the order of the directory
    directory_end: int
    zip64_end: int  # where it is, or would be
    locator: int
    end: int


@dataclass(frozen=True)
class Archive:
    """Members, the directory that lists them and the records at its end.

    `central_order` are numbers of members, which may be left out or repeated. Offsets count the prefix, unless
    `prefix_counts` is off. With `zip64_end` the end record holds nothing but sentinels for count, size and offset.
    """

    members: Sequence[Member] = ()
    comment: bytes = b""
    prefix: bytes = b""
    trailer: bytes = b""
    prefix_counts: bool = True
    central_order: Sequence[int] | None = None
    before_directory: bytes = b""
    directory_tail: bytes = b""  # behind the entries, counted as part of the directory
    after_directory: bytes = b""
    zip64_end: bool = False
    zip64_extension: bytes = b""
    before_locator: bytes = b""
    before_end: bytes = b""
    zip64_end_overrides: Fields = field(default_factory=dict)
    locator_overrides: Fields = field(default_factory=dict)
    end_overrides: Fields = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The whole archive."""
        return self.build()[0]

    def build(self) -> tuple[bytes, Places]:
        """The whole archive, and where things are in it."""
        out = bytearray(self.prefix)
        base = 0 if self.prefix_counts else len(self.prefix)
        headers, data, data_ends, listings = [], [], [], []
        for member in self.members:
            content = member.data()
            truth = member.truth(content)
            out += member.before if member.local else b""
            headers.append(len(out))
            out += member.local_header(truth) if member.local else b""
            data.append(len(out))
            out += content if member.local else b""
            data_ends.append(len(out))
            out += member.trailing(truth) + member.after if member.local else b""
            listings.append(member.central_header(truth, headers[-1] - base))
        out += self.before_directory
        directory, central = len(out), []
        for number in self._listed():
            central.append(len(out))
            out += listings[number]
        out += self.directory_tail
        ends = directory, len(out), *self._add_ends(out, directory - base, len(central), base)
        places = Places(tuple(headers), tuple(data), tuple(data_ends), ends[0], tuple(central), *ends[1:])
        return bytes(out + self.trailer), places

    def _listed(self) -> Sequence[int]:
        if self.central_order is not None:
            return self.central_order
        return [number for number, member in enumerate(self.members) if member.listed]

    def _add_ends(self, out: bytearray, directory: int, count: int, base: int) -> tuple[int, int, int]:
        """Add the records behind the directory; where the three of them are."""
        truth = {"disk_entries": count, "entries": count, "size": len(out) - base - directory, "offset": directory}
        truth |= {"directory_disk": 0}
        out += self.after_directory
        zip64_end = locator = len(out)
        if self.zip64_end:
            extension = self.zip64_extension
            values = {
                "signature": 0x06064B50,
                "record_size": 44 + len(extension),
                "made_by": MADE_ON_UNIX,
                "needed": 45,
            }
            out += ZIP64_END.pack({**values, **truth, "extension": extension}, self.zip64_end_overrides)
            out += self.before_locator
            locator = len(out)
            values = {"signature": 0x07064B50, "offset": zip64_end - base, "disks": 1}
            out += LOCATOR.pack(values, self.locator_overrides)
            truth |= {"disk_entries": MAX16, "entries": MAX16, "size": MAX32, "offset": MAX32}
        out += self.before_end
        end = len(out)
        out += END.pack({"signature": 0x06054B50, **truth, "comment": self.comment}, self.end_overrides)
        return zip64_end, locator, end


def folder(name: bytes) -> Member:
    """A folder as most tools write it: stored, of no bytes. `name` ends with a slash."""
    return Member(name, method=STORED)
