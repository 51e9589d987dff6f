"""The animation of a medium shows all of it in a few seconds, over and over, in the room it may take."""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_loop import loop
from ferryman_server.making.frames_source import FramesSource
from ferryman_server.media.frame_formats import Format
from ferryman_server.storage.base import StoreError
from tests.server.making import frames_rig as rig

ROOM = 150_000  # bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in an animation."""

    size: tuple[int, int]  # pixels
    durations: Sequence[int]  # milliseconds
    colours: Sequence[rig.Colour]  # in the middle of each frame


def seen(webp: bytes) -> Seen:
    """Its frames, and their durations as the file has them (RFC 9649 2.7.1.1)."""
    durations = [int.from_bytes(chunk[12:15], "little") for kind, chunk in rig.chunks(webp) if kind == "ANMF"]
    colours = []
    with Image.open(BytesIO(webp)) as image:
        for number in range(len(durations) or 1):
            image.seek(number)
            colours.append(rig.pixel(image.convert("RGB"), image.width // 2, image.height // 2))
        return Seen(image.size, durations, colours)


def counting(count: int, fps: float, width: int = 120, height: int = 40) -> FramesSource:
    """A medium whose frames tell their place in it by their red, from 0 to 255; no two in a row look alike."""
    return rig.reading(
        lambda number: rig.flat((number * 255 // count, number * 101 % 256, 0), width, height),
        Format.RGB888,
        width,
        height,
        fps,
        count,
    )


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(1, 64),
    height=st.integers(1, 64),
    count=st.integers(1, 5),
    fps=st.floats(0.01, 50),
    format=st.sampled_from(list(Format)),
)
def test_a_short_medium_plays_at_its_own_speed(width: int, height: int, count: int, fps: float, format: Format) -> None:
    """Each of its frames for as long as it should; no side is longer than 240 pixels."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]
    frames = [rig.flat(colour, width, height, format) for colour in colours[:count]]
    made = loop(rig.source(frames, format, width, height, fps=fps), ROOM)
    shown = seen(made)
    assert len(made) <= ROOM
    assert max(shown.size) <= 240
    if count > 1:
        assert list(accumulate(shown.durations)) == [round(number * 1000 / fps) for number in range(1, count + 1)]
    assert all(rig.near(one, other, 40) for one, other in zip(shown.colours, colours[:count], strict=True))


@pytest.mark.parametrize(
    ("count", "fps", "seconds"), [(61, 60, 4), (61, 12, 61 / 12), (150, 25, 6), (5000, 25, 8), (70, 0.1, 8)]
)
def test_a_long_medium_is_shown_whole_in_a_few_seconds(count: int, fps: float, seconds: float) -> None:
    """Sixty frames from the first on, evenly spread, in its own time, but in 4 to 8 seconds."""
    shown = seen(loop(counting(count, fps), ROOM))
    assert len(shown.durations) == 60
    assert sum(shown.durations) == pytest.approx(seconds * 1000, abs=1)
    for number, (red, _, _) in enumerate(shown.colours):
        assert red == pytest.approx(number * 255 / 60, abs=12)


@pytest.mark.parametrize("fps", [100.0, 240.0, 1000.0])
def test_no_frame_is_shown_too_briefly_for_browsers(fps: float) -> None:
    """Of a fast short medium fewer frames are shown, each for 20 ms or more, and it takes as long as it should."""
    shown = seen(loop(counting(60, fps), ROOM))
    assert min(shown.durations) >= 20
    assert sum(shown.durations) == pytest.approx(60_000 / fps, abs=1)


def test_a_frame_that_lasts_for_ever_is_shown_for_hours() -> None:
    """WebP has 24 bits for the milliseconds."""
    assert seen(loop(counting(3, 1e-9), ROOM)).durations == [(1 << 24) - 1] * 3


def test_it_plays_over_and_over() -> None:
    """A count of zero in the ANIM chunk means for ever."""
    chunks = dict(rig.chunks(loop(counting(5, 25), ROOM)))
    assert struct.unpack("<IH", chunks["ANIM"])[1] == 0


def test_one_frame_is_a_still_picture() -> None:
    """Without any animation in the file."""
    made = loop(rig.source([rig.flat((200, 100, 50), 16, 8)], Format.RGB888, 16, 8), ROOM)
    assert "ANMF" not in dict(rig.chunks(made))
    shown = seen(made)
    assert shown.size == (128, 64)
    assert rig.near(shown.colours[0], (200, 100, 50))


def test_large_frames_are_made_smaller_and_keep_their_aspect() -> None:
    """960 by 480 pixels become 240 by 120."""
    assert seen(loop(counting(2, 25, 960, 480), ROOM)).size == (240, 120)


def test_transparent_frames_lie_on_black() -> None:
    """Half transparent red is dark red."""
    frame = rig.transparent((255, 0, 0, 128), 32, 32)
    assert rig.near(seen(loop(rig.source([frame], Format.PNG, 32, 32), ROOM)).colours[0], (128, 0, 0))


def test_a_damaged_frame_is_the_one_before() -> None:
    """And plays for as long as it would have itself."""
    red, green = (rig.flat(colour, 32, 24) for colour in ((255, 0, 0), (0, 255, 0)))
    shown = seen(loop(rig.source([red, b"damaged", green, green], Format.RGB888, 32, 24), ROOM))
    assert sum(shown.durations) == 160
    assert shown.durations[0] == 80
    assert rig.near(shown.colours[0], (255, 0, 0), 16)


def test_a_medium_without_any_good_frame_has_none() -> None:
    """The reason is what is wrong with the first."""
    with pytest.raises(CannotMake, match="no frame can be shown; the first: it has 3 bytes"):
        loop(rig.source([b"abc"], Format.RGB888, 32, 24), ROOM)


def test_a_store_that_fails_is_not_the_mediums_fault() -> None:
    """Its error comes through as it is."""
    with pytest.raises(StoreError, match="the disk is gone"):
        loop(rig.failing(3), ROOM)


@pytest.mark.parametrize("most", [8_000, 40_000, ROOM])
def test_noise_is_brought_into_the_room_there_is(most: int) -> None:
    """Frames that cannot be compressed are shown coarser, or smaller, but all of them."""
    made = random.Random(1)
    frames = [made.randbytes(120 * 90 * 3) for _ in range(20)]
    webp = loop(rig.source(frames, Format.RGB888, 120, 90), most)
    assert len(webp) <= most
    shown = seen(webp)
    assert len(shown.durations) == 20
    assert shown.size[0] / shown.size[1] == pytest.approx(4 / 3, rel=0.1)


def test_a_real_medium_fits_into_its_share() -> None:
    """200 frames of a cartoon, in 150,000 bytes, at a size at which one sees what it is."""
    webp = loop(rig.real(), ROOM)
    assert len(webp) <= ROOM
    assert seen(webp).size[0] >= 160


def test_without_room_it_cannot_be_made() -> None:
    """The reason says how little room there is."""
    with pytest.raises(CannotMake, match="cannot be brought into 200 bytes"):
        loop(counting(20, 25), 200)
