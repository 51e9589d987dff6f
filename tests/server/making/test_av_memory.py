"""FFmpeg's memory is bounded while something is made of a file, and not before or after."""

import av
import pytest

from ferryman_server.making.av_memory import bounded, room_for_picture


def allocated(width: int, height: int) -> bool:
    """Whether there is room for a frame of 16 bits a pixel."""
    try:
        return av.VideoFrame(width, height, "gray16le").width == width
    except MemoryError:
        return False


def test_the_largest_picture_has_room_only_where_pictures_are_made() -> None:
    """128 MiB are too much for an index, enough for a picture, and nobody else's business."""
    assert allocated(8192, 8192)
    with bounded():
        assert not allocated(8192, 8192)
        assert allocated(3840, 2160)
        with room_for_picture():
            assert allocated(8192, 8192)
            assert not allocated(16384, 8192)
        assert not allocated(8192, 8192)
    assert allocated(8192, 8192)


def test_the_bounds_go_with_whatever_ends_them() -> None:
    """Also an exception."""
    with pytest.raises(KeyError), bounded(), room_for_picture():
        raise KeyError
    assert allocated(16384, 8192)
