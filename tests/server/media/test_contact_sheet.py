"""A contact sheet shows the chosen frames in their order, each in its tile."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.contact_sheet import chosen, contact_sheet
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_rules import BadPicture
from tests.server.media import picture_rig as rig

COLOURS: Final = [
    (0, 0, 0xFF), (0xFF, 0, 0), (0, 0xFF, 0), (0xFF, 0xFF, 0), (0xFF, 0, 0xFF), (0, 0xFF, 0xFF), (0xFF, 0xFF, 0xFF),
]  # fmt: skip
BLACK: Final = (0, 0, 0)


def flat(colour: tuple[int, int, int], width: int = 32, height: int = 24) -> bytes:
    """A frame of one colour, 24 bits a pixel."""
    return bytes(colour) * (width * height)


def colour_at(sheet: bytes, x: int, y: int) -> tuple[int, int, int]:
    """The colour of a pixel of a JPEG, each part taken to the nearer end."""
    width, height, data = rig.seen(sheet)
    assert x < width
    assert y < height
    red, green, blue = (255 * (part > 127) for part in data[(y * width + x) * 3 :][:3])
    return red, green, blue


@given(count=st.integers(0, 5000), most=st.integers(1, 120))
def test_frames_are_chosen_evenly(count: int, most: int) -> None:
    """As many as may be, from the first on, rising, and equally far apart but for a frame."""
    numbers = chosen(count, most)
    assert len(numbers) == min(count, most)
    assert numbers[:1] == [0][:count]
    steps = [after - before for before, after in pairwise([*numbers, count])]
    assert all(step >= 1 for step in steps)
    assert max(steps, default=1) - min(steps, default=1) <= 1


def test_a_hundred_frames_are_enough() -> None:
    """Of a long medium a hundred are chosen, of a short one all."""
    assert chosen(500) == list(range(0, 500, 5))
    assert chosen(7) == [0, 1, 2, 3, 4, 5, 6]


def test_tiles_are_laid_row_by_row() -> None:
    """Each frame is seen in the middle of its tile, in the order in which it came."""
    sheet = contact_sheet(map(flat, COLOURS), Format.RGB888, 32, 24, len(COLOURS), columns=3, tile=(16, 12))
    assert rig.seen(sheet)[:2] == (48, 36)
    for number, colour in enumerate(COLOURS):
        assert colour_at(sheet, number % 3 * 16 + 8, number // 3 * 12 + 6) == colour
    assert colour_at(sheet, 40, 30) == BLACK


def test_a_sheet_has_no_more_columns_than_frames() -> None:
    """Few frames make a narrow sheet of the usual tiles."""
    sheet = contact_sheet(map(flat, COLOURS[:2]), Format.RGB888, 32, 24, 2)
    assert rig.seen(sheet)[:2] == (160, 60)


@pytest.mark.parametrize(("width", "height", "outside"), [(64, 8, (20, 2)), (8, 64, (2, 20)), (16, 16, (2, 2))])
def test_frames_keep_their_aspect(width: int, height: int, outside: tuple[int, int]) -> None:
    """A wide, a high and a small frame lie in the middle of a tile on black, the small one not larger than it is."""
    sheet = contact_sheet([flat((255, 255, 255), width, height)], Format.RGB888, width, height, 1, tile=(40, 40))
    assert colour_at(sheet, 20, 20) == (255, 255, 255)
    assert colour_at(sheet, *outside) == BLACK


def test_real_pictures_are_shown() -> None:
    """JPEG frames, decoded at a fraction of their size, look like the picture."""
    frame = rig.made("mjpeg", 1280, 720, "yuvj420p")
    sheet = contact_sheet([frame] * 4, Format.JPEG, 1280, 720, 4, columns=2, tile=(160, 90))
    width, height, pixels = rig.seen(sheet)
    assert (width, height) == (320, 180)
    tile = b"".join(pixels[row * 960 : row * 960 + 480] for row in range(90))
    other = b"".join(pixels[row * 960 + 480 : (row + 1) * 960] for row in range(90, 180))
    assert rig.difference(tile, rig.shrunk(rig.scene(1280, 720), 1280, 720, 160, 90)) < 8
    assert rig.difference(tile, other) < 8


def test_frames_are_read_one_by_one_and_no_more_than_told() -> None:
    """The frame after the last tile is not even asked for."""

    def forever() -> Iterator[bytes]:
        for colour in COLOURS[:3]:
            yield flat(colour)
        pytest.fail("a fourth frame was asked for")

    sheet = contact_sheet(forever(), Format.RGB888, 32, 24, 3, tile=(32, 24))
    assert colour_at(sheet, 80, 12) == COLOURS[2]


def test_a_damaged_frame_leaves_its_tile_black() -> None:
    """The others are shown all the same, and so is a sheet for which frames ran out."""
    frames = [flat(COLOURS[0]), b"damaged", flat(COLOURS[2])]
    sheet = contact_sheet(frames, Format.RGB888, 32, 24, 4, tile=(32, 24))
    assert [colour_at(sheet, 32 * number + 16, 12) for number in range(4)] == [COLOURS[0], BLACK, COLOURS[2], BLACK]


@pytest.mark.parametrize(("frames", "why"), [([b"x", b"yz"], "it has 1 bytes"), ([], "there is no frame to show")])
def test_a_sheet_without_any_frame_is_none(frames: list[bytes], why: str) -> None:
    """Where no frame can be shown, the reason is that of the first."""
    with pytest.raises(BadPicture, match=why):
        contact_sheet(frames, Format.RGB888, 32, 24, 2)


@pytest.mark.parametrize(
    ("count", "columns", "tile"), [(0, 1, (8, 8)), (1, 0, (8, 8)), (1, 1, (0, 8)), (1, 1, (8, 0)), (300, 1, (8, 60))]
)
def test_an_impossible_sheet_is_a_mistake_of_the_program(count: int, columns: int, tile: tuple[int, int]) -> None:
    """A sheet without tiles, with tiles of nothing, or larger than pictures can be is not begun."""
    with pytest.raises(ValueError, match="contact sheet"):
        contact_sheet([], Format.RGB888, 32, 24, count, columns, tile)
