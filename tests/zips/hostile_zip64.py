"""Shapes that lie in zip64: the extra fields of entries, and the end record of 64 bits with its locator."""

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ferryman_server.media.entries import STORED
from tests.zips.build import MAX16, MAX32, Archive, Member
from tests.zips.records import extra_field
from tests.zips.shape import FIRST, FRAME, LAST, Shape, accepted, among, refused

_NAME: Final = b"frame.rgb"
_ENTRY: Final = "frame.rgb"
_ZIP64: Final = "zip64,size,bytes,ends,limit,offset,extra"
_END64: Final = "zip64,end record,end of central"


def _zip64_lie(member: Member, where: str, lies: Mapping[str, int]) -> Member:
    if where == "local":
        return replace(member, zip64_local_overrides=lies)
    return replace(member, zip64_central_overrides=lies)


def _zip64_lies() -> list[Shape]:
    """Sizes and offsets of 64 bits, in the local header or in the directory."""
    honest = Member(_NAME, FRAME, STORED, zip64=True)
    true = {**honest.truth(FRAME), "offset": among(honest).build()[1].headers[1]}
    return [
        refused(
            f"zip64-{field}-{name}-{where}",
            among(_zip64_lie(honest, where, {field: lie})),
            _ENTRY,
            _ZIP64,
            "bsdtar left a sparse file of 4.6 EB; arithmetic of 32 bits, or with signs, sees nothing wrong",
        )
        for where, fields in (("local", ("size", "packed")), ("central", ("size", "packed", "offset")))
        for field in fields
        for name, lie in (("terabyte", 1 << 40), ("high-bits", true[field] + (1 << 32)), ("negative", (1 << 64) - 1))
    ]


_ENDED: Final = Archive([FIRST, LAST], zip64_end=True)
_PLACES: Final = _ENDED.build()[1]
_TRUTH: Final = {
    "disk_entries": 2,
    "entries": 2,
    "size": _PLACES.directory_end - _PLACES.directory,
    "offset": _PLACES.directory,
}
_RECORD: Final = _ENDED.to_bytes()[_PLACES.zip64_end : _PLACES.locator]
_LOCATOR: Final = _ENDED.to_bytes()[_PLACES.locator : _PLACES.end]
_DECOY: Final = replace(_ENDED, members=[FIRST, Member(b"decoy", _RECORD, STORED)])
_PLAIN: Final = Archive([FIRST, LAST])


def _end(name: str, archive: Archive, why: str, words: str = "") -> Shape:
    return refused(f"zip64-end-{name}", archive, None, f"{_END64},{words}" if words else _END64, why)


def _end_lies() -> list[Shape]:
    """Count, size and offset of the directory, wrong in one of the two end records."""
    wrong = {
        "disk-entries-more": {"disk_entries": 3},
        "entries-more": {"entries": 3},
        "entries-less": {"disk_entries": 1, "entries": 1},
        "size": {"size": _TRUTH["size"] + 1},
        "offset-late": {"offset": _TRUTH["offset"] + 1},
        "offset-early": {"offset": _TRUTH["offset"] - 1},
    }
    why = "the two end records disagree, or both are wrong: which one counts differs"
    words = "count,entries,directory,size,offset,disk"
    return [
        shape
        for name, lies in wrong.items()
        for shape in (
            _end(name, replace(_ENDED, zip64_end_overrides=lies), why, words),
            _end(f"{name}-beside", replace(_ENDED, end_overrides={**_TRUTH, **lies}), why, words),
        )
    ]


