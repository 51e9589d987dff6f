"""What FFmpeg reads through: it ends, it never raises."""

from collections.abc import Iterator

import pytest

from ferryman_server.making.av_feed import Feed
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.storage.base import StoreError
from tests.server.making.media_files_rig import stored


def test_a_budget_ends_the_file() -> None:
    """When so many bytes were fetched there are no more, until more is allowed."""
    feed = Feed(stored(bytes(1000), piece=100), 300)  # reading on takes 100 bytes, then 200
    assert [len(feed.read(100)) for _ in range(4)] == [100, 100, 0, 0]
    assert feed.spent
    feed.allow(100)
    assert not feed.spent
    assert len(feed.read(100)) == 100


def test_a_demuxer_that_runs_in_circles_comes_to_an_end() -> None:
    """Reading the same bytes again and again costs the store nothing; it ends all the same."""
    feed = Feed(stored(bytes(10)), 1000)
    while feed.seek(0) == 0 and feed.read(10):
        pass
    assert feed.spent


def test_a_store_that_fails_looks_like_the_end() -> None:
    """The error stays in the file, to be raised by whoever opened it."""

    def read(start: int, stop: int) -> Iterator[memoryview]:
        raise StoreError("gone")
        yield memoryview(b"")

    file = StoredFile(read, 10, 4)
    feed = Feed(file, 1000)
    assert (feed.read(5), feed.read(5)) == (b"", b"")
    with pytest.raises(StoreError, match="gone"):
        file.check()


def test_places_that_are_none() -> None:
    """A seek before the beginning, or in a way that is none of Python's, leaves the place as it is."""
    feed = Feed(stored(b"abcdef"), 1000)
    feed.seek(2)
    assert (feed.seek(-1), feed.seek(0, 65536), feed.tell()) == (-1, -1, 2)
    assert (feed.seek(-1, 2), feed.read(5)) == (5, b"f")
