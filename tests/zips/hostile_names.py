"""Shapes whose names or extra fields are wrong: paths that leave the folder, cut names, two names that are one."""

import struct
from typing import Final

from ferryman_server.media.entries import STORED
from tests.zips.build import IS_UTF8, Archive, Member, folder
from tests.zips.records import extra_field, unicode_path
from tests.zips.shape import FRAME, Shape, accepted, among, refused

MAX_NAME: Final = 1024  # bytes
_UPWARDS: Final = "..,parent,outside,above,travers,leave,escape,climb"
_BACKSLASH: Final = "backslash,\\"
_ABSOLUTE: Final = "absolute,begins with,starts with,leading,root"
_CONTROL: Final = "nul,control,\\x,unprintable,zero byte,character"
_UTF8: Final = "utf-8,utf8"
_TWICE: Final = "twice,duplicate,two entries,same name,same as,already,again,repeat,more than once,differ only"
_BOTH: Final = f"{_TWICE},folder,directory,both,conflict,inside"
_EXTRA: Final = "extra,0x7075,7075,unicode"


def _one(name: bytes, flags: int | None = None) -> Archive:
    return among(Member(name, FRAME, flags=flags))


def _two(first: bytes, second: bytes) -> Archive:
    return among(*(folder(name) if name.endswith(b"/") else Member(name, FRAME) for name in (first, second)))


def _extra(extra: bytes, name: bytes = b"frame.rgb", *, local: bool = True, central: bool = True) -> Archive:
    return among(Member(name, FRAME, extra_local=extra * local, extra_central=extra * central))


def _zip64_twice(local: int, central: int) -> Archive:
    other = extra_field(1, struct.pack("<QQ", 2, 2))  # of other sizes
    return among(
        Member(b"frame.rgb", FRAME, STORED, zip64=True, extra_local=other * local, extra_central=other * central)
    )


