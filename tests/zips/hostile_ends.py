"""Shapes whose end or beginning is wrong: the end record, comments that hold another archive, what is around it all."""

from dataclasses import replace
from typing import Final

from ferryman_server.media.entries import STORED
from tests.zips.build import MAX16, Archive, Member
from tests.zips.records import extra_field
from tests.zips.shape import FIRST, FRAME, LAST, Shape, accepted, among, refused

_RECORD: Final = "end record,end of central,signature,second,another,record,pk"
_COMMENT: Final = f"comment,{_RECORD}"
_DIRECTORY: Final = "directory,end record,count,entries,size,offset"
_DISK: Final = "disk,part,split,span,volume,multi"
_BEHIND: Final = "behind,after,trailing,follow,end record,end of central"
_NO_ZIP: Final = "zip,archive,pk,signature,local header,begin,start"
_PREFIX: Final = f"{_NO_ZIP},before,prepend,offset"
_PLAIN: Final = Archive([FIRST, LAST])
_PLACES: Final = _PLAIN.build()[1]
_SIZE: Final = _PLACES.directory_end - _PLACES.directory
_ZIP: Final = _PLAIN.to_bytes()
_END: Final = Archive().to_bytes()
_ZIP64: Final = Archive([FIRST, LAST], zip64_end=True)
_ZIP64_PLACES: Final = _ZIP64.build()[1]
_ZIP64_END: Final = _ZIP64.to_bytes()[_ZIP64_PLACES.zip64_end : _ZIP64_PLACES.locator]
_LOCATOR: Final = _ZIP64.to_bytes()[_ZIP64_PLACES.locator : _ZIP64_PLACES.end]
_RECORDS: Final = {"zip": _ZIP, "end-record": _END, "zip64-end-record": _ZIP64_END, "zip64-locator": _LOCATOR}
_SIGNATURES: Final = {"end": b"PK\5\6", "zip64-end": b"PK\6\6", "zip64-locator": b"PK\6\7"}


def _in_comments() -> list[Shape]:
    """Whole records, and their bare signatures, in the three places of the directory where anything may stand."""
    return [
        shape
        for name, record in (
            _RECORDS | {f"{name}-signature": b"..." + mark for name, mark in _SIGNATURES.items()}
        ).items()
        for shape in (
            refused(
                f"comment-of-{name}",
                replace(_PLAIN, comment=b"see " + record),
                None,
                _COMMENT,
                "who looks for the end record from the back finds another one, or another archive",
            ),
            refused(
                f"entry-comment-of-{name}",
                among(Member(b"frame.rgb", FRAME, comment=record)),
                None,
                _COMMENT,
                "the same in the comment of an entry",
            ),
            refused(
                f"extra-field-of-{name}",
                among(Member(b"frame.rgb", FRAME, extra_central=extra_field(0x4242, record))),
                None,
                f"extra,{_COMMENT}",
                "the same in an extra field of the directory",
            ),
        )
    ]


def _second_archive() -> bytes:
    """The described attack: one end record, locals and directory that agree, and a zip64 locator right before it.

    It is the end of the last entry's comment, as is the archive that it leads to, whose offsets count from byte 0.
    """
    hidden = Archive([Member(b"evil.rgb", FRAME)], zip64_end=True)
    size = hidden.build()[1].end

    def outer(comment: bytes) -> Archive:
        return Archive([FIRST, replace(LAST, comment=comment)])

    start = outer(bytes(size)).build()[1].end - size
    return outer(replace(hidden, prefix=bytes(start)).to_bytes()[start : start + size]).to_bytes()


def _elsewhere() -> bytes:
    """The end record points to another directory, within a stored entry; of the same size and count."""
    directory = _ZIP[_PLACES.directory : _PLACES.directory_end]
    archive = Archive([Member(b"decoy", directory, STORED), Member(b"other", FRAME)])
    offset = archive.build()[1].data[0]
    return replace(archive, end_overrides={"offset": offset, "size": len(directory)}).to_bytes()