_MISSING: Final = "the sentinel asks for a zip64 end record, and there is none"
_ENDS: Final = (
    _end(
        "extended",
        replace(_ENDED, zip64_extension=bytes(16)),
        "zipfile then sees another file than seven others",
        "size",
    ),
    _end(
        "longer",
        replace(_ENDED, zip64_end_overrides={"record_size": 60}),
        "says 16 bytes more than it has",
        "size,bytes",
    ),
    _end(
        "shorter",
        replace(_ENDED, zip64_end_overrides={"record_size": 28}),
        "says 16 bytes less than it has",
        "size,bytes",
    ),
    _end(
        "endless",
        replace(_ENDED, zip64_end_overrides={"record_size": (1 << 64) - 1}),
        "more bytes than can be",
        "size,bytes",
    ),
    _end(
        "then-gap", replace(_ENDED, before_locator=bytes(16)), "bytes between it and its locator", "locator,between,gap"
    ),
    _end(
        "locator-then-gap", replace(_ENDED, before_end=bytes(16)), "bytes between locator and end record", "between,gap"
    ),
    _end(
        "elsewhere",
        replace(_ENDED, locator_overrides={"offset": 0}),
        "its locator points to the first entry",
        "locator",
    ),
    _end(
        "elsewhere-by-one",
        replace(_ENDED, locator_overrides={"offset": _PLACES.zip64_end - 1}),
        "its locator points a byte before it",
        "locator",
    ),
    _end(
        "decoy",
        replace(_DECOY, locator_overrides={"offset": _DECOY.build()[1].data[1]}),
        "its locator points into an entry, where there is another: readers that look before the locator see the first",
        "locator",
    ),
    _end(
        "disks", replace(_ENDED, locator_overrides={"disks": 2}), "says there are two disks", "disk,part,split,volume"
    ),
    _end(
        "locator-disk", replace(_ENDED, locator_overrides={"disk": 1}), "is on another disk", "disk,part,split,volume"
    ),
    _end("disk", replace(_ENDED, zip64_end_overrides={"disk": 1}), "says it is disk 1", "disk,part,split,volume"),
    _end(
        "directory-disk",
        replace(_ENDED, zip64_end_overrides={"directory_disk": 1}),
        "the directory is on another disk",
        "disk,part,split,volume",
    ),
    _end("without-locator", replace(_PLAIN, before_end=_RECORD), "nothing points to it", "locator,record,between,gap"),
    _end("locator-alone", replace(_PLAIN, before_end=_LOCATOR), "points to nothing", "locator,record,between,gap"),
    _end(
        "twice", replace(_ENDED, after_directory=_RECORD), "two of them: which one counts differs", "record,between,gap"
    ),
    _end("locator-twice", replace(_ENDED, before_end=_LOCATOR), "two locators", "locator,record,between,gap"),
    _end(
        "missing-count",
        replace(_PLAIN, end_overrides={"disk_entries": MAX16, "entries": MAX16}),
        _MISSING,
        "count,entries",
    ),
    _end("missing-size", replace(_PLAIN, end_overrides={"size": MAX32}), _MISSING, "size"),
    _end("missing-offset", replace(_PLAIN, end_overrides={"offset": MAX32}), _MISSING, "offset"),
)
_ACCEPTED: Final = (
    accepted("zip64-end", _ENDED, "yazl and 7-Zip when there is much"),
    accepted("zip64-end-beside", replace(_ENDED, end_overrides=_TRUTH), "`zip - -` writes both in full (measured)"),
    accepted(
        "zip64-end-mixed",
        replace(_ENDED, end_overrides={**_TRUTH, "offset": MAX32}),
        "`zip -fz` puts a sentinel for the offset alone (measured), Python for what is too large",
    ),
    accepted(
        "zip64-end-disks-too",
        replace(_ENDED, end_overrides={"disk": MAX16, "directory_disk": MAX16}),
        "stream-zip puts sentinels for the disks as well",
    ),
    accepted("zip64-end-comment", replace(_ENDED, comment=b"a comment"), "the end record ends it, not the locator"),
)
_FIELDS: Final = (
    refused(
        "zip64-sentinel-local",
        among(Member(_NAME, FRAME, local_overrides={"size": MAX32, "packed": MAX32})),
        _ENTRY,
        _ZIP64,
        "points to an extra field that is not there",
    ),
    refused(
        "zip64-sentinel-central",
        among(Member(_NAME, FRAME, central_overrides={"size": MAX32})),
        _ENTRY,
        _ZIP64,
        "points to an extra field that is not there",
    ),
    refused(
        "zip64-offset-sentinel",
        among(Member(_NAME, FRAME, central_overrides={"offset": MAX32})),
        _ENTRY,
        _ZIP64,
        "the offset is said to be in an extra field that is not there",
    ),
    refused(
        "zip64-short-local",
        among(Member(_NAME, FRAME, zip64_local=("size",), local_overrides={"packed": MAX32})),
        _ENTRY,
        _ZIP64,
        "two sentinels, one value",
    ),
    refused(
        "zip64-short-central",
        among(Member(_NAME, FRAME, zip64_central=("size",), central_overrides={"packed": MAX32})),
        _ENTRY,
        _ZIP64,
        "two sentinels, one value",
    ),
    refused(
        "zip64-spare-value",
        among(Member(_NAME, FRAME, STORED, extra_central=extra_field(1, struct.pack("<QQ", 2, 2)))),
        _ENTRY,
        _ZIP64,
        "no sentinel asks for them, and they say something else than the header",
    ),
    accepted(
        "zip64-spare-offset",
        Archive(
            [
                Member(
                    _NAME,
                    FRAME,
                    STORED,
                    extra_central=extra_field(1, struct.pack("<QQQI", 600, 600, 0, 0)),
                    central_overrides={"size": MAX32, "packed": MAX32},
                )
            ]
        ),
        "commons-compress up to 1.21 adds offset and disk, which no sentinel asks for; Java had to accept it",
    ),
)
ZIP64: Final[tuple[Shape, ...]] = (*_zip64_lies(), *_FIELDS, *_end_lies(), *_ENDS, *_ACCEPTED)
