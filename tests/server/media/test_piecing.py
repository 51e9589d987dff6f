"""Taking bytes apart and putting them together, however they come."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.piecing import Cutter, between, gathered

PIECES = st.lists(st.binary(max_size=12), max_size=10)


@given(pieces=PIECES, start=st.integers(0, 130), size=st.integers(0, 130))
def test_between_is_a_slice(pieces: list[bytes], start: int, size: int) -> None:
    """Whatever the pieces, the bytes between two places are those of a slice."""
    assert b"".join(between(pieces, start, start + size)) == b"".join(pieces)[start : start + size]


def test_what_comes_behind_is_not_asked_for() -> None:
    """Once the last byte is there, nobody waits for the next piece."""

    def endless() -> Iterator[bytes]:
        yield b"abc"
        yield b"def"
        raise AssertionError("asked for too much")

    assert b"".join(between(endless(), 1, 6)) == b"bcdef"
    assert b"".join(between(endless(), 0, 0)) == b""


@given(pieces=PIECES, least=st.integers(1, 40))
def test_gathered_pieces_are_the_same_bytes_in_fewer(pieces: list[bytes], least: int) -> None:
    """All bytes, in order; no piece but the last is small, and none is written again."""
    found = list(gathered(pieces, least))
    assert b"".join(found) == b"".join(pieces)
    assert all(len(piece) >= least for piece in found[:-1])
    assert all(isinstance(piece, bytes) or piece.readonly for piece in found)


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 30)))
def test_a_cutter_cuts_anywhere(pieces: list[bytes], cuts: Sequence[int]) -> None:
    """Each cut is the next so many bytes, until there are no more."""
    whole, at, cutter = b"".join(pieces), 0, Cutter(pieces)
    for count in cuts:
        assert b"".join(cutter.take(count)) == whole[at : at + count]
        at += count


def test_what_is_skipped_is_gone() -> None:
    """The bytes between two that are taken."""
    cutter = Cutter([b"ab", memoryview(b"cdef"), b"g"])
    cutter.skip(3)
    assert b"".join(cutter.take(2)) == b"de"
    cutter.skip(1)
    assert b"".join(cutter.take(9)) == b"g"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_large_pieces_are_not_copied(size: int) -> None:
    """A piece that is large enough goes on as it is."""
    piece = bytes(size)
    assert next(gathered([piece], 1)) is piece
