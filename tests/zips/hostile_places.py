"""Shapes whose entries are not those that the directory lists, or not where it says: overlaps, hidden ones, gaps."""

import struct
from dataclasses import replace
from typing import Final

from ferryman_server.media.entries import STORED
from tests.zips.build import Archive, Member
from tests.zips.records import deflated, extra_field
from tests.zips.shape import FIRST, FRAME, LAST, Shape, among, refused

_NAME: Final = b"frame.rgb"
_ENTRY: Final = "frame.rgb"
_OVERLAP: Final = "overlap,offset,local header,twice,already,same,no entry,where,listed,differ,count,entries"
_HIDDEN: Final = "hidden,not list,does not,unlisted,missing,directory"
_GAP: Final = "gap,between,padding,bytes,signature,header,record,unexpected,neither,pk"
_MISSING: Final = "no local header,no entry,not there,nowhere,offset,directory,missing,header"
_DIFFERS: Final = "name,differ,offset,directory,local"
_FRAME: Final = Member(_NAME, FRAME)
_HIDING: Final = replace(_FRAME, name=b"hidden.rgb", listed=False)


def _many_for_one() -> Archive:
    """Twenty entries of the directory that all lead to the first local header."""
    copies = [
        Member(b"copy%02d.rgb" % number, FRAME, local=False, central_overrides={"offset": 0}) for number in range(20)
    ]
    return Archive([FIRST, *copies])


def _within(listed: bool) -> bytes:
    """A stored entry that is a whole other entry, which the directory lists as well."""
    inner = Member(b"within.rgb", FRAME, STORED)
    outer = Member(_NAME, inner.local_header(inner.truth(FRAME)) + FRAME, STORED)
    archive = Archive([FIRST, outer, replace(inner, local=False, listed=listed)])
    offset = archive.build()[1].data[1]
    inside = replace(inner, local=False, listed=listed, central_overrides={"offset": offset})
    return replace(archive, members=[FIRST, outer, inside]).to_bytes()


def _quoted(count: int) -> bytes:
    """Fifield's construction: each stream quotes the next local header and goes on behind it, sharing its data."""
    stream, content = deflated(bytes(4096)), bytes(4096)
    quoted: list[tuple[Member, int]] = []
    for number in reversed(range(count)):
        member = Member(b"quoted%02d.rgb" % number, content, packed=stream, local=False)
        header = member.local_header(member.truth(stream))
        quoted.append((member, len(header) + len(stream)))
        block = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)  # stored, and not the last one
        stream, content = block + header + stream, header + content
    body = stream[5:]  # from the first header on, which nobody quotes
    placed = [replace(member, central_overrides={"offset": len(body) - size}) for member, size in reversed(quoted)]
    return Archive(placed, prefix=body).to_bytes()


def _renamed(name: bytes) -> Archive:
    """A name in the local header, another one in the directory."""
    return among(replace(_FRAME, central_overrides={"name": name}))


def _offset(by: int) -> Archive:
    right = among(_FRAME).build()[1].headers[1]
    return among(replace(_FRAME, central_overrides={"offset": right + by}))


def _swapped() -> Archive:
    """Two entries of the same sizes and CRC, each at the other one's offset."""
    first, second = Member(b"frame1.rgb", FRAME), Member(b"frame2.rgb", FRAME)
    places = among(first, second).build()[1].headers
    return among(
        replace(first, central_overrides={"offset": places[2]}),
        replace(second, central_overrides={"offset": places[1]}),
    )


def _signing_block() -> bytes:
    """Where Android's signatures are: size, pairs, size again and a magic."""
    pairs = struct.pack("<QI", 4 + 32, 0x7109871A) + bytes(32)
    size = struct.pack("<Q", len(pairs) + 8 + 16)
    return size + pairs + size + b"APK Sig Block 42"


