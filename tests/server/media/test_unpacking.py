"""The content of entries, from stored archives: exact, bounded, and refused where it is not what was indexed."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.entries import DEFLATED, DEFLATED64, METHODS, STORED, ZSTD
from ferryman_server.media.unpacking import content, pieces, unpacked
from ferryman_server.storage.base import StoreError
from tests.server.media.stored_entries import ID, put, stored
from tests.zips.build import Member

NOISE = random.Random(7).randbytes(3000)
PACKED = (DEFLATED, DEFLATED64, ZSTD)
by_method = pytest.mark.parametrize("method", METHODS, ids=METHODS.values())
by_packing = pytest.mark.parametrize("method", PACKED, ids=[METHODS[method] for method in PACKED])


@by_method
@given(
    plain=st.binary(max_size=400) | st.integers(0, 3000).map(lambda size: NOISE[:size]),
    piece=st.integers(1, 700),
    start=st.integers(0, 3100),
    size=st.integers(0, 3100),
)
def test_any_part_of_any_content(method: int, plain: bytes, piece: int, start: int, size: int) -> None:
    """However it is packed and however the store hands it out, bytes [start, stop) are those of the content."""
    store, entries = stored([Member(b"before", b"x"), Member(b"a", plain, method), Member(b"after", b"y")], piece=piece)
    start, stop = min(start, len(plain)), min(start + size, len(plain))
    assert b"".join(pieces(store, ID, entries[1], start, stop)) == plain[start:stop]
    assert content(store, ID, entries[1]) == plain


def test_a_stored_entry_is_read_where_it_lies() -> None:
    """Nothing but the bytes that are asked for is read."""
    store, (entry,) = stored([Member(b"a", NOISE, STORED)])
    assert b"".join(pieces(store, ID, entry, 1000, 1010)) == NOISE[1000:1010]
    assert store.reads == [(entry.data + 1000, entry.data + 1010)]


@by_packing
def test_what_packs_well_comes_in_small_pieces(method: int) -> None:
    """Ten million zeros never lie in memory at once."""
    store, (entry,) = stored([Member(b"a", bytes(30_000_000), method)])
    sizes = [len(piece) for piece in pieces(store, ID, entry, 0, entry.size)]
    assert sum(sizes) == entry.size
    assert max(sizes) <= 8 << 20


@by_packing
@pytest.mark.parametrize("change", [{"size": 2999}, {"size": 3001}, {"packed": -1}], ids=str)
def test_another_size_than_was_indexed(method: int, change: dict[str, int]) -> None:
    """Bytes too many or too few are an error of the store's, in words, with the entry's number."""
    store, (entry,) = stored([Member(b"a", NOISE, method)])
    size = change.get("size", entry.size)
    wrong = replace(entry, size=size, packed=entry.packed + change.get("packed", 0))
    with pytest.raises(StoreError, match=f"entry 0 of upload {ID} is not what was indexed"):
        content(store, ID, wrong)


@pytest.mark.parametrize("size", [2999, 3001])
def test_a_stored_entry_of_another_size(size: int) -> None:
    """The same for what is not packed at all."""
    _, (entry,) = stored([Member(b"a", NOISE, STORED)])
    with pytest.raises(StoreError, match="is not what was indexed"):
        list(unpacked([NOISE], replace(entry, size=size), ID))


@by_packing
def test_damaged_data(method: int) -> None:
    """No exception of a decoder's comes out."""
    store, (entry,) = stored([Member(b"a", NOISE, method)])
    put(store, bytes(entry.data) + random.Random(1).randbytes(entry.packed + 100))
    with pytest.raises(StoreError, match="is not what was indexed"):
        content(store, ID, entry)


@by_packing
def test_data_behind_the_end(method: int) -> None:
    """Packed bytes behind the end that the data themselves have are no part of the entry."""
    _, (entry,) = stored([Member(b"a", NOISE, method)])
    packed = Member(b"a", NOISE, method).data()
    with pytest.raises(StoreError, match="its packed data end too early"):
        list(unpacked([packed, bytes(600)], entry, ID))
