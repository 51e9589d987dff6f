"""Archives to send: they are archives to others too, and take next to no memory."""

import io
import json
import sys
import zipfile
import zlib

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.benching.archives import FRAME, Archive, Packed, frames_archive, pack, stored
from ferryman_server.media.entries import DEFLATED
from ferryman_server.media.frame_set import FrameSet
from ferryman_server.media.limits import limits_of
from ferryman_server.media.looking import look_at
from ferryman_server.settings import Settings


def whole(archive: Archive) -> bytes:
    """All of its bytes."""
    return b"".join(archive.pieces)


def test_frames_are_what_the_server_takes_for_frames() -> None:
    """None is like another, and every one has its size."""
    archive = frames_archive(7)
    looked = look_at(map(bytes, archive.pieces), limits_of(Settings()))
    assert isinstance(looked.frames, FrameSet)
    assert (len(looked.frames.frames), looked.frames.width, looked.frames.height) == (7, 320, 240)
    assert len(set(looked.digests)) == 8
    assert archive.size == len(whole(archive)) > 7 * FRAME


def test_same_number_of_frames_is_the_same_archive() -> None:
    """A round measures what the one before did."""
    assert whole(frames_archive(3)) == whole(frames_archive(3))
    assert json.loads(zipfile.ZipFile(io.BytesIO(whole(frames_archive(3)))).read("metadata.json"))["frames"] == 3


def test_many_frames_take_the_memory_of_two() -> None:
    """They are views of the same noise."""
    pieces = frames_archive(50).pieces
    own = {id(piece.obj): piece.obj for piece in pieces if isinstance(piece, memoryview)}
    assert sum(map(sys.getsizeof, own.values())) < 3 * FRAME


@given(
    st.lists(
        st.tuples(st.binary(max_size=300), st.booleans()),
        max_size=8,
    )
)
def test_pythons_zipfile_reads_what_is_packed(contents: list[tuple[bytes, bool]]) -> None:
    """Stored or deflated, empty or not, in their order."""
    entries = []
    for number, (content, deflated) in enumerate(contents):
        if deflated:
            coder = zlib.compressobj(wbits=-15)
            data = coder.compress(content) + coder.flush()
            entries.append(Packed(f"a/{number}", data, len(content), zlib.crc32(content), DEFLATED))
        else:
            entries.append(stored(f"a/{number}", content))
    archive = pack(entries)
    with zipfile.ZipFile(io.BytesIO(whole(archive))) as read:
        assert read.testzip() is None
        assert [read.read(name) for name in read.namelist()] == [content for content, _ in contents]
    assert archive.size == len(whole(archive))


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 150))
def test_first_bytes_are_the_first_ones(pieces: list[bytes], size: int) -> None:
    """As many as are asked for, wherever pieces end."""
    together = b"".join(pieces)
    archive = Archive(pieces, len(together))
    assert b"".join(archive.first(size)) == together[:size]
