"""Reading an upload along on a local disk: the same bytes, from memory that is used again, and from the page cache."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.storage.base import ReadAlong, ReadsThrough, StoreError
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.local_reading import THROUGH, pieces_through
from tests.support.uploading import content

UPLOAD = "a" * 26
WHOLE = content(3 * THROUGH + 123, seed=8)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store with one unfinished upload in it."""
    made = LocalStore(tmp_path / "data")
    made.open()
    writer = made.writer(UPLOAD, 0)
    assert isinstance(writer, ReadAlong)
    writer.read_along()
    writer.write(memoryview(WHOLE))
    writer.sync()
    writer.close()
    return made


def test_it_is_the_same_bytes(store: LocalStore) -> None:
    """Piece by piece, whatever is asked for."""
    assert isinstance(store, ReadsThrough)

    @given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)))
    def check(one: int, other: int) -> None:
        start, stop = sorted((one, other))
        pieces = [bytes(piece) for piece in store.read_through(UPLOAD, start, stop, published=False)]
        assert b"".join(pieces) == WHOLE[start:stop]

    check()


def test_the_memory_is_used_again(store: LocalStore) -> None:
    """However long the stretch, there is one buffer."""
    places = {id(piece.obj) for piece in store.read_through(UPLOAD, 0, len(WHOLE), published=False)}
    assert len(places) == 1


def test_missing_bytes_are_told(store: LocalStore) -> None:
    """What is not there is an error, before the first piece."""
    with pytest.raises(StoreError):
        list(store.read_through(UPLOAD, 0, len(WHOLE) + 1, published=False))
    with pytest.raises(StoreError):
        list(store.read_through("b" * 26, 0, 1))


def test_a_small_content_in_memory_is_read_through_too(store: LocalStore) -> None:
    """An upload that has no file yet."""
    store.keep("c" * 26, b"small")
    assert b"".join(bytes(piece) for piece in store.read_through("c" * 26, 1, 5)) == b"mall"


def test_what_was_read_is_given_back_to_the_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, page by page, and nothing that was not read yet."""
    path, told = tmp_path / "file", list[tuple[int, int]]()
    path.write_bytes(bytes(9 << 20))
    monkeypatch.setattr(
        "ferryman_server.storage.local_reading.drop_cached", lambda _, start, size: told.append((start, start + size))
    )
    read = 0
    for piece in pieces_through([str(path)], 0, 9 << 20, drop=True):
        assert all(stop <= read for _, stop in told)
        read += len(piece)
    assert told[0][0] == 0
    assert told[-1][1] == os.path.getsize(path)
    assert all(before[1] >= after[0] for before, after in pairwise(told))


def test_a_writer_that_is_read_along_leaves_the_page_cache_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is about to be read is not given back before."""
    told = list[int]()
    monkeypatch.setattr("ferryman_server.storage.local_files.drop_cached", lambda *range: told.append(range[2]))
    store = LocalStore(tmp_path / "data")
    store.open()
    for number, read_along in enumerate((True, False)):
        writer = store.writer("ab"[number] * 26, 0)
        if read_along:
            assert isinstance(writer, ReadAlong)
            writer.read_along()
        writer.write(memoryview(bytes(2 << 20)))
        writer.sync()
        writer.close()
        assert bool(told) is not read_along
