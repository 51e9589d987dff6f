"""An upload as a file: any reads and seeks give its bytes, in few and bounded requests to the store."""

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.making.stored_file import StoredFile
from ferryman_server.storage.base import StoreError
from tests.server.making.media_files_rig import stored

DATA = bytes(range(256)) * 40
STEPS = st.lists(
    st.tuples(st.just("read"), st.integers(-1, 600)) | st.tuples(st.sampled_from([0, 1, 2]), st.integers(-300, 12_000))
)


@given(steps=STEPS, piece=st.integers(1, 3000))
def test_it_reads_as_the_bytes_do(steps: list[tuple[str | int, int]], piece: int) -> None:
    """Whatever is read and wherever it is sought, the answers are those of the bytes in memory."""
    file, model = stored(DATA, piece), io.BytesIO(DATA)
    for step, amount in steps:
        if step == "read":
            assert file.read(amount) == model.read(amount)
        else:
            at = amount + {0: 0, 1: model.tell(), 2: len(DATA)}[int(step)]
            if at < 0:
                with pytest.raises(ValueError, match="before the beginning"):
                    file.seek(amount, int(step))
            else:
                assert file.seek(amount, int(step)) == model.seek(at)
        assert file.tell() == model.tell()


def test_a_buffer_is_filled_as_far_as_the_file_reaches() -> None:
    """Libraries that bring their own memory get the same bytes."""
    file, buffer = stored(b"abcdef"), bytearray(4)
    assert file.readinto(buffer) == 4
    assert (bytes(buffer), file.readinto(buffer), bytes(buffer[:2])) == (b"abcd", 2, b"ef")
    assert file.readable()
    assert file.seekable()


def asked(size: int, piece: int) -> tuple[StoredFile, list[tuple[int, int]]]:
    """A file of zeros, and the ranges that are asked for."""
    ranges: list[tuple[int, int]] = []

    def read(start: int, stop: int) -> Iterator[memoryview]:
        ranges.append((start, stop))
        yield memoryview(bytes(stop - start))

    return StoredFile(read, size, piece), ranges


def test_reading_on_takes_fewer_and_larger_ranges() -> None:
    """Each range is twice as long as the one before it, up to 2 MiB, and all of them are counted."""
    file, ranges = asked(8 << 20, 65536)
    while file.read(32768):
        pass
    sizes = [stop - start for start, stop in ranges]
    assert sizes[:7] == [65536 << place for place in range(6)] + [2 << 20]
    assert max(sizes) == 2 << 20
    assert sum(sizes) == file.bytes_read == 8 << 20


def test_after_a_jump_little_is_fetched() -> None:
    """A jump starts with one piece again; one within what is held asks for nothing."""
    file, ranges = asked(1 << 20, 4096)
    for place in (0, 100, 500_000, 500_010, 7):
        file.seek(place)
        file.read(10)
    assert ranges == [(0, 4096), (500_000, 504_096), (7, 4103)]


def test_what_the_store_raises_is_remembered() -> None:
    """The same error is raised by the read, and again by `check`, however it was swallowed in between."""
    broken = StoreError("the disk is gone")

    def read(start: int, stop: int) -> Iterator[memoryview]:
        raise broken
        yield memoryview(b"")

    file = StoredFile(read, 10, 4)
    file.check()
    with pytest.raises(StoreError) as first:
        file.read(1)
    with pytest.raises(StoreError) as second:
        file.check()
    assert first.value is second.value is broken


def test_a_store_that_gives_too_little_is_an_error() -> None:
    """Fewer bytes than were asked for are never taken for the end of the file."""
    file = StoredFile(lambda start, stop: [memoryview(b"abc")], 10, 5)
    with pytest.raises(StoreError, match=r"gave 3 bytes of the range \[0, 5\)"):
        file.read(1)


def test_a_piece_must_have_a_byte() -> None:
    """A file that would fetch nothing is refused."""
    with pytest.raises(ValueError, match="lead nowhere"):
        asked(10, 0)
