"""The writer of test archives writes right ones unless told otherwise, and the table of shapes is in order."""

import functools
import hashlib
import io
import struct
import zipfile
import zlib
from collections import defaultdict
from typing import Final

import inflate64
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.entries import DEFLATED, DEFLATED64, METHODS, STORED, ZSTD
from tests.zips.build import Archive, Member, folder
from tests.zips.hostile import SHAPES
from tests.zips.hostile_streams import LIMIT, deflated64_zeros, deflated_zeros
from tests.zips.records import descriptor_record, packed
from tests.zips.shape import Shape
from tests.zips.strategies import archives, cuts, members, pieces, splits

_LARGEST: Final = 8 << 20  # bytes of an archive in the table
_READ_BY_PYTHON: Final = (STORED, DEFLATED)


def unpacked(archive: bytes, entry: zipfile.ZipInfo) -> bytes:
    """The content of an entry, from where its local header says that the packed bytes are."""
    name_length, extra_length = struct.unpack_from("<HH", archive, entry.header_offset + 26)
    start = entry.header_offset + 30 + name_length + extra_length
    data = archive[start : start + entry.compress_size]
    if entry.compress_type == DEFLATED64:
        content: bytes = inflate64.Inflater().inflate(data)
        return content
    if entry.compress_type == ZSTD:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return zlib.decompress(data, wbits=-15) if entry.compress_type == DEFLATED else data


@given(made=archives())
def test_what_is_made_is_what_python_reads(made: tuple[bytes, list[tuple[str, bytes]]]) -> None:
    """Python's zipfile finds the names, sizes and CRCs of every archive, and the contents that it can unpack."""
    data, expected = made
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        assert [entry.filename for entry in entries] == [name for name, _ in expected]
        for entry, (_, content) in zip(entries, expected, strict=True):
            assert (entry.file_size, entry.CRC) == (len(content), zlib.crc32(content))
            assert unpacked(data, entry) == content
            if entry.compress_type in _READ_BY_PYTHON:
                assert archive.read(entry) == content


@given(member=members(0, stored_unsigned=False))
def test_stored_entries_can_be_had_with_signatures_only(member: Member) -> None:
    """Without unsigned ones, whatever is stored has a signed descriptor or none."""
    assert member.method != STORED or member.descriptor in (None, "signed32", "signed64")


@pytest.mark.parametrize("method", METHODS)
def test_an_archive_without_choices_is_right(method: int) -> None:
    """A folder, a file and an empty one are found again with nothing chosen but the method."""
    contents = {"frames/": b"", "frames/a.rgb": b"frame" * 100, "frames/ü.rgb": b""}
    files = [Member(name.encode(), content, method) for name, content in contents.items() if content or name[-1] != "/"]
    data = Archive([folder(b"frames/"), *files], comment=b"a film").to_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.comment == b"a film"
        assert {entry.filename: unpacked(data, entry) for entry in archive.infolist()} == contents


def test_deflate64_packs_runs_of_every_length() -> None:
    """Runs around 260 bytes, which the packer that is used gets wrong, unpack to what they were."""
    for size in range(255, 270):
        run = b"a" * size
        assert inflate64.Inflater().inflate(packed(DEFLATED64, run)) == run


def test_places_are_where_records_begin() -> None:
    """Where a record is said to be, its signature is."""
    members = [Member(b"a", b"a" * 9, descriptor="signed32"), Member(b"b", b"bytes", STORED)]
    data, places = Archive(members, prefix=b"before", zip64_end=True, comment=b"PK").build()
    found = [data[at : at + 4] for at in (*places.headers, *places.central)]
    assert found == [b"PK\3\4"] * 2 + [b"PK\1\2"] * 2
    assert data[places.data[1] : places.data_ends[1]] == b"bytes"
    assert data[places.data_ends[0] :].startswith(b"PK\7\x08")
    ends = (places.directory_end, places.zip64_end, places.locator, places.end)
    assert [data[at : at + 4] for at in ends] == [b"PK\6\6", b"PK\6\6", b"PK\6\7", b"PK\5\6"]


