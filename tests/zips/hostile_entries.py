"""Shapes whose entries are of a kind that is not read here: links, devices, folders with data, methods, encryption."""

import stat
import struct
from dataclasses import replace
from typing import Final

from ferryman_server.media.entries import DEFLATED, STORED, ZSTD
from tests.zips.build import HAS_DESCRIPTOR, IS_UTF8, Archive, Member, folder
from tests.zips.records import deflated, extra_field
from tests.zips.shape import FRAME, Shape, accepted, among, refused

_ON_MACOS: Final = 19 << 8 | 20  # version made by
_ON_DOS: Final = 20
_DOS_FOLDER: Final = 0x10
_SPECIAL: Final = "device,fifo,pipe,socket,special,type,regular,kind,neither"
_LINK: Final = "symlink,symbolic,link"
_FOLDER: Final = "folder,directory"
_METHOD: Final = "method,compress,packed with,packing"
_ENCRYPTED: Final = "encrypt,password,cipher"
_FLAG: Final = "flag,bit,descriptor,utf-8,differ"


def _typed(mode: int, made_by: int = 3 << 8 | 30, content: bytes = b"") -> Archive:
    """An entry of a Unix file type."""
    return among(Member(b"thing", content, STORED, made_by=made_by, external=(mode | 0o777) << 16))


def _packed(method: int, extra: bytes = b"", flags: int = 0) -> Archive:
    return among(
        Member(b"frame.rgb", FRAME, method, flags=flags, extra_local=extra, extra_central=extra),
    )


def _flagged(local: int, central: int | None = None, name: bytes = b"frame.rgb", content: bytes = FRAME) -> Archive:
    """An entry with these flags, in the directory others if `central` is given."""
    overrides = {} if central is None else {"flags": central}
    return among(Member(name, content, STORED, flags=local, central_overrides=overrides))


def _linked_through() -> Archive:
    link = Member(b"link", b"/etc", STORED, external=(stat.S_IFLNK | 0o777) << 16)
    return among(link, Member(b"link/passwd", FRAME))


def _folder_with(content: bytes, method: int) -> Archive:
    return among(Member(b"frames/", content, method))