def _long(size: int) -> bytes:
    """A name of `size` bytes whose every part is short."""
    return (b"n" * 99 + b"/") * (size // 100) + b"n" * (size % 100)


_RIGHT: Final = unicode_path(b"frame.rgb", b"frame.rgb")
_OTHER: Final = unicode_path(b"other.rgb", b"frame.rgb")
_CP437: Final = b"frame-\x9a.rgb"  # "frame-Ü.rgb" in the code page of MS-DOS
_NFC: Final = "café.rgb".encode()
_NFD: Final = "cafe\N{COMBINING ACUTE ACCENT}.rgb".encode()

_PATHS: Final = (
    refused("up-first", _one(b"../evil.rgb"), "../evil.rgb", _UPWARDS, "the classic: out of the destination"),
    refused("up-twice", _one(b"../../evil.rgb"), "../../evil.rgb", _UPWARDS, "further out"),
    refused("up-middle", _one(b"a/../../evil.rgb"), "a/../../evil.rgb", _UPWARDS, "down once, up twice"),
    refused("up-and-back", _one(b"a/../evil.rgb"), "a/../evil.rgb", _UPWARDS, "stays inside, yet is evil.rgb to some"),
    refused("up-last", _one(b"frames/.."), "frames/..", _UPWARDS, "a file that is a folder above it"),
    refused("up-folder", among(folder(b"../")), "../", _UPWARDS, "the parent folder as a folder"),
    refused("up-alone", _one(b".."), "..", _UPWARDS, "nothing but the parent folder"),
    refused("up-backslash", _one(b"..\\evil.rgb"), "evil.rgb", _BACKSLASH, "../ on Windows, a plain name on Linux"),
    refused(
        "backslash", _one(b"frames\\evil.rgb"), "evil.rgb", _BACKSLASH, "a folder to some, to others none; .NET < 4.6.1"
    ),
    refused("backslash-last", _one(b"frames\\"), "frames", _BACKSLASH, "7-Zip before 9.x took it for a folder"),
    refused("absolute", _one(b"/etc/evil.rgb"), "/etc/evil.rgb", _ABSOLUTE, "from the root of the disk"),
    refused("absolute-share", _one(b"//host/share/evil.rgb"), "//host/share/evil.rgb", _ABSOLUTE, "a share on Windows"),
    refused("absolute-slash", among(folder(b"/")), "/", f"{_ABSOLUTE},empty", "the root itself"),
    refused("drive", _one(b"C:/evil.rgb"), "C:/evil.rgb", "drive,colon,absolute", "a drive of Windows"),
    refused("drive-relative", _one(b"c:evil.rgb"), "c:evil.rgb", "drive,colon,absolute", "the drive's current folder"),
    refused("drive-backslash", _one(b"C:\\evil.rgb"), "evil.rgb", f"drive,{_BACKSLASH}", "a drive and a backslash"),
)
_CHARACTERS: Final = (
    refused("nul", _one(b"cut.rgb\0.txt"), "cut.rgb", _CONTROL, "four of eight readers end the name at the NUL"),
    refused("nul-last", _one(b"cut.rgb\0"), "cut.rgb", _CONTROL, "the same name as cut.rgb to those"),
    refused("newline", _one(b"new\nline.rgb"), "line.rgb", _CONTROL, "forges lines in logs and listings"),
    refused("escape", _one(b"\x1b[2Jframe.rgb"), "frame.rgb", _CONTROL, "commands a terminal"),
    refused("delete", _one(b"del\x7fete.rgb"), "ete.rgb", _CONTROL, "the one control character beyond 0x1F in ASCII"),
    refused("c1-control", _one("c1\x9bframe.rgb".encode()), "frame.rgb", _CONTROL, "an escape in one character"),
    refused(
        "empty-name", _one(b""), None, "empty,no name,without a name,nameless", "zipflinger's padding has none either"
    ),
    refused("utf8-broken", _one(b"frame-\xff.rgb", IS_UTF8), "frame-", _UTF8, "flag bit 11 promises UTF-8"),
    refused("utf8-cut", _one(b"frame-\xc3", IS_UTF8), "frame-", _UTF8, "ends inside a character"),
    refused(
        "utf8-overlong", _one(b"..\xc0\xafevil.rgb", IS_UTF8), "evil.rgb", _UTF8, "a slash in two bytes: ../evil.rgb"
    ),
    refused(
        "utf8-surrogate", _one(b"frame-\xed\xa0\x80.rgb", IS_UTF8), "frame-", _UTF8, "half of a pair: no character"
    ),
    refused("name-too-long", _one(_long(MAX_NAME + 1)), None, "long,1,024,1024,1,025,1025", "the limit is 1,024 bytes"),
    refused(
        "name-as-long-as-can-be",
        _one(_long(65_535)),
        None,
        "long,1,024,1024,65,535,65535",
        "all that the field can say",
    ),
    accepted("name-at-the-limit", _one(_long(MAX_NAME)), "1,024 bytes are allowed"),
    accepted("utf8", _one("frame-Ü-漢.rgb".encode()), "the flag is set, as 7-Zip, Java and bsdtar do"),
    accepted("utf8-flag-of-ascii", _one(b"frame.rgb", IS_UTF8), "zip.js, Java and others always set bit 11"),
    accepted(
        "utf8-without-flag",
        _one("frame-Ü.rgb".encode(), 0),
        "Debian's zip and macOS write UTF-8 and no flag (measured)",
    ),
    accepted(
        "cp437", _one(_CP437, 0), "without the flag APPNOTE D.1 says code page 437; Windows' own ZIP folders do so"
    ),
)
_PAIRS: Final = (
    refused("duplicate", _two(b"same.rgb", b"same.rgb"), "same.rgb", _TWICE, "one wins silently, which one differs"),
    refused("duplicate-of-the-first", among(Member(b"first.rgb", FRAME)), "first.rgb", _TWICE, "not its neighbour"),
    refused("duplicate-folder", _two(b"same/", b"same/"), "same/", _TWICE, "harmless, but no tool writes it"),
    refused(
        "duplicate-by-case", _two(b"Same.rgb", b"same.rgb"), "same.rgb", f"{_TWICE},case", "one file on macOS, Windows"
    ),
    refused(
        "duplicate-by-case-beyond-ascii",
        _two("RÉEL.rgb".encode(), "réel.rgb".encode()),
        "el.rgb",
        f"{_TWICE},case",
        "case is not for ASCII alone",
    ),
    refused("duplicate-by-nfd", _two(_NFC, _NFD), "caf", f"{_TWICE},normal,nfc,unicode", "one file on macOS"),
    refused(
        "duplicate-by-nfc", _two(_NFD, _NFC), "caf", f"{_TWICE},normal,nfc,unicode", "the same the other way round"
    ),
    refused("duplicate-by-dot", _two(b"a.rgb", b"./a.rgb"), "a.rgb", f"{_TWICE},./,dot", "./a.rgb is a.rgb"),
    refused("duplicate-by-dot-within", _two(b"d/a.rgb", b"d/./a.rgb"), "a.rgb", f"{_TWICE},./,dot", "as above, deeper"),
    refused(
        "duplicate-by-slashes", _two(b"d/a.rgb", b"d//a.rgb"), "a.rgb", f"{_TWICE},//,slash,empty", "so is d//a.rgb"
    ),
    refused("file-then-its-entry", _two(b"thing", b"thing/a.rgb"), "thing", _BOTH, "a file cannot be a folder too"),
    refused("entry-then-its-file", _two(b"thing/a.rgb", b"thing"), "thing", _BOTH, "the same the other way round"),
    refused("file-and-folder", _two(b"thing", b"thing/"), "thing", _BOTH, "the same with the folder itself"),
    accepted(
        "dot-folders",
        Archive(
            [folder(b"./"), folder(b"./frames/"), Member(b"./frames/a.rgb", FRAME), Member(b"./metadata.json", b"{}")]
        ),
        "what `bsdtar -cf film.zip --format zip .` writes (measured), the folder itself included",
    ),
    accepted("folder-then-its-entry", _two(b"frames/", b"frames/a.rgb"), "as zip, 7-Zip, jar and bsdtar do"),
    accepted("entry-then-its-folder", _two(b"frames/a.rgb", b"frames/"), "an order nobody promised"),
)
_EXTRA_FIELDS: Final = (
    refused(
        "unicode-path-other", _extra(_OTHER), "frame.rgb", _EXTRA, "a second name: some readers obey it, some do not"
    ),
    refused(
        "unicode-path-other-local", _extra(_OTHER, central=False), "frame.rgb", _EXTRA, "in the local header alone"
    ),
    refused("unicode-path-other-central", _extra(_OTHER, local=False), "frame.rgb", _EXTRA, "in the directory alone"),
    refused(
        "unicode-path-up", _extra(unicode_path(b"../e.rgb", b"frame.rgb")), "frame.rgb", f"{_EXTRA},..", "../ that way"
    ),
    refused("unicode-path-twice", _extra(_RIGHT * 2), "frame.rgb", f"{_EXTRA},twice", "agreeing, but who writes two?"),
    refused(
        "unicode-path-two-names", _extra(_RIGHT + _OTHER), "frame.rgb", f"{_EXTRA},twice", "three names for an entry"
    ),
    refused(
        "unicode-path-stale",
        _extra(unicode_path(b"frame.rgb", b"older.rgb")),
        "frame.rgb",
        f"{_EXTRA},crc",
        "its CRC is of another name: to be ignored (4.6.9), yet not by all; a tool that renames has forgotten it",
    ),
    refused(
        "unicode-path-short", _extra(extra_field(0x7075, b"\1\0")), "frame.rgb", f"{_EXTRA},short", "no room for a CRC"
    ),
    refused("zip64-twice", _zip64_twice(1, 1), "frame.rgb", "extra,zip64,0x0001,twice", "which one counts differs"),
    refused("zip64-twice-local", _zip64_twice(1, 0), "frame.rgb", "extra,zip64,0x0001,twice", "in the local header"),
    refused("zip64-twice-central", _zip64_twice(0, 1), "frame.rgb", "extra,zip64,0x0001,twice", "in the directory"),
    refused("extra-beyond", _extra(b"UT\x09\0\1"), "frame.rgb", "extra", "its length goes beyond the end"),
    refused(
        "extra-beyond-local", _extra(b"UT\x09\0\1", central=False), "frame.rgb", "extra", "in the local header alone"
    ),
    refused("extra-beyond-central", _extra(b"UT\x09\0\1", local=False), "frame.rgb", "extra", "in the directory alone"),
    refused("extra-rest", _extra(b"UT\0\0\1\2\3"), "frame.rgb", "extra", "three bytes that are no field"),
    accepted("extra-padding", _extra(bytes(3), central=False), "zipalign fills with up to three NULs"),
    accepted("unicode-path", _extra(_RIGHT), "Info-ZIP writes it, and it agrees"),
    accepted(
        "unicode-path-of-cp437",
        among(
            Member(
                _CP437,
                FRAME,
                flags=0,
                extra_local=unicode_path("frame-Ü.rgb".encode(), _CP437),
                extra_central=unicode_path("frame-Ü.rgb".encode(), _CP437),
            )
        ),
        "what the field is for: the header's name in code page 437, the same in UTF-8",
    ),
    accepted("extra-of-jar", _extra(extra_field(0xCAFE, b"")), "jar marks its archives with an empty field (measured)"),
    accepted(
        "extra-differs",
        among(
            Member(
                b"frame.rgb",
                FRAME,
                extra_local=extra_field(0x5455, b"\3" + bytes(8)),
                extra_central=extra_field(0x5455, b"\3" + bytes(4)),
            )
        ),
        "Info-ZIP's times are longer in the local header",
    ),
)
NAMES: Final[tuple[Shape, ...]] = (*_PATHS, *_CHARACTERS, *_PAIRS, *_EXTRA_FIELDS)
