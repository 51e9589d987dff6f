"""Shapes whose packed bytes are the trouble: bombs, streams that end early or late, payloads that look like records."""

import struct
import zlib
from dataclasses import replace
from functools import cache
from typing import Final

import zstandard

from ferryman_server.media.entries import DEFLATED, DEFLATED64, STORED, ZSTD
from tests.zips.build import HAS_DESCRIPTOR, Archive, Member
from tests.zips.records import Descriptor, deflated, descriptor_record, packed
from tests.zips.shape import FIRST, FRAME, LAST, Shape, accepted, among, refused

LIMIT: Final = 128 << 20  # bytes that one entry may unpack to
_MIB: Final = 1 << 20
_NAME: Final = b"frame.rgb"
_ENTRY: Final = "frame.rgb"
_BOMB: Final = "limit,128,134217728,134,217,728,too large,too big,too much,more than,size,bomb"
_STREAM: Final = "deflate,stream,unpack,decompress,invalid,damaged,corrupt,broken,packed,ends,zstd,bytes,crc"
_MATCH64: Final = 65_538  # bytes: the longest that Deflate64 copies at once


@cache
def _crc_of_zeros(size: int) -> int:
    crc, chunk = 0, bytes(_MIB)
    for start in range(0, size, _MIB):
        crc = zlib.crc32(chunk[: size - start], crc)
    return crc


