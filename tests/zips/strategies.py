"""Hypothesis strategies: arbitrary valid archives with what is in them, and the cuts of their way here in pieces.

Valid means: nothing in it can be read two ways by who knows both the local headers and the directory.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, get_args

from hypothesis import strategies as st

from ferryman_server.media.entries import DEFLATED, METHODS, STORED
from tests.zips.build import HAS_DESCRIPTOR, IS_UTF8, Archive, Member
from tests.zips.records import Descriptor, descriptor_record, extra_field

_STEMS: Final = st.text(
    "abc xyz09._-äöλж漢🎞", max_size=6
)  # in lower case: folders that differ in case are no case here
_DECOYS: Final = st.sampled_from([b"PK\3\4", b"PK\7\x08", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK", b"P", bytes(12)])
_RUNS: Final = st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=2), st.integers(1, 1500))
_CONTENTS: Final = st.lists(_DECOYS | st.binary(max_size=40) | _RUNS, max_size=6).map(b"".join)
_COMMENTS: Final = st.just(b"") | st.binary(max_size=30).map(lambda text: text.replace(b"PK", b"ZIP"))
_EXTRAS: Final = st.sampled_from([b"", extra_field(0x5455, b"\1" + bytes(4)), extra_field(0xCAFE, b"")])
_LAYOUTS: Final[tuple[Descriptor, ...]] = get_args(Descriptor)
_SIGNED: Final[tuple[Descriptor, ...]] = ("signed32", "signed64")
_RECORDS: Final = (b"PK\3\4", b"PK\1\2")  # what can follow an entry


def splits(member: Member) -> bool:
    """Whether a stored member whose size stands behind it could as well end earlier: a descriptor of what is before.

    Signed ones count wherever they are; the others only in front of a record, since any NULs describe nothing.
    """
    assert member.descriptor is not None
    trailing = member.trailing(member.truth(member.content))
    return any(
        _describes(member.content[:end], member.content[end:] + trailing + b"PK\3\4")
        for end in _maybe_ends(member.content, trailing)
    )


def _maybe_ends(content: bytes, trailing: bytes) -> list[int]:
    """Where four bytes say how many came before them: the first look, which is cheap."""
    whole = content + trailing
    ends = []
    for at in range(4, len(content) + 8):
        (number,) = struct.unpack_from("<I", whole, at)
        ends += [end for end in (at - 4, at - 8) if end == number < len(content)]
    return ends


def _describes(before: bytes, behind: bytes) -> bool:
    crc, size = zlib.crc32(before), len(before)
    for layout in _LAYOUTS:
        record = descriptor_record(layout, crc, size, size)
        follows = behind[len(record) : len(record) + 4]
        if behind.startswith(record) and (layout.startswith("signed") or follows in _RECORDS):
            return True
    return False


@st.composite
def members(draw: st.DrawFn, number: int, stored_unsigned: bool = True) -> Member:
    """A file or, seldom, a folder. No member of another number has its name, nor a folder or file of that name."""
    is_folder = draw(st.integers(0, 5)) == 0
    # what begins with "d" is a folder and what begins with "f" a file, and the number keeps names apart in any case
    path = "".join(f"d{each}_/" for each in draw(st.lists(_STEMS, max_size=2)))
    path += f"d{draw(_STEMS)}{number}/" if is_folder else f"f{draw(_STEMS)}{draw(st.sampled_from('aA'))}{number}"
    method = draw(st.sampled_from([STORED, DEFLATED] if is_folder else sorted(METHODS)))
    layouts = _LAYOUTS if stored_unsigned or method != STORED else _SIGNED
    descriptor = draw(st.none() | st.sampled_from(layouts))
    flags = HAS_DESCRIPTOR * (descriptor is not None) | IS_UTF8 * (not path.isascii() or draw(st.booleans()))
    member = Member(
        path.encode(),
        b"" if is_folder else draw(_CONTENTS),
        method,
        descriptor,
        zip64_local=draw(st.sampled_from([(), ("size", "packed")])),
        zip64_central=draw(st.sampled_from([(), (), ("size",), ("offset",), ("size", "packed", "offset")])),
        flags=flags | (draw(st.integers(0, 3)) << 1 if method == DEFLATED else 0),
        extra_local=draw(_EXTRAS),
        extra_central=draw(_EXTRAS),
        comment=draw(_COMMENTS),
        external=draw(st.sampled_from([None, 0, 0o600 << 16])),
        made_by=draw(st.sampled_from([0, 20, 3 << 8 | 30, 19 << 8 | 20])),
    )
    if descriptor is None:
        return member
    if method == STORED and splits(member):
        return _announced(member, ("size", "packed"))
    known = [(), ("size", "packed"), ("size", "packed", "crc"), ("size",)]
    return _announced(member, draw(st.sampled_from(known[:3] if method == STORED or member.zip64_local else known)))


def _announced(member: Member, fields: Sequence[str]) -> Member:
    """The member with what its descriptor says in the local header too."""
    truth = member.truth(member.data())
    local = {name: truth[name] for name in fields if name == "crc" or not member.zip64_local}
    wide = {name: truth[name] for name in fields if name != "crc" and member.zip64_local}
    return replace(member, local_overrides=local, zip64_local_overrides=wide)


@st.composite
def archives(draw: st.DrawFn, stored_unsigned: bool = True) -> tuple[bytes, list[tuple[str, bytes]]]:
    """A valid archive, and the name and content of each of its entries, in the order of the local headers.

    `stored_unsigned`: whether stored entries of unknown size may have descriptors without a signature, which APPNOTE
    allows and no known program writes.
    """
    count = draw(st.integers(0, 8))
    entries = [draw(members(number, stored_unsigned)) for number in range(count)]
    archive = Archive(
        entries,
        comment=draw(_COMMENTS),
        trailer=bytes(draw(st.just(0) | st.integers(1, 600))),
        central_order=draw(st.just(range(count)) | st.permutations(range(count))),
        zip64_end=count > 0 and draw(st.booleans()),
    )
    return archive.to_bytes(), [(entry.name.decode(), entry.content) for entry in entries]


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    """Where `size` bytes are cut into pieces: anywhere, also twice in a place, or evenly, down to single bytes."""
    evenly = st.integers(1, 64).map(lambda step: list(range(step, size, step)))
    return st.lists(st.integers(0, size), max_size=12).map(sorted) | evenly


def pieces(data: bytes, points: list[int]) -> list[bytes]:
    """The data cut there; some pieces may be empty."""
    return [data[start:end] for start, end in pairwise([0, *points, len(data)])]
