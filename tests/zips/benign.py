"""Shapes to accept: what real programs write. "Measured" are those whose bytes were looked at, field by field."""

import struct
from dataclasses import replace
from typing import Final, get_args

from ferryman_server.media.entries import DEFLATED, METHODS, STORED
from tests.zips.build import HAS_DESCRIPTOR, IS_UTF8, MADE_ON_UNIX, MAX16, MAX32, Archive, Member, folder
from tests.zips.records import Descriptor, extra_field
from tests.zips.shape import FIRST, FRAME, LAST, Shape, accepted, among

_LAYOUTS: Final[tuple[Descriptor, ...]] = get_args(Descriptor)
_JSON: Final = b'{"width": 20, "height": 15, "format": "rgb565le"}'
_BLACK: Final = bytes(600)
_FROM_JAVA: Final = 20
_FOLDER: Final = folder(b"frames/")
_TIMES: Final = extra_field(0x5455, b"\1" + bytes(4)) + extra_field(0x7875, b"\1\4" + bytes(4) + b"\4" + bytes(4))


def _film(frame: Member, place: Member = _FOLDER) -> Archive:
    """A folder, a frame of the kind of `frame`, a black one and an empty one, and the metadata last."""
    contents = {b"frames/0.rgb": FRAME, b"frames/1.rgb": _BLACK, b"frames/2.rgb": b"", b"metadata.json": _JSON}
    return Archive([place, *(replace(frame, name=name, content=content) for name, content in contents.items())])


def _of_all_methods() -> list[Shape]:
    """Every method with sizes in the header and with every descriptor."""
    plain = [
        accepted(
            f"plain-{name.lower()}", _film(Member(b"", method=method)), "sizes in the header: zip, 7-Zip, Python, JSZip"
        )
        for method, name in METHODS.items()
    ]
    why = {
        "signed32": "what nearly all that stream write: jar, Python, zip.js, JSZip, fflate, yazl, Go, 7-Zip (measured)",
        "unsigned32": "APPNOTE 4.3.9.3: the signature may be missing; old PKZIP, and no writer of today that is known",
        "signed64": "in entries of more than 4 GiB, and in small ones by writers that cannot know",
        "unsigned64": "both of these: no known writer, allowed all the same",
    }
    described = [
        accepted(
            f"described-{name.lower()}-{layout}", _film(Member(b"", method=method, descriptor=layout)), why[layout]
        )
        for method, name in METHODS.items()
        for layout in _LAYOUTS
    ]
    wide = [
        accepted(
            f"described-{name.lower()}-{layout}-zip64",
            _film(Member(b"", method=method, descriptor=layout, zip64=True)),
            "with zip64 fields that hold zeros: stream-zip, and Python with force_zip64 (measured)",
        )
        for method, name in METHODS.items()
        for layout in ("signed64", "unsigned64")
    ]
    return [*plain, *described, *wide]


def _many(count: int) -> Archive:
    return Archive([Member(b"%05d" % number, method=STORED) for number in range(count)], zip64_end=count >= 1 << 16)


def _zip_fz() -> Archive:
    """`zip -fz`: zip64 behind other fields in the local headers; in the directory for the size alone."""

    def member(name: bytes, content: bytes, method: int) -> Member:
        plain = Member(name, content, method)
        truth = plain.truth(plain.data())
        wide = extra_field(1, struct.pack("<QQ", truth["size"], truth["packed"]))
        local = {"size": MAX32, "packed": MAX32, "needed": 45}
        return replace(plain, extra_local=_TIMES + wide, local_overrides=local, zip64_central=("size",))

    place = replace(member(b"frames/", b"", STORED), central_overrides={"needed": 10})
    archive = Archive([place, member(b"frames/a.rgb", FRAME, DEFLATED)], zip64_end=True)
    return replace(archive, end_overrides={**_end_in_full(archive), "offset": MAX32})


def _end_in_full(archive: Archive) -> dict[str, int]:
    """What an end record says that leaves nothing to the zip64 one."""
    _, places = archive.build()
    count = len(places.central)
    size = places.directory_end - places.directory
    return {"entries": count, "disk_entries": count, "size": size, "offset": places.directory}


def _zip_of_stdin() -> Archive:
    """`zip - -` of a file: zip64 sizes in the local header alone, and both end records, each in full."""
    archive = Archive([Member(b"-", FRAME, zip64_local=("size", "packed"))], zip64_end=True)
    return replace(archive, end_overrides=_end_in_full(archive))


def _bsdtar(method: int) -> Archive:
    """`bsdtar --format zip` to a pipe: the sizes it knows in the local header, a descriptor, NULs up to a block."""

    def member(name: bytes, content: bytes) -> Member:
        said = {"size": len(content)} | ({"packed": len(content)} if method == STORED else {})
        return Member(name, content, method, "signed32", extra_local=_TIMES, extra_central=_TIMES, local_overrides=said)

    members = [
        folder(b"frames/"),
        member(b"frames/b.rgb", FRAME),
        member(b"frames/empty", b""),
        member(b"a.json", _JSON),
    ]
    archive = Archive(members)
    return replace(archive, trailer=bytes(10_240 - len(archive.to_bytes())))