_LINKS: Final = (
    refused("symlink", _typed(stat.S_IFLNK, content=b"/etc"), "thing", _LINK, "what `zip -y` writes"),
    refused(
        "symlink-on-macos", _typed(stat.S_IFLNK, _ON_MACOS, b"/etc"), "thing", _LINK, "the mode is Unix's there too"
    ),
    refused(
        "symlink-on-dos",
        _typed(stat.S_IFLNK, _ON_DOS, b"/etc"),
        "thing",
        _LINK,
        "Unix bits without Unix: some readers never look where it was made, and no tool writes this",
    ),
    refused(
        "symlink-then-through", _linked_through(), "link", f"{_LINK},{_FOLDER},both", "unzip wrote through it once"
    ),
    refused("device-character", _typed(stat.S_IFCHR), "thing", _SPECIAL, "a device"),
    refused("device-block", _typed(stat.S_IFBLK), "thing", _SPECIAL, "a device"),
    refused("socket", _typed(stat.S_IFSOCK), "thing", _SPECIAL, "no file either"),
    refused(
        "fifo",
        _typed(stat.S_IFIFO, content=b"data"),
        "thing",
        _SPECIAL,
        "`zip - -` marks what came through a pipe so (measured); no folder of frames is made like that",
    ),
    accepted("mode-without-type", among(Member(b"a.rgb", FRAME, external=0o600 << 16)), "Python's writestr (measured)"),
    accepted(
        "no-attributes", among(Member(b"a.rgb", FRAME, external=0, made_by=_ON_DOS)), "Java, Go and most of JavaScript"
    ),
)
_FOLDERS: Final = (
    refused(
        "folder-with-data", _folder_with(FRAME, STORED), "frames/", _FOLDER, "a file for some, a folder for others"
    ),
    refused("folder-with-packed-data", _folder_with(FRAME, DEFLATED), "frames/", _FOLDER, "the same, deflated"),
    refused(
        "folder-attribute-with-data",
        among(Member(b"frames", FRAME, external=_DOS_FOLDER, made_by=_ON_DOS)),
        "frames",
        _FOLDER,
        "a folder by MS-DOS's attribute, a file by its name",
    ),
    refused(
        "folder-mode-with-data", _typed(stat.S_IFDIR, content=FRAME), "thing", f"{_FOLDER},{_SPECIAL}", "by Unix's type"
    ),
    refused(
        "folder-that-is-a-link",
        among(Member(b"frames/", b"", STORED, external=(stat.S_IFLNK | 0o777) << 16)),
        "frames/",
        _LINK,
        "a link by its type, a folder by its name",
    ),
    accepted("folder-deflated", _folder_with(b"", DEFLATED), "two packed bytes for nothing"),
    accepted(
        "folder-deflated-descriptor",
        among(Member(b"frames/", descriptor="signed32", external=0, made_by=_ON_DOS)),
        "Java's ZipOutputStream, by default (measured)",
    ),
    accepted(
        "folder-stored-descriptor",
        among(Member(b"frames/", method=STORED, descriptor="signed32")),
        "JavaScript's streams",
    ),
    accepted("folder-plain", among(folder(b"frames/")), "zip, 7-Zip, bsdtar"),
)
_METHODS: Final = (
    *(
        refused(f"method-{number}", _packed(number), "frame.rgb", f"{_METHOD},{name}", "no method that is read here")
        for number, name in [
            (1, "shr"),
            (6, "implo"),
            (12, "bzip2"),
            (14, "lzma"),
            (95, "xz"),
            (98, "ppmd"),
            (65535, "un"),
        ]
    ),
    refused(
        "method-differs",
        among(Member(b"frame.rgb", FRAME, STORED, central_overrides={"method": DEFLATED})),
        "frame.rgb",
        _METHOD,
        "stored in the local header, deflated in the directory: other bytes for other readers",
    ),
    refused(
        "method-differs-the-other-way",
        among(Member(b"frame.rgb", FRAME, DEFLATED, central_overrides={"method": STORED})),
        "frame.rgb",
        _METHOD,
        "and the other way round",
    ),
    refused(
        "method-differs-zstd",
        among(Member(b"frame.rgb", FRAME, ZSTD, central_overrides={"method": 20})),
        "frame.rgb",
        _METHOD,
        "20 was zstd's number for a while: not in the directory alone",
    ),
)
_AES: Final = extra_field(0x9901, struct.pack("<H2sBH", 2, b"AE", 3, DEFLATED))
_ENCRYPTION: Final = (
    refused("encrypted", _flagged(1, content=bytes(12) + FRAME), "frame.rgb", _ENCRYPTED, "ZipCrypto: 12 bytes before"),
    refused("encrypted-local", _flagged(1, 0), "frame.rgb", f"{_ENCRYPTED},{_FLAG}", "in the local header alone"),
    refused("encrypted-central", _flagged(0, 1), "frame.rgb", f"{_ENCRYPTED},{_FLAG}", "in the directory alone"),
    refused(
        "encrypted-descriptor",
        among(Member(b"frame.rgb", FRAME, descriptor="signed32", flags=1 | HAS_DESCRIPTOR)),
        "frame.rgb",
        _ENCRYPTED,
        "as zip -e writes to a pipe",
    ),
    refused(
        "encrypted-aes", _packed(99, _AES, 1), "frame.rgb", f"{_ENCRYPTED},aes,{_METHOD}", "WinZip's AES: method 99"
    ),
    refused("encrypted-aes-unflagged", _packed(99, _AES), "frame.rgb", f"{_ENCRYPTED},aes,{_METHOD}", "without bit 0"),
    refused("encrypted-strongly", _flagged(1 | 1 << 6), "frame.rgb", f"{_ENCRYPTED},bit 6", "PKWARE's own"),
    refused("encrypted-strongly-alone", _flagged(1 << 6), "frame.rgb", f"{_ENCRYPTED},bit 6", "bit 6 without bit 0"),
    refused(
        "headers-masked", _flagged(1 << 13), "frame.rgb", f"{_ENCRYPTED},mask,bit 13", "local headers are not true"
    ),
    refused("patched", _flagged(1 << 5), "frame.rgb", "patch,bit 5,flag", "a difference to a file we do not have"),
)


def _descriptor_flag(member: Member, central: int) -> Archive:
    return among(replace(member, central_overrides={"flags": central}))


_PLAIN: Final = Member(b"frame.rgb", FRAME)
_STREAMED: Final = Member(b"frame.rgb", FRAME, descriptor="signed32")
_FLAGS: Final = (
    refused(
        "bit-3-local", _descriptor_flag(_STREAMED, 0), "frame.rgb", _FLAG, "a descriptor that the directory denies"
    ),
    refused("bit-3-central", _descriptor_flag(_PLAIN, HAS_DESCRIPTOR), "frame.rgb", _FLAG, "and one it only claims"),
    refused(
        "bit-11-local", _flagged(IS_UTF8, 0, "Ü-frame".encode()), "frame", _FLAG, "two names: UTF-8 or code page 437"
    ),
    refused("bit-11-central", _flagged(0, IS_UTF8, "Ü-frame".encode()), "frame", _FLAG, "and the other way round"),
    refused(
        "bit-11-of-ascii",
        _flagged(IS_UTF8, 0),
        "frame.rgb",
        _FLAG,
        "the same name either way, yet nobody differs by chance: refused like any other bit",
    ),
    refused(
        "bit-1-central", _flagged(0, 2), "frame.rgb", _FLAG, "how hard it was packed: harmless, but a sign of tampering"
    ),
    accepted(
        "level-bit-1",
        among(Member(b"frame.rgb", FRAME, packed=deflated(FRAME, 9), flags=2)),
        "Info-ZIP at -9 (measured)",
    ),
    accepted(
        "level-bit-2",
        among(Member(b"frame.rgb", FRAME, packed=deflated(FRAME, 1), flags=4)),
        "Info-ZIP at -1 (measured)",
    ),
)


ENTRIES: Final[tuple[Shape, ...]] = (*_LINKS, *_FOLDERS, *_METHODS, *_ENCRYPTION, *_FLAGS)