_ENDS: Final = (
    *(
        refused(f"end-{name}", replace(_PLAIN, end_overrides=lies), None, words, why)
        for name, lies, words, why in (
            ("count-more", {"disk_entries": 3, "entries": 3}, _DIRECTORY, "one entry that is not there"),
            ("count-less", {"disk_entries": 1, "entries": 1}, _DIRECTORY, "readers that stop there hide the second"),
            ("count-wrapped", {"disk_entries": 0, "entries": 0}, _DIRECTORY, "none at all"),
            ("count-of-disk", {"disk_entries": 1}, f"{_DIRECTORY},{_DISK}", "one of two entries on this disk"),
            ("size-more", {"size": _SIZE + 1}, _DIRECTORY, "a byte more than the directory has"),
            ("size-less", {"size": _SIZE - 1}, _DIRECTORY, "and one less"),
            ("size-zero", {"size": 0}, _DIRECTORY, "none at all"),
            ("offset-late", {"offset": _PLACES.directory + 1}, _DIRECTORY, "a byte behind its beginning"),
            ("offset-early", {"offset": _PLACES.directory - 1}, _DIRECTORY, "and one before"),
            ("offset-zero", {"offset": 0}, _DIRECTORY, "the first local header"),
            ("offset-of-second", {"offset": _PLACES.central[1], "size": 55}, _DIRECTORY, "leaves the first entry out"),
            ("disk", {"disk": 1}, _DISK, "the second disk of several"),
            ("directory-disk", {"directory_disk": 1}, _DISK, "the directory is on another disk"),
            ("disk-sentinel", {"disk": MAX16}, f"{_DISK},zip64", "a sentinel, and no zip64 end record"),
        )
    ),
    refused(
        "central-disk",
        among(Member(b"frame.rgb", FRAME, central_overrides={"disk": 1})),
        "frame.rgb",
        _DISK,
        "is elsewhere",
    ),
    refused(
        "directory-elsewhere", _elsewhere, None, _DIRECTORY, "the end record leads to another directory, in an entry"
    ),
    refused(
        "second-archive", _second_archive, None, _COMMENT, "zipfile lists evil.rgb, unzip and others the two frames"
    ),
    refused(
        "end-twice", replace(_PLAIN, trailer=_ZIP[_PLACES.end :]), None, f"{_RECORD},{_BEHIND}", "the same once more"
    ),
    refused(
        "end-before-end", replace(_PLAIN, after_directory=_END), None, f"{_DIRECTORY},{_BEHIND}", "an empty one first"
    ),
    refused("zip-then-zip", _ZIP * 2, None, f"{_RECORD},{_BEHIND}", "two archives: the first or the last is read"),
    refused(
        "zip-then-right-zip",
        _ZIP + replace(_PLAIN, prefix=_ZIP).to_bytes()[len(_ZIP) :],
        None,
        f"{_RECORD},{_BEHIND}",
        "the same, and the offsets of the second count from the first byte",
    ),
    refused(
        "trailing-text", replace(_PLAIN, trailer=b"and more"), None, _BEHIND, "may be the beginning of another archive"
    ),
    refused("trailing-byte", replace(_PLAIN, trailer=b"\n"), None, _BEHIND, "one byte is too many as well"),
    refused(
        "trailing-after-nuls", replace(_PLAIN, trailer=bytes(600) + b"x"), None, _BEHIND, "what hides behind the NULs"
    ),
    refused(
        "comment-shorter-than-said",
        replace(_PLAIN, comment=b"short", end_overrides={"comment_length": 9}),
        None,
        f"comment,{_BEHIND},ends",
        "the archive ends inside its comment",
    ),
    refused(
        "comment-longer-than-said",
        replace(_PLAIN, comment=b"too long", end_overrides={"comment_length": 3}),
        None,
        f"comment,{_BEHIND}",
        "five bytes that belong to nothing",
    ),
    accepted(
        "trailing-nuls",
        replace(_PLAIN, trailer=bytes(9147)),
        "what `bsdtar -cf -` fills its last block with (measured)",
    ),
    accepted("trailing-nul", replace(_PLAIN, trailer=b"\0"), "one is as good as many"),
    accepted("trailing-nuls-behind-comment", replace(_PLAIN, comment=b"a comment", trailer=bytes(512)), "both"),
    accepted("comment", replace(_PLAIN, comment="Größe: 320×240".encode()), "a plain one"),
    accepted(
        "comment-as-long-as-can-be", replace(_PLAIN, comment=b"c" * 65_535), "65,535 bytes; all eight readers take it"
    ),
    accepted("comment-of-nuls", replace(_PLAIN, comment=bytes(100)), "its length says that they are the comment"),
    accepted(
        "comment-of-control-bytes",
        replace(_PLAIN, comment=bytes(range(1, 9)) * 4),
        "uv refuses these as they may be signatures; here those are looked for. Android signs whole files in comments",
    ),
    accepted("comment-of-pk", replace(_PLAIN, comment=b"PKZIP PK\3\4 PK\1\2 PK"), "no end of anything"),
    accepted(
        "entry-comment", among(Member(b"frame.rgb", FRAME, comment=b"taken at night")), "a plain one; PyPI refuses it"
    ),
)
_BEGINNINGS: Final = (
    refused(
        "prepended", replace(_PLAIN, prefix=b"#!/bin/sh\n"), None, _PREFIX, "a self-extractor whose offsets count it"
    ),
    refused(
        "prepended-uncounted",
        replace(_PLAIN, prefix=b"#!/bin/sh\n", prefix_counts=False),
        None,
        _PREFIX,
        "and one whose offsets do not",
    ),
    refused("prepended-nul", replace(_PLAIN, prefix=b"\0"), None, _PREFIX, "a single NUL"),
    refused("spanned", replace(_PLAIN, prefix=b"PK\7\x08"), None, f"{_PREFIX},{_DISK}", "the first part of several"),
    refused(
        "spanned-after-all",
        replace(_PLAIN, prefix=b"PK00"),
        None,
        f"{_PREFIX},{_DISK}",
        "WinZip marks so what was to be split and was not: whole, but byte 0 is no entry, and who splits frames?",
    ),
    *(
        refused(f"no-zip-{name}", data, None, _NO_ZIP, "something else")
        for name, data in (
            ("text", b"This is no archive at all, but a text that is longer than an end record."),
            ("gzip", b"\x1f\x8b\x08" + bytes(60)),
            ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(60)),
            ("rar", b"Rar!\x1a\7\1\0" + bytes(60)),
            ("nuls", bytes(1000)),
            ("one-byte", b"P"),
            ("directory-first", _ZIP[_PLACES.directory :]),
        )
    ),
    refused("empty-file", b"", None, f"{_NO_ZIP},empty,no bytes,ends", "nothing at all"),
    accepted("empty-archive", Archive(), "a lone end record, as zip -d leaves it"),
    accepted("empty-archive-comment", Archive(comment=b"nothing here"), "the same with a comment"),
)
ENDS: Final[tuple[Shape, ...]] = (*_in_comments(), *_ENDS, *_BEGINNINGS)