_PIPED_BY_PYTHON: Final = Archive(
    [
        Member(b"a.rgb", FRAME, STORED, "signed32", external=0o600 << 16),
        Member(b"b.rgb", FRAME, STORED, "signed64", zip64_local=("size", "packed"), made_by=3 << 8 | 45),
        Member(b"c.rgb", b"", STORED, "signed64", zip64_local=("size", "packed"), made_by=3 << 8 | 45),
        folder(b"d/"),
        Member("ü".encode(), b"", STORED, "signed32"),
    ]
)
_JAR: Final = _film(
    Member(b"", descriptor="signed32", flags=HAS_DESCRIPTOR | IS_UTF8, made_by=_FROM_JAVA, external=0),
    replace(_FOLDER, flags=IS_UTF8, made_by=_FROM_JAVA, external=0),
)
_BROWSER: Final = Member(b"", method=STORED, descriptor="signed32", flags=HAS_DESCRIPTOR | IS_UTF8, made_by=3 << 8 | 45)
_PRODUCERS: Final = (
    accepted("producer-zip-fz", _zip_fz(), "Info-ZIP with -fz (measured); versions needed differ, too"),
    accepted("producer-zip-stdin", _zip_of_stdin(), "Info-ZIP from a pipe, but for the file type (measured)"),
    accepted("producer-bsdtar", _bsdtar(DEFLATED), "bsdtar to a pipe (measured)"),
    accepted("producer-bsdtar-stored", _bsdtar(STORED), "with zip:compression=store (measured)"),
    accepted("producer-python-pipe", _PIPED_BY_PYTHON, "zipfile to a pipe, with and without force_zip64 (measured)"),
    accepted("producer-jar", _JAR, "jar: descriptors, bit 11 always, no attributes (measured)"),
    accepted(
        "producer-browser",
        _film(_BROWSER, replace(_FOLDER, flags=IS_UTF8)),
        "client-zip, zip.js, fflate, JSZip: stored, sizes unknown",
    ),
    accepted(
        "producer-7zip-empty",
        Archive([Member(b"empty", packed=b"\1\0\0\xff\xff", descriptor="signed32"), LAST]),
        "7-Zip and Go pack nothing as a stored block of no bytes (measured)",
    ),
    accepted(
        "producer-stream-zip",
        Archive(
            [Member(b"a.rgb", FRAME, descriptor="signed64", zip64=True), replace(folder(b"d/"), zip64=True)],
            zip64_end=True,
            end_overrides={"disk": MAX16, "directory_disk": MAX16},
        ),
        "zip64 throughout, sentinels for the disks as well (source read)",
    ),
    accepted(
        "producer-ntfs-times",
        among(Member(b"a.rgb", FRAME, extra_central=extra_field(10, bytes(4) + struct.pack("<HH", 1, 24) + bytes(24)))),
        "7-Zip and Windows: times in the directory alone (measured)",
    ),
)
_OTHERS: Final = (
    accepted("one-entry", Archive([FIRST]), "the least"),
    accepted("one-empty-entry", Archive([Member(b"empty", method=STORED)]), "no bytes"),
    accepted("one-empty-deflated", Archive([Member(b"empty")]), "no bytes in two"),
    accepted(
        "one-empty-described", Archive([Member(b"empty", method=STORED, descriptor="signed32")]), "no bytes, said late"
    ),
    accepted(
        "directory-reversed",
        replace(among(Member(b"a.rgb", FRAME)), central_order=[2, 1, 0]),
        "offsets say which is which",
    ),
    accepted("directory-sorted", replace(Archive([LAST, FIRST, folder(b"a/")]), central_order=[2, 1, 0]), "by name"),
    accepted("zip64-entries", among(Member(b"a.rgb", FRAME, zip64=True)), "sizes and offset in extra fields"),
    accepted("zip64-size-only", among(Member(b"a.rgb", FRAME, zip64_central=("size",))), "in the directory, one value"),
    accepted("zip64-offset-only", among(Member(b"a.rgb", FRAME, zip64_central=("offset",))), "an entry behind 4 GiB"),
    accepted("entries-65535", _many(65_535).to_bytes, "the most without zip64: its count looks like a sentinel"),
    accepted("entries-65536", _many(65_536).to_bytes, "one more, with zip64"),
    accepted("deep-folders", among(Member(b"d/" * 400 + b"a.rgb", FRAME)), "805 bytes of name, 400 folders"),
    accepted(
        "name-of-dots", among(Member(b"...rgb", FRAME), Member(b"..frames/a..rgb", FRAME)), "dots that are no parent"
    ),
    accepted("name-of-colons", among(Member(b"frame 12:30:00.rgb", FRAME)), "a colon that is no drive's"),
    accepted(
        "made-nowhere", among(Member(b"a.rgb", FRAME, made_by=0, external=0)), "MS-DOS, version 0: many small writers"
    ),
    accepted("mac-resources", among(Member(b"__MACOSX/._a.rgb", FRAME, made_by=MADE_ON_UNIX)), "what macOS adds"),
)
BENIGN: Final[tuple[Shape, ...]] = (*_of_all_methods(), *_PRODUCERS, *_OTHERS)