def test_a_lie_changes_its_field_alone() -> None:
    """An overridden length is written, and neither the name nor anything else follows it."""
    honest = Archive([Member(b"name", b"content")]).to_bytes()
    lying = Archive([Member(b"name", b"content", local_overrides={"name_length": 9})]).to_bytes()
    assert [at for at in range(len(honest)) if honest[at] != lying[at]] == [26]


def test_a_field_that_does_not_exist_is_no_lie() -> None:
    """A misspelt field would make a right archive of a hostile one: it is refused."""
    with pytest.raises(KeyError, match="no such field: szie"):
        Archive([Member(b"a", local_overrides={"szie": 1})]).to_bytes()


def test_an_early_end_is_noticed() -> None:
    """Contents that describe what is before are told from such as only look so."""
    front = b"front"
    described = front + descriptor_record("signed32", zlib.crc32(front), len(front), len(front))
    assert splits(Member(b"a", described + b"rest", STORED, "signed32"))
    assert splits(Member(b"a", bytes(12) + b"PK\3\4", STORED, "unsigned32"))
    assert not splits(Member(b"a", b"other" + described[5:] + b"rest", STORED, "signed32"))
    assert not splits(Member(b"a", bytes(600), STORED, "unsigned32"))


@given(data=st.data(), size=st.integers(0, 300))
def test_pieces_make_the_whole(data: st.DataObject, size: int) -> None:
    """Cut anywhere, the pieces are together what was cut."""
    whole = bytes(number % 251 for number in range(size))
    points = data.draw(cuts(size))
    assert points == sorted(points)
    assert b"".join(pieces(whole, points)) == whole


def test_bombs_hold_what_they_say() -> None:
    """The streams that are put together by hand unpack to zeros, and the largest that is accepted reaches the limit."""
    assert zlib.decompress(deflated_zeros(3), wbits=-15) == bytes(3 << 20)
    assert inflate64.Inflater().inflate(deflated64_zeros(2)) == bytes(1 + 2 * 65_538)
    with zipfile.ZipFile(io.BytesIO(shape("limit-reached").make())) as archive:
        assert archive.getinfo("frame.rgb").file_size == LIMIT


def shape(name: str) -> Shape:
    """The shape of that name."""
    return next(each for each in SHAPES if each.name == name)


def test_shapes_have_names_of_their_own() -> None:
    """No two shapes share a name."""
    names = [each.name for each in SHAPES]
    assert len(names) == len(set(names))


@functools.cache
def digest(name: str) -> bytes:
    """The SHA-256 of what the shape of that name makes; the largest take their time."""
    return hashlib.sha256(shape(name).make()).digest()


@pytest.mark.parametrize("each", SHAPES, ids=lambda each: each.name)
def test_a_shape_is_the_same_each_time(each: Shape) -> None:
    """What a shape makes does not depend on when, is small enough to be made over and over, and is what it says.

    If it is to be accepted, Python's zipfile reads it: each content has the size and the CRC that the directory says.
    """
    data = each.make()
    assert hashlib.sha256(data).digest() == digest(each.name)
    assert len(data) < _LARGEST
    if each.verdict == "accept":
        assert_right(data)


def assert_right(data: bytes) -> None:
    """An archive is what it says."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            content = unpacked(data, entry)
            assert (len(content), zlib.crc32(content)) == (entry.file_size, entry.CRC), entry.filename


def test_a_shape_says_why() -> None:
    """A refusal comes with the words that a good reason has, in lower case, and every verdict with one line of why."""
    for each in SHAPES:
        assert each.why, each.name
        assert "\n" not in each.why, each.name
        assert bool(each.words) == (each.verdict == "refuse"), each.name
        assert all(word and word == word.lower() == word.strip() for word in each.words), each.name
        assert each.entry is None or each.verdict == "refuse", each.name


def test_no_two_shapes_are_the_same_archive() -> None:
    """A shape whose trick got lost on the way would be the same as another one."""
    alike = defaultdict(list)
    for each in SHAPES:
        alike[digest(each.name)].append(each.name)
    assert [names for names in alike.values() if len(names) > 1] == []
