"""Frames become small images of one size, and damaged ones are found without losing count."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_images import enlargement, images, mended
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_rules import BadPicture
from ferryman_server.storage.base import StoreError
from tests.server.making import frames_rig as rig


@given(width=st.integers(1, 16384), height=st.integers(1, 16384), side=st.integers(1, 480))
def test_pixels_become_squares_as_large_as_there_is_room_for(width: int, height: int, side: int) -> None:
    """Of tiny frames alone; the side of a square is a power of two, so that codecs have it easy."""
    factor = enlargement(width, height, side)
    longest = max(width, height)
    assert factor.bit_count() == 1
    if longest >= 120 or longest > side:
        assert factor == 1
    else:
        assert longest * factor <= side < longest * factor * 2


@given(good=st.lists(st.booleans(), min_size=1, max_size=8).filter(any))
def test_a_damaged_frame_looks_like_the_last_good_one(good: Sequence[bool]) -> None:
    """As many images come as were asked for, each its own frame's or the one's before; at the start, the first good."""
    frames = [rig.flat((number, 0, 0), 120, 8) if well else b"damaged" for number, well in enumerate(good)]
    shown = [
        rig.pixel(image, 0, 0) for image in mended(rig.source(frames, Format.RGB888, 120, 8), range(len(frames)), 480)
    ]
    first = good.index(True)
    expected = [max((at for at in range(number + 1) if good[at]), default=first) for number in range(len(good))]
    assert shown == [(number, 0, 0) for number in expected]


def test_what_is_wrong_with_a_frame_comes_in_its_place() -> None:
    """Whoever asks for images as they are learns which frames are none."""
    source = rig.source([b"abc", rig.flat((9, 9, 9), 10, 10)], Format.RGB888, 10, 10)
    bad, good = images(source, [0, 1], 80)
    assert isinstance(bad, BadPicture)
    assert "it has 3 bytes" in bad.reason
    assert not isinstance(good, BadPicture)
    assert good.size == (80, 80)


@pytest.mark.parametrize("format", list(Format))
def test_images_of_every_format_are_alike(format: Format) -> None:
    """A frame of 300 by 100 pixels is one of 150 by 50, in red, green and blue."""
    source = rig.source([rig.flat((200, 100, 50), 300, 100, format)], format, 300, 100)
    (image,) = mended(source, [0], 150)
    assert (image.size, image.mode) == ((150, 50), "RGB")
    assert rig.near(rig.pixel(image, 75, 25), (200, 100, 50))


def test_images_keep_nothing_of_the_files_they_were_in() -> None:
    """A hundred tiles of large pictures must not hold those pictures in memory."""
    frame = rig.flat((1, 2, 3), 64, 64, Format.PNG)
    for side in (64, 480):
        (image,) = mended(rig.source([frame], Format.PNG, 64, 64), [0], side)
        assert not hasattr(image, "fp")


def test_where_no_frame_is_good_the_first_one_tells_why() -> None:
    """Even if others are damaged in other ways."""
    source = rig.source([b"abc", b""], Format.PNG, 10, 10)
    with pytest.raises(CannotMake, match="no frame can be shown; the first: it is no PNG picture"):
        list(mended(source, [0, 1], 80))


def test_what_reading_raises_comes_through() -> None:
    """The images before it come all the same."""
    shown = mended(rig.failing(2), range(5), 80)
    assert [next(shown).size, next(shown).size] == [(80, 60), (80, 60)]
    with pytest.raises(StoreError, match="the disk is gone"):
        next(shown)
