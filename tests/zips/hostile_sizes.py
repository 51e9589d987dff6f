"""Shapes that lie in numbers: CRC-32 and sizes in the headers, the descriptor and the zip64 fields."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Final

from ferryman_server.media.entries import DEFLATED, STORED
from tests.zips.build import HAS_DESCRIPTOR, Archive, Member
from tests.zips.records import Descriptor, packed
from tests.zips.shape import FRAME, Shape, accepted, among, refused

_NAME: Final = b"frame.rgb"
_ENTRY: Final = "frame.rgb"
_SIZE: Final = "size,bytes,longer,shorter,ends,unpack,crc,checksum"
_CRC: Final = "crc,checksum"
_DESCRIPTOR: Final = "descriptor,crc,size,bytes"
_METHODS: Final = {"stored": STORED, "deflated": DEFLATED}
_PLACES: Final = ("local", "central", "both")


_IN_DESCRIPTORS: Final[Sequence[tuple[Descriptor, str, int]]] = (
    ("signed32", "crc", 1),
    ("signed32", "size", -5),
    ("signed32", "packed", 5),
    ("unsigned32", "crc", 1),
    ("signed64", "size", 1 << 32),
    ("signed64", "packed", 1 << 32),
)


def _true(method: int) -> dict[str, int]:
    return {"crc": zlib.crc32(FRAME), "packed": len(packed(method, FRAME)), "size": len(FRAME)}


def _lying(method: int, where: str, lies: Mapping[str, int], descriptor: Descriptor | None = None) -> Archive:
    """An entry about which the local header, the directory or both say something wrong."""
    local = lies if where != "central" else {}
    central = lies if where != "local" else {}
    said = Member(_NAME, FRAME, method, descriptor, local_overrides=dict(local), central_overrides=dict(central))
    return among(said)


def _size_lies() -> list[Shape]:
    """Each size, in each header, of each method, too small and too large."""
    return [
        refused(
            f"{field}-{direction}-{where}-{noun}",
            _lying(method, where, {field: _true(method)[field] + by}),
            _ENTRY,
            _SIZE,
            f"{field} of a {noun} entry is {direction} in {where}: some readers hand out the first bytes silently",
        )
        for noun, method in _METHODS.items()
        for where in _PLACES
        for field in ("size", "packed")
        for direction, by in (("smaller", -5), ("larger", 5))
    ]


def _crc_lies() -> list[Shape]:
    return [
        refused(
            f"crc-{where}-{noun}",
            _lying(method, where, {"crc": zlib.crc32(FRAME) ^ 1}),
            _ENTRY,
            _CRC,
            f"the CRC-32 of a {noun} entry is wrong in {where}; jar does not look",
        )
        for noun, method in _METHODS.items()
        for where in _PLACES
    ]


def _descriptor_lies() -> list[Shape]:
    return [
        refused(
            f"descriptor-{field}-{layout}-{noun}",
            among(Member(_NAME, FRAME, method, layout, descriptor_overrides={field: _true(method)[field] + by})),
            _ENTRY,
            _DESCRIPTOR,
            f"the directory is right, the {field} of the descriptor behind a {noun} entry is not",
        )
        for noun, method in _METHODS.items()
        for layout, field, by in _IN_DESCRIPTORS
    ]


def _behind_descriptors() -> list[Shape]:
    """What the directory says of an entry whose local header says nothing."""
    return [
        refused(
            f"{field}-central-descriptor-{noun}",
            _lying(method, "central", {field: _true(method)[field] + 1}, "signed32"),
            _ENTRY,
            _SIZE,
            "descriptor and data agree, the directory says something else",
        )
        for noun, method in _METHODS.items()
        for field in ("crc", "size", "packed")
    ]


_BOTH_SIZES: Final = {"packed": 600, "size": 600}
_MIXED: Final = (
    refused(
        "stored-smaller",
        _lying(STORED, "both", {"size": 595, "packed": 595}),
        _ENTRY,
        _SIZE,
        "both headers agree on five bytes less: a gap remains",
    ),
    refused(
        "stored-larger",
        _lying(STORED, "both", {"size": 605, "packed": 605}),
        _ENTRY,
        _SIZE,
        "both headers agree on five bytes more: of the next header",
    ),
    refused(
        "stored-sizes-differ",
        _lying(STORED, "both", {"size": 601}),
        _ENTRY,
        _SIZE,
        "stored, yet of two sizes",
    ),
    refused(
        "size-zero-without-descriptor",
        _lying(DEFLATED, "local", {"size": 0, "packed": 0, "crc": 0}),
        None,
        f"{_SIZE},descriptor,gap,between,signature,record,header",
        "the directory knows, the local header says nothing and announces no descriptor",
    ),
    refused(
        "descriptor-missing",
        among(Member(_NAME, FRAME, flags=HAS_DESCRIPTOR)),
        _ENTRY,
        "descriptor",
        "sizes in the header, bit 3 set and no descriptor: a sequential reader cannot tell what follows",
    ),
    refused(
        "descriptor-unannounced",
        among(Member(_NAME, FRAME, STORED, "signed32", flags=0, local_overrides=_true(STORED))),
        None,
        "descriptor,gap,between,signature,record,header",
        "16 bytes that nobody announced",
    ),
    refused(
        "descriptor-and-wrong-crc",
        among(Member(_NAME, FRAME, descriptor="signed32", local_overrides={"crc": 1})),
        _ENTRY,
        _CRC,
        "the header need not say it, but what it says must be true",
    ),
    refused(
        "descriptor-and-wrong-size",
        among(Member(_NAME, FRAME, descriptor="signed32", local_overrides={"size": 601})),
        _ENTRY,
        _SIZE,
        "bsdtar writes the size there, and writes the right one",
    ),
    accepted(
        "descriptor-and-size",
        among(Member(_NAME, FRAME, descriptor="signed32", local_overrides={"size": 600})),
        "bsdtar",
    ),
    accepted(
        "descriptor-and-sizes-stored",
        among(Member(_NAME, FRAME, STORED, "signed32", local_overrides=_BOTH_SIZES)),
        "bsdtar with zip:compression=store (measured): CRC 0, both sizes",
    ),
    accepted(
        "descriptor-and-everything",
        among(Member(_NAME, FRAME, descriptor="signed32", local_overrides=_true(DEFLATED))),
        "the same said three times: nothing in it reads two ways",
    ),
)
SIZES: Final[tuple[Shape, ...]] = (
    *_size_lies(),
    *_crc_lies(),
    *_descriptor_lies(),
    *_behind_descriptors(),
    *_MIXED,
)
