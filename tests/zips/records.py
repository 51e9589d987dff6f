"""The records of a ZIP archive, field by field, and its packings: what tests/zips/build.py puts together.

Names of fields are short forms of those in APPNOTE 6.3.10, the same for the same thing in every record.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final, Literal

import inflate64
import zstandard

from ferryman_server.media.entries import DEFLATED, DEFLATED64, ZSTD

Descriptor = Literal["signed32", "unsigned32", "signed64", "unsigned64"]
Fields = Mapping[str, int | bytes]

ZIP64_FIELD: Final = 0x0001


class Record:
    """The fields of one kind of record in their order: `name:H` of fixed width, and last `name:*` of any."""

    def __init__(self, fields: str) -> None:
        named = [tuple(each.split(":")) for each in fields.split()]
        self._fixed = [name for name, code in named if code != "*"]
        self._tails = [name for name, code in named if code == "*"]
        self._struct = struct.Struct("<" + "".join(code for _, code in named if code != "*"))

    def pack(self, values: Fields, overrides: Fields) -> bytes:
        """The record. The length of a tail is what it is, unless overridden. Raises KeyError for an unknown field."""
        if unknown := overrides.keys() - {*self._fixed, *self._tails}:
            raise KeyError(f"no such field: {', '.join(sorted(unknown))}; there are {', '.join(self._fixed)}")
        chosen = {"disk": 0, **values, **overrides}
        tails = {tail: bytes(chosen[tail]) for tail in self._tails}
        lengths = {f"{tail}_length": len(tails[tail]) for tail in tails}
        merged = {**lengths, **chosen}
        return self._struct.pack(*(merged[name] for name in self._fixed)) + b"".join(tails.values())


_COMMON: Final = "needed:H flags:H method:H time:H date:H crc:I packed:I size:I name_length:H extra_length:H"
LOCAL: Final = Record(f"signature:I {_COMMON} name:* extra:*")
CENTRAL: Final = Record(
    f"signature:I made_by:H {_COMMON} comment_length:H disk:H internal:H external:I offset:I name:* extra:* comment:*"
)
DESCRIPTORS: Final = {
    "signed32": Record("signature:I crc:I packed:I size:I"),
    "unsigned32": Record("crc:I packed:I size:I"),
    "signed64": Record("signature:I crc:I packed:Q size:Q"),
    "unsigned64": Record("crc:I packed:Q size:Q"),
}
ZIP64_END: Final = Record(
    "signature:I record_size:Q made_by:H needed:H disk:I directory_disk:I disk_entries:Q entries:Q size:Q offset:Q"
    " extension:*"
)
LOCATOR: Final = Record("signature:I disk:I offset:Q disks:I")
END: Final = Record(
    "signature:I disk:H directory_disk:H disk_entries:H entries:H size:I offset:I comment_length:H comment:*"
)


def packed(method: int, content: bytes) -> bytes:
    """`content` as `method` packs it; of a method that is none of ours, as it is."""
    return _PACKERS.get(method, bytes)(content)


def deflated(content: bytes, level: int = 6) -> bytes:
    """A raw deflate stream."""
    deflater = zlib.compressobj(level, wbits=-15)
    return deflater.compress(content) + deflater.flush()


def _deflated64(content: bytes) -> bytes:
    deflater = inflate64.Deflater()
    stream: bytes = deflater.deflate(content) + deflater.flush()
    if inflate64.Inflater().inflate(stream) == content:
        return stream
    # inflate64 1.0.4 packs copies of 259 to 261 bytes wrongly (7-Zip refuses them): as it is, then (RFC 1951 §3.2.4)
    blocks = [content[start : start + 65_535] for start in range(0, len(content), 65_535)]
    return b"".join(_plain_block(block, last=block is blocks[-1]) for block in blocks)


def _plain_block(content: bytes, *, last: bool) -> bytes:
    size = len(content)
    return struct.pack("<BHH", last, size, size ^ 0xFFFF) + content


def _zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


_PACKERS: Final[Mapping[int, Callable[[bytes], bytes]]] = {DEFLATED: deflated, DEFLATED64: _deflated64, ZSTD: _zstd}


def extra_field(kind: int, value: bytes) -> bytes:
    """One extra field: its number, its length and its value (APPNOTE 4.5)."""
    return struct.pack("<HH", kind, len(value)) + value


def unicode_path(name: bytes, header_name: bytes) -> bytes:
    """The extra field 0x7075, which gives the name again, in UTF-8 (APPNOTE 4.6.9)."""
    return extra_field(0x7075, struct.pack("<BI", 1, zlib.crc32(header_name)) + name)


def descriptor_record(layout: Descriptor, crc: int, packed: int, size: int, overrides: Fields | None = None) -> bytes:
    """A data descriptor (APPNOTE 4.3.9) in one of the four layouts that are met with."""
    values = {"crc": crc, "packed": packed, "size": size, "signature": 0x08074B50}
    return DESCRIPTORS[layout].pack(values, overrides or {})
