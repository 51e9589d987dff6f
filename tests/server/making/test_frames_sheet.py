"""The contact sheet of a medium shows its frames in tiles of their aspect, in the room it may take."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_sheet import sheet
from ferryman_server.media.frame_formats import Format
from ferryman_server.storage.base import StoreError
from tests.server.making import frames_rig as rig

ROOM = 150_000  # bytes
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def colour_at(picture: bytes, x: int, y: int) -> rig.Colour:
    """The colour of a pixel."""
    width, _, rows = rig.jpeg(picture)
    red, green, blue = rows[(y * width + x) * 3 :][:3]
    return red, green, blue


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(1, 64), height=st.integers(1, 64), count=st.integers(1, 25), format=st.sampled_from(list(Format))
)
def test_any_medium_has_a_sheet(width: int, height: int, count: int, format: Format) -> None:
    """Ten tiles a row, each as large as its frame, or that made larger, with no side above 80 pixels."""
    frames = [rig.flat((0, 255, 0), width, height, format)]
    made = sheet(rig.source(frames, format, width, height, count=count), ROOM)
    assert len(made) <= ROOM
    across, down = min(count, 10), -(-count // 10)
    tile = rig.jpeg(made)[0] // across, rig.jpeg(made)[1] // down
    assert rig.jpeg(made)[:2] == (tile[0] * across, tile[1] * down)
    assert tile[0] * height == tile[1] * width
    assert 40 < max(tile) <= 80
    assert rig.near(colour_at(made, tile[0] // 2, tile[1] // 2), (0, 255, 0), 16)


@pytest.mark.parametrize(("size", "tile"), [((320, 180), (80, 45)), ((90, 160), (45, 80)), ((2000, 10), (80, 1))])
def test_tiles_have_the_aspect_of_the_frames(size: tuple[int, int], tile: tuple[int, int]) -> None:
    """No room is left between them."""
    made = sheet(rig.source([rig.flat((255, 255, 255), *size)], Format.RGB888, *size, count=20), ROOM)
    assert rig.jpeg(made)[:2] == (tile[0] * 10, tile[1] * 2)


def test_a_long_medium_is_shown_by_a_hundred_frames() -> None:
    """From the first on, evenly spread, in their order; no other is read."""
    asked: list[int] = []

    def read(number: int) -> bytes:
        asked.append(number)
        return rig.flat((number // 20, 0, 0), 160, 120)

    made = sheet(rig.reading(read, Format.RGB888, 160, 120, 25.0, 5000), ROOM)
    assert asked == list(range(0, 5000, 50))
    assert rig.jpeg(made)[:2] == (800, 600)
    for number in (0, 37, 99):
        red = colour_at(made, number % 10 * 80 + 40, number // 10 * 60 + 30)[0]
        assert red == pytest.approx(number * 50 // 20, abs=8)


def test_a_damaged_frame_leaves_its_tile_black() -> None:
    """The others are in their places."""
    frames = [b"damaged", *(rig.flat(colour, 80, 60) for colour in COLOURS)]
    made = sheet(rig.source(frames, Format.RGB888, 80, 60), ROOM)
    for number, colour in enumerate([(0, 0, 0), *COLOURS]):
        assert rig.near(colour_at(made, 80 * number + 40, 30), colour, 16)


def test_a_medium_without_any_good_frame_has_no_sheet() -> None:
    """The reason is what is wrong with the first."""
    with pytest.raises(CannotMake, match="no frame can be shown; the first: it is no JPEG picture"):
        sheet(rig.source([b"abc", b""], Format.JPEG, 32, 24), ROOM)


def test_a_store_that_fails_is_not_the_mediums_fault() -> None:
    """Its error comes through as it is."""
    with pytest.raises(StoreError, match="the disk is gone"):
        sheet(rig.failing(3), ROOM)


@pytest.mark.parametrize("most", [1024, 10_000, ROOM])
def test_noise_is_brought_into_the_room_there_is(most: int) -> None:
    """The sheet is coarser, or smaller, and keeps its aspect as far as pixels go."""
    made = random.Random(1)
    picture = sheet(rig.source([made.randbytes(80 * 80 * 3)] * 100, Format.RGB888, 80, 80), most)
    assert len(picture) <= most
    width, height, _ = rig.jpeg(picture)
    assert width == height


def test_without_room_it_cannot_be_made() -> None:
    """The reason says how little room there is."""
    with pytest.raises(CannotMake, match="cannot be brought into 1000 bytes"):
        sheet(rig.source([rig.flat((0, 0, 0), 8, 8)], Format.RGB888, 8, 8), 1000)
