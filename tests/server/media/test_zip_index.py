"""The walker: hostile shapes get their verdicts, archives of real tools the same entries, however they are cut."""

import hashlib
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.entries import Entry
from ferryman_server.media.zip_bodies import Taste
from ferryman_server.media.zip_errors import BadArchive
from ferryman_server.media.zip_index import Coming, Limits, Walker
from tests.zips.build import Archive, Member
from tests.zips.film import FRAMES
from tests.zips.hostile import SHAPES
from tests.zips.producers import PRODUCERS, archive
from tests.zips.shape import Shape
from tests.zips.strategies import archives, cuts


class Walk:
    """A walker that digests what it unpacks."""

    def __init__(self) -> None:
        self.digests: dict[int, hashlib._Hash] = {}

    def taster(self, coming: Coming) -> Taste:
        """Hears an entry's content."""
        digest = self.digests[coming.number] = hashlib.sha256()
        return digest.update

    def contents(self, entries: Sequence[Entry]) -> list[tuple[str, int, str]]:
        """Name, size and SHA-256 of each entry."""
        return [(entry.name, entry.size, self.digests[entry.number].hexdigest()) for entry in entries]


def walked(data: bytes, at: Sequence[int] = ()) -> list[tuple[str, int, str]]:
    """The contents of an archive that comes in these pieces."""
    walk = Walk()
    walker = Walker(taster=walk.taster)
    told = [entry for piece in pieces(data, at) for entry in walker.feed(piece)]
    assert list(walker.finish()) == told
    return walk.contents(told)


def pieces(data: bytes, at: Sequence[int]) -> list[bytes]:
    """The data cut there."""
    return [data[start:stop] for start, stop in zip([0, *at], [*at, len(data)], strict=True) if start < stop]


def every(size: int, data: bytes) -> list[int]:
    """Cuts so many bytes apart."""
    return list(range(size, len(data), size))


def expected(contents: Sequence[tuple[str, bytes]]) -> list[tuple[str, int, str]]:
    """The same of what was packed."""
    return [(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in contents]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_hostile_shape_gets_its_verdict(shape: Shape) -> None:
    """It is refused with the entry's name and a reason, or accepted, whole and in pieces."""
    data = shape.make()
    # What is large are many entries: one walk, in pieces such as a server gets, takes seconds.
    for at in ([], every(997, data)) if len(data) < 1 << 20 else (every(1 << 16, data),):
        assert_verdict(shape, data, at)


def assert_verdict(shape: Shape, data: bytes, at: Sequence[int]) -> None:
    """The verdict of a shape that comes in these pieces."""
    if shape.verdict == "accept":
        walked(data, at)
        return
    with pytest.raises(BadArchive) as refusal:
        walked(data, at)
    reason = str(refusal.value)
    assert shape.entry is None or shape.entry in (refusal.value.entry or "")
    assert any(word in reason.lower() for word in shape.words), reason
    assert reason.isprintable()


@pytest.mark.parametrize("producer", PRODUCERS)
def test_archives_of_every_tool_have_the_same_frames(producer: str) -> None:
    """Whatever shape a tool gives an archive, its frames are the same bytes."""
    data = archive(producer).read_bytes()
    frames = sorted(_frames(walked(data, every(4096, data))))
    assert len(frames) == FRAMES
    assert frames == sorted(_frames(_plainly(archive("python-store"))))


@cache
def _plainly(path: Path) -> list[tuple[str, int, str]]:
    """An archive read by Python's own zipfile."""
    with zipfile.ZipFile(path) as plain:
        return expected([(name, plain.read(name)) for name in plain.namelist()])


def _frames(contents: Sequence[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    return [(Path(name).name, size, digest) for name, size, digest in contents if name.endswith(".rgb565")]


@given(st.data())
def test_any_cuts_give_the_same_index(data: st.DataObject) -> None:
    """An archive in any pieces has the entries that it has as a whole."""
    whole, contents = data.draw(archives())
    assert walked(whole, data.draw(cuts(len(whole)))) == expected(contents)


@given(st.data())
def test_a_walk_goes_on_from_any_checkpoint(data: st.DataObject) -> None:
    """A walk that dies anywhere, however often, goes on from its checkpoint with the same index in the end."""
    whole, contents = data.draw(archives())
    walk, entries, start = Walk(), list[Entry](), 0
    checkpoint = None
    for died in [*data.draw(st.lists(st.integers(0, len(whole)), max_size=5)), len(whole)]:
        walker = Walker(taster=walk.taster, resume=checkpoint, entries=entries)
        for piece in pieces(whole[start:died], data.draw(cuts(max(0, died - start)))):
            walker.feed(piece)
        checkpoint, entries = walker.checkpoint, list(walker.entries)
        start = checkpoint.offset
    assert list(walker.finish()) == entries
    assert walk.contents(entries) == expected(contents)


@given(st.data())
def test_damage_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    """Bytes that were changed on the way bring a refusal in words, or were bytes that nobody reads."""
    whole, contents = data.draw(archives())
    damaged = bytearray(whole)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)):
        damaged[place] = value
    reason, found = "", expected(contents)
    try:
        found = walked(bytes(damaged), data.draw(cuts(len(whole))))
    except BadArchive as bad:
        reason = str(bad)
    assert reason.isprintable()
    assert {content[1:] for content in found} == {content[1:] for content in expected(contents)}


@given(st.binary(max_size=300))
def test_anything_else_is_refused_in_words(data: bytes) -> None:
    """Whatever the bytes are, nothing but a refusal comes out."""
    with pytest.raises(BadArchive):
        walked(b"PK\x03\x04" + data)


def test_a_refusal_stands() -> None:
    """A walker that has refused an archive refuses what follows, and its end."""
    walker = Walker()
    with pytest.raises(BadArchive):
        walker.feed(b"no archive")
    with pytest.raises(BadArchive):
        walker.feed(b"PK\x03\x04")
    with pytest.raises(BadArchive):
        walker.finish()


def test_entries_are_told_with_their_last_byte() -> None:
    """An entry is there before the header behind it is."""
    data = Archive([Member(b"a.rgb", b"x" * 600), Member(b"b.rgb", b"y" * 600)]).to_bytes()
    walker = Walker()
    told = [[entry.name for entry in walker.feed(data[at : at + 1])] for at in range(len(data))]
    first = next(offset for offset, names in enumerate(told) if names)
    assert told[first] == ["a.rgb"]
    assert data[first + 1 :].startswith(b"PK\x03\x04")


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (Limits(entries=1), "zip_entries"),
        (Limits(name_length=4), "zip_name_length"),
        (Limits(entry_size=599), "zip_entry_size"),
        (Limits(total_size=1000), "zip_total_size"),
    ],
)
def test_limits_are_named(limits: Limits, named: str) -> None:
    """What goes beyond a limit is refused with the setting's name."""
    data = Archive([Member(b"a.rgb", b"x" * 600), Member(b"b.rgb", b"y" * 600)]).to_bytes()
    walker = Walker(limits)
    with pytest.raises(BadArchive, match=named):
        walker.feed(data)


def test_limits_of_output_are_for_compressed_entries() -> None:
    """A stored entry takes as many bytes as were uploaded, so no limit of output is its."""
    walker = Walker(Limits(entry_size=1, total_size=1))
    walker.feed(Archive([Member(b"a.rgb", b"x" * 600, method=0)]).to_bytes())
    assert [entry.size for entry in walker.finish()] == [600]