_OVERLAPS: Final = (
    refused("overlap-full", _many_for_one(), "copy", _OVERLAP, "7-Zip and jar unpack all of them: a bomb of one entry"),
    refused("overlap-same-name", replace(among(_FRAME), central_order=[0, 1, 1, 2]), _ENTRY, _OVERLAP, "listed twice"),
    refused("overlap-within", lambda: _within(True), "within.rgb", _OVERLAP, "an entry that is the content of another"),
    refused("overlap-quoted", lambda: _quoted(20), "quoted", _OVERLAP, "zipfile 3.11.7 unpacks it (CVE-2024-0450)"),
    refused("overlap-swapped", _swapped(), "frame", _DIFFERS, "each leads to the other: only the names tell"),
    refused("name-differs", _renamed(b"other.rgb"), None, _DIFFERS, "three readers obey one, three the other"),
    refused("name-differs-in-length", _renamed(b"another-frame.rgb"), "frame.rgb", _DIFFERS, "longer as well"),
    refused("name-differs-in-case", _renamed(b"Frame.rgb"), "rame.rgb", _DIFFERS, "in one letter"),
    refused(
        "name-differs-upwards",
        _renamed(b"../frame.rgb"),
        "frame.rgb",
        f"{_DIFFERS},..",
        "harmless to who reads in order",
    ),
    refused("name-differs-in-form", _renamed(b"./frame.rgb"), "frame.rgb", _DIFFERS, "the same file, said otherwise"),
)
_HIDDEN_ONES: Final = (
    refused(
        "hidden-first", Archive([_HIDING, FIRST, LAST]), "hidden.rgb", _HIDDEN, "the directory begins with the second"
    ),
    refused("hidden-middle", among(_HIDING), "hidden.rgb", _HIDDEN, "a streaming reader sees one entry more"),
    refused("hidden-last", Archive([FIRST, LAST, _HIDING]), "hidden.rgb", _HIDDEN, "behind the last that is listed"),
    refused(
        "hidden-streamed", among(replace(_HIDING, descriptor="signed32")), "hidden.rgb", _HIDDEN, "with a descriptor"
    ),
    refused(
        "hidden-all", Archive([_HIDING]), None, f"{_HIDDEN},count,entries,offset,empty", "an empty directory behind it"
    ),
    refused(
        "hidden-folder", among(replace(_HIDING, name=b"hidden/", content=b"", method=STORED)), "hidden/", _HIDDEN, "too"
    ),
    refused(
        "hidden-version",
        Archive([replace(_FRAME, listed=False), replace(_FRAME, content=FRAME * 2), LAST]),
        _ENTRY,
        f"{_HIDDEN},twice,duplicate,same",
        "an older version of the same name, as tools that only ever add leave it",
    ),
    refused(
        "hidden-padding",
        among(Member(b"", b"", STORED, extra_local=extra_field(0xD935, bytes(40)), listed=False)),
        None,
        f"{_HIDDEN},{_GAP},name,android",
        "what Android's zipflinger fills gaps with",
    ),
    refused("listed-only", among(replace(_FRAME, local=False)), _ENTRY, _MISSING, "its offset is the next entry's"),
    refused(
        "listed-only-beyond",
        among(replace(_FRAME, local=False, central_overrides={"offset": 1 << 30})),
        _ENTRY,
        _MISSING,
        "its offset is beyond the end",
    ),
    refused(
        "listed-only-directory",
        replace(Archive([FIRST]), directory_tail=_FRAME.central_header(_FRAME.truth(_FRAME.data()), 0)),
        None,
        f"{_MISSING},count,entries,twice",
        "an entry of the directory that the end record counts in bytes, not as an entry",
    ),
    refused("offset-early", _offset(-1), _ENTRY, _MISSING, "a byte before it"),
    refused("offset-late", _offset(4), _ENTRY, _MISSING, "four bytes behind it"),
)
_STREAMED: Final = replace(_FRAME, descriptor="signed32")
_DESCRIBED: Final = _STREAMED.trailing(_STREAMED.truth(_STREAMED.data()))
_GAPS: Final = (
    refused(
        "gap", among(replace(_FRAME, after=b"anything")), None, _GAP, "between two entries: readers in order stop there"
    ),
    refused(
        "gap-of-nuls",
        among(replace(_FRAME, after=bytes(512))),
        None,
        _GAP,
        "padding: no tool that packs frames writes it",
    ),
    refused("gap-of-one-nul", among(replace(_FRAME, after=b"\0")), None, _GAP, "one byte is one too many"),
    refused(
        "gap-behind-descriptor", among(replace(_FRAME, descriptor="signed32", after=bytes(8))), None, _GAP, "there, too"
    ),
    refused(
        "gap-second-descriptor", among(replace(_STREAMED, after=_DESCRIBED)), None, _GAP, "the descriptor once more"
    ),
    refused(
        "gap-before-directory",
        replace(among(_FRAME), before_directory=b"anything"),
        None,
        _GAP,
        "behind the last entry",
    ),
    refused("gap-of-nuls-before-directory", replace(among(), before_directory=bytes(64)), None, _GAP, "padding there"),
    refused(
        "gap-behind-directory",
        replace(among(_FRAME), after_directory=b"anything"),
        None,
        f"{_GAP},end",
        "before its end",
    ),
    refused(
        "gap-of-nuls-behind-directory",
        replace(among(), after_directory=bytes(64)),
        None,
        f"{_GAP},end",
        "padding there",
    ),
    refused(
        "gap-in-directory", replace(among(), directory_tail=bytes(64)), None, f"{_GAP},end", "counted as part of it"
    ),
    refused(
        "signing-block",
        replace(among(_FRAME), before_directory=_signing_block()),
        None,
        "android,apk,signing",
        "legitimate in a signed Android package, which is no film: the reason says so",
    ),
    refused(
        "extra-data-record",
        replace(among(_FRAME), before_directory=b"PK\6\x08" + struct.pack("<I", 8) + bytes(8)),
        None,
        f"{_GAP},extra data,encrypt",
        "APPNOTE 4.3.11: only where the directory is encrypted",
    ),
    refused(
        "digital-signature",
        replace(among(_FRAME), directory_tail=b"PK\5\5" + struct.pack("<H", 8) + bytes(8)),
        None,
        f"{_GAP},digital,directory",
        "APPNOTE 4.3.13: no tool of today writes it, readers skip it or stop",
    ),
    refused(
        "digital-signature-behind",
        replace(among(_FRAME), after_directory=b"PK\5\5" + struct.pack("<H", 8) + bytes(8)),
        None,
        f"{_GAP},digital,directory,end",
        "the same, not counted as part of the directory",
    ),
    refused(
        "local-signature",
        among(replace(_FRAME, local_overrides={"signature": 0x04034B51})),
        None,
        _GAP,
        "one bit of the local header's signature",
    ),
    refused(
        "central-signature",
        among(replace(_FRAME, central_overrides={"signature": 0x02014B51})),
        None,
        f"{_GAP},directory",
        "one bit of the directory entry's signature",
    ),
)
PLACES: Final[tuple[Shape, ...]] = (*_OVERLAPS, *_HIDDEN_ONES, *_GAPS)