@cache
def deflated_zeros(mebibytes: int) -> bytes:
    """A deflate stream of so many MiB of zeros. Behind a full flush the same input gives the same output again."""
    deflater = zlib.compressobj(9, wbits=-15)
    first, second = (deflater.compress(bytes(_MIB)) + deflater.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + second * (mebibytes - 1) + deflater.flush()


def deflated64_zeros(matches: int) -> bytes:
    """A Deflate64 stream of one zero and so many copies of 65,538: one block of fixed codes, written bit by bit."""
    literal, end = "00110000", "0000000"
    longest = "11000101" + "1" * 16 + "00000"  # code 285, all of its 16 extra bits, distance 1
    return _bits("1" + "10" + literal + longest * matches + end)


def _bits(bits: str) -> bytes:
    """Bits in the order of deflate: the first is the lowest of its byte."""
    return int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")


@cache
def _zstd_zeros(mebibytes: int) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(compressor.compress(bytes(_MIB)) for _ in range(mebibytes)) + compressor.flush()


def _zeros(
    method: int, stream: bytes, size: int, descriptor: Descriptor | None = None, said: int | None = None
) -> bytes:
    """An entry of `size` zeros, of which the headers say `said` bytes if that is given."""
    told = size if said is None else said
    return among(Member(_NAME, b"", method, descriptor, packed=stream, crc=_crc_of_zeros(told), size=told)).to_bytes()


def _bomb_deflated64() -> bytes:
    return _zeros(DEFLATED64, deflated64_zeros(3052), 1 + 3052 * _MATCH64)


def _wide_zstd() -> bytes:
    """A frame that asks for a window of 2 GiB: 600 bytes in a block of their own."""
    frame = struct.pack("<IBB", 0xFD2FB528, 0, (31 - 10) << 3) + (len(FRAME) << 3 | 1).to_bytes(3, "little") + FRAME
    return among(Member(_NAME, FRAME, ZSTD, packed=frame)).to_bytes()


def _split(member: Member) -> Member:
    """With a payload that goes on, behind what looks like its end, with a whole entry that is not listed."""
    front = b"front"
    decoy = descriptor_record("signed32", zlib.crc32(front), len(front), len(front))
    hidden = Member(b"frame.rgb.hidden", FRAME, STORED)
    return replace(member, content=front + decoy + hidden.local_header(hidden.truth(FRAME)) + FRAME)


def _raw(stream: bytes, method: int = DEFLATED, descriptor: Descriptor | None = None) -> Archive:
    """An entry whose headers are right and whose packed bytes are `stream`."""
    return among(Member(_NAME, FRAME, method, descriptor, packed=stream))


_SILENT: Final = {"crc": 0, "packed": 0, "size": 0}
_DEFLATED: Final = deflated(FRAME)
_DECOY: Final = b"PK\7\x08" + struct.pack("<III", zlib.crc32(FRAME), 3, 3)
_DECOYS: Final = FRAME + _DECOY * 3 + b"PK\3\4PK\1\2PK\7\x08" + FRAME
_INNER: Final = Archive([FIRST, Member(b"inner.rgb", FRAME, STORED, "signed32"), LAST], comment=b"inner").to_bytes()
_ZLIB: Final = zlib.compress(FRAME)

_BOMBS: Final = (
    refused(
        "bomb", lambda: _zeros(DEFLATED, deflated_zeros(200), 200 << 20), _ENTRY, _BOMB, "204 KB of 200 MiB, honestly"
    ),
    refused(
        "bomb-unannounced",
        lambda: _zeros(DEFLATED, deflated_zeros(200), 200 << 20, said=600),
        _ENTRY,
        _BOMB,
        "the headers say 600 bytes: to be stopped there, not after 200 MiB",
    ),
    refused(
        "bomb-descriptor",
        lambda: _zeros(DEFLATED, deflated_zeros(200), 200 << 20, "signed32"),
        _ENTRY,
        _BOMB,
        "no header says how much it will be",
    ),
    refused("bomb-deflate64", _bomb_deflated64, _ENTRY, _BOMB, "11 KB of 200 MB: twice deflate's ratio and more"),
    refused("bomb-zstd", lambda: _zeros(ZSTD, _zstd_zeros(200), 200 << 20), _ENTRY, _BOMB, "7 KB of 200 MiB"),
    refused(
        "bomb-just-over",
        lambda: _zeros(DEFLATED, deflated_zeros(129), 129 * _MIB),
        _ENTRY,
        _BOMB,
        "one MiB over the limit",
    ),
    refused(
        "bomb-window", _wide_zstd, _ENTRY, "window,memory,limit,zstd", "600 bytes that want 2 GiB of memory to unpack"
    ),
    accepted("limit-reached", lambda: _zeros(DEFLATED, deflated_zeros(128), LIMIT), "128 MiB are allowed"),
    accepted("black-frame", among(Member(_NAME, bytes(320 * 240 * 2))), "925:1 and legitimate: no limit of a ratio"),
)
_STREAMS: Final = (
    refused(
        "garbage-behind-deflate",
        _raw(_DEFLATED + b"garbage"),
        _ENTRY,
        _STREAM,
        "inside its packed size: hides anything",
    ),
    refused(
        "garbage-behind-deflate-descriptor",
        _raw(_DEFLATED + b"garbage", descriptor="signed32"),
        _ENTRY,
        f"{_STREAM},descriptor",
        "the descriptor counts it, the stream does not",
    ),
    refused("deflate-twice", _raw(_DEFLATED * 2), _ENTRY, _STREAM, "a second stream behind the first"),
    refused("deflate-cut", _raw(_DEFLATED[:-3]), _ENTRY, _STREAM, "ends before its last block does"),
    refused(
        "deflate-unfinished", _raw(b"\0\x58\2\xa7\xfd" + FRAME), _ENTRY, _STREAM, "all its bytes, but no last block"
    ),
    refused("deflate-nonsense", _raw(b"\xff" * 40), _ENTRY, _STREAM, "a block of a type that does not exist"),
    refused(
        "deflate-too-far",
        _raw(_bits("1" + "10" + "0000001" + "00000" + "0000000")),
        _ENTRY,
        _STREAM,
        "copies from before its beginning",
    ),
    refused("deflate-in-zlib", _raw(_ZLIB), _ENTRY, _STREAM, "a zlib header around it: not what method 8 is"),
    refused("deflate-is-stored", _raw(FRAME), _ENTRY, _STREAM, "the frame itself under method 8"),
    refused("stored-is-deflated", _raw(_DEFLATED, STORED), _ENTRY, f"{_STREAM},size,crc", "the other way round"),
    refused(
        "deflate-nonsense-descriptor",
        _raw(b"\xff" * 40, descriptor="signed32"),
        _ENTRY,
        _STREAM,
        "nothing says where it ends",
    ),
    *(
        refused(f"{noun}-{fault}", _raw(stream, method), _ENTRY, _STREAM, f"{noun} like deflate: {fault}")
        for noun, method in (("deflate64", DEFLATED64), ("zstd", ZSTD))
        for fault, stream in (
            ("nonsense", b"\xff" * 40),
            ("cut", packed(method, FRAME)[:-3]),
            ("garbage-behind", packed(method, FRAME) + b"garbage"),
            ("empty", b""),
        )
    ),
    refused(
        "zstd-two-frames",
        _raw(packed(ZSTD, FRAME[:300]) + packed(ZSTD, FRAME[300:]), ZSTD),
        _ENTRY,
        f"{_STREAM},frame",
        "readers differ on whether a second frame is read; none of 7-Zip, libarchive and Python writes one",
    ),
)
_PAYLOADS: Final = (
    refused(
        "stored-descriptor-split",
        among(_split(Member(_NAME, method=STORED, descriptor="signed32"))),
        _ENTRY,
        "descriptor,directory,size,gap,record,signature,header,ends",
        "the payload ends, for who reads in order, where a crafted descriptor says so; its own one is left over",
    ),
    refused(
        "stored-descriptor-split-cleanly",
        among(_split(Member(_NAME, method=STORED, flags=HAS_DESCRIPTOR, local_overrides=_SILENT))),
        _ENTRY,
        "descriptor,directory,size,listed,differ",
        "without its own, which most readers of the directory do not miss: only the sizes there tell the two apart",
    ),
    accepted(
        "stored-descriptor-decoys", among(Member(_NAME, _DECOYS, STORED, "signed32")), "wrong CRC, wrong sizes: no ends"
    ),
    accepted(
        "stored-decoys", among(Member(_NAME, _DECOYS, STORED)), "sizes in the header: the payload is not looked at"
    ),
    accepted(
        "nested", among(Member(b"inner.zip", _INNER, STORED)), "a ZIP in a ZIP: its end record is before our directory"
    ),
    accepted("nested-descriptor", among(Member(b"inner.zip", _INNER, STORED, "signed32")), "the same from a browser"),
    accepted("nested-deflated", among(Member(b"inner.zip", _INNER)), "the same, deflated"),
)
STREAMS: Final[tuple[Shape, ...]] = (*_BOMBS, *_STREAMS, *_PAYLOADS)
