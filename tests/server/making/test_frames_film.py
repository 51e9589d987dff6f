"""A film of a medium plays as long as it does, looks like it, and takes no more room than it may."""

import random
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_film import film
from ferryman_server.media.frame_formats import Format
from ferryman_server.storage.base import StoreError
from tests.server.making import frames_rig as rig
from tests.server.media import picture_rig

COLOURS: Final = [
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 100, 50), (128, 128, 128),
]  # fmt: skip
RED, GREEN, BLUE, WHITE, BLACK = COLOURS[:5]


def noise(count: int, width: int, height: int) -> list[bytes]:
    """Frames in which nothing is like anything else: the worst that a codec can meet."""
    made = random.Random(1)
    return [made.randbytes(width * height * 3) for _ in range(count)]


def film_of(frames: Sequence[bytes], width: int, height: int, fps: float = 25.0) -> rig.Seen:
    """What is in the film of these frames of 24 bits a pixel."""
    return rig.seen(film(rig.source(frames, Format.RGB888, width, height, fps=fps), rig.ROOM))


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 64),
    height=st.integers(1, 64),
    count=st.integers(1, 5),
    fps=st.floats(0.01, 240),
    format=st.sampled_from(list(Format)),
)
def test_any_medium_becomes_a_film_as_long_as_itself(
    width: int, height: int, count: int, fps: float, format: Format
) -> None:
    """Every frame is in it, and the last one ends when the medium does; sides are even, and not too long."""
    frames = [rig.flat(GREEN, width, height, format)]
    made = film(rig.source(frames, format, width, height, fps=fps, count=count), rig.ROOM)
    assert len(made) <= rig.ROOM
    seen = rig.seen(made)
    assert len(seen.frames) == count
    assert float(seen.duration) == pytest.approx(count / fps, rel=1e-3)
    assert float(seen.ends) == pytest.approx(count / fps, rel=1e-3)
    assert seen.width % 2 == seen.height % 2 == 0
    assert max(seen.width, seen.height) <= 480
    assert rig.near(seen.middle(count - 1), GREEN, 64)  # a strip of a few pixels on black is blurred


@pytest.mark.parametrize("fps", [23.976, 24, 25, 29.97, 30, 50, 59.94, 120])
def test_frames_are_shown_exactly_when_they_should(fps: float) -> None:
    """Each of a hundred at its number divided by the frame rate, to a hundredth of a millisecond."""
    seen = film_of([rig.flat(GREEN, 130, 16)] * 100, 130, 16, fps)
    assert [frame.time for frame in seen.frames] == pytest.approx([number / fps for number in range(100)], abs=1e-5)


@pytest.mark.parametrize(("fps", "seconds"), [(1000.0, 0.05), (1e-9, 50 * 21_600)])
def test_absurd_frame_rates_make_films(fps: float, seconds: float) -> None:
    """A thousand a second play as long as they should; of a frame that lasts for decades six hours are enough."""
    seen = film_of([rig.flat(GREEN, 130, 16)] * 50, 130, 16, fps)
    assert float(seen.ends) == pytest.approx(seconds, abs=1e-4)
    assert float(seen.duration) == pytest.approx(seconds, abs=1e-4)


@pytest.mark.parametrize(("count", "shown"), [(3600, 3600), (3601, 1801), (7201, 2401)])
def test_a_long_medium_keeps_its_length_with_fewer_frames(count: int, shown: int) -> None:
    """Of more than 3,600 frames every second is shown, or every third, the first one always."""
    asked: list[int] = []

    def read(number: int) -> bytes:
        asked.append(number)
        return rig.flat(RED, 130, 16)

    seen = rig.seen(film(rig.reading(read, Format.RGB888, 130, 16, 25.0, count), rig.ROOM))
    assert len(seen.frames) == shown
    assert asked == list(range(0, count, -(-count // 3600)))
    assert float(seen.duration) == pytest.approx(count / 25, abs=1e-3)
    assert [frame.time for frame in seen.frames] == pytest.approx([number / 25 for number in asked], abs=1e-5)


def test_a_film_begins_with_what_a_player_must_know_first() -> None:
    """The index comes before the frames, so that playing begins before all has come."""
    boxes = rig.boxes(film(rig.source([rig.flat(RED, 64, 48)], Format.RGB888, 64, 48), rig.ROOM))
    assert boxes.index("moov") < boxes.index("mdat")


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("colour", COLOURS)
def test_colours_are_right(colour: rig.Colour, format: Format) -> None:
    """A player that believes what the film says of its colours shows those of the frames."""
    made = film(rig.source([rig.flat(colour, 160, 120, format)], format, 160, 120, count=3), rig.ROOM)
    assert rig.near(rig.seen(made).middle(2), colour, 8)


def test_a_film_says_how_its_colours_are_meant() -> None:
    """BT.709 with limited range, in the stream and so in every frame; players guess otherwise."""
    frame = film_of([rig.flat(RED, 64, 48)], 64, 48).frames[0]
    assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)


def test_a_film_looks_like_its_frames() -> None:
    """FFmpeg's test picture with its edges and small print is the same in the film."""
    seen = film_of([picture_rig.scene()] * 3, 320, 240)
    assert (seen.width, seen.height) == (320, 240)
    assert picture_rig.difference(rig.rgb(seen.frames[1]), picture_rig.scene()) < 6


def test_a_real_film_looks_as_it_did() -> None:
    """200 frames of a cartoon, in RGB565, in the 3 % of their size that films may take."""
    source = rig.real()
    made = film(source, 345_000)
    seen = rig.seen(made)
    assert len(made) <= 345_000
    assert (seen.width, seen.height, len(seen.frames)) == (320, 180, 200)
    for number in (0, 60, 199):
        expected = picture_rig.as_rgb888(next(source.read([number])), 320, 180, "rgb565le")
        assert picture_rig.difference(rig.rgb(seen.frames[number]), expected) < 8


@pytest.mark.parametrize(
    ("size", "expected"), [((960, 480), (480, 240)), ((30, 2000), (16, 480)), ((481, 3), (480, 16))]
)
def test_large_frames_are_made_smaller(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The longer side has 480 pixels; a very narrow frame lies on black."""
    seen = film_of([rig.flat(WHITE, *size)], *size)
    assert (seen.width, seen.height) == expected
    assert rig.near(seen.middle(0), WHITE)


def test_tiny_frames_are_made_larger_with_sharp_edges() -> None:
    """Of two by two pixels each is a square of 128."""
    seen = film_of([bytes([*RED, *GREEN, *BLUE, *WHITE])], 2, 2)
    assert (seen.width, seen.height) == (256, 256)
    for x, y, colour in ((120, 8, RED), (136, 120, GREEN), (8, 136, BLUE), (136, 136, WHITE)):
        assert rig.near(seen.colour(0, x, y), colour, 16)


def test_what_is_added_to_odd_sides_looks_like_their_edge() -> None:
    """A white frame of 121 by 123 pixels has no dark line at its right and lower edge."""
    seen = film_of([rig.flat(WHITE, 121, 123)], 121, 123)
    assert (seen.width, seen.height) == (122, 124)
    assert rig.near(seen.colour(0, 121, 123), WHITE)


def test_transparent_frames_lie_on_black() -> None:
    """Half transparent red is dark red."""
    frame = rig.transparent((255, 0, 0, 128), 32, 32)
    seen = rig.seen(film(rig.source([frame], Format.PNG, 32, 32), rig.ROOM))
    assert rig.near(seen.middle(0), (128, 0, 0))


def test_a_damaged_frame_is_the_one_before() -> None:
    """The last good one stays while damaged ones come; before the first good one that is shown already."""
    good = [rig.flat(colour, 32, 24) for colour in (RED, GREEN)]
    seen = film_of([b"damaged", b"", good[0], b"damaged", good[1], b"damaged"], 32, 24)
    shown = [RED, RED, RED, RED, GREEN, GREEN]
    assert all(rig.near(seen.middle(number), colour, 16) for number, colour in enumerate(shown))
    assert len(seen.frames) == len(shown)


def test_a_medium_without_any_good_frame_has_no_film() -> None:
    """The reason is what is wrong with the first."""
    with pytest.raises(CannotMake, match="no frame can be shown; the first: it has 3 bytes") as raised:
        film(rig.source([b"abc", b"z"], Format.RGB888, 32, 24), rig.ROOM)
    assert raised.value.reason == str(raised.value)


@pytest.mark.parametrize("after", [0, 1, 30])
def test_a_store_that_fails_is_not_the_mediums_fault(after: int) -> None:
    """Its error comes through as it is, from the first frame as from any other."""
    with pytest.raises(StoreError, match="the disk is gone"):
        film(rig.failing(after), rig.ROOM)


@pytest.mark.parametrize("most", [6_000, 20_000, 60_000, 300_000])
@pytest.mark.parametrize("fps", [0.01, 25.0])
def test_noise_is_brought_into_the_room_there_is(most: int, fps: float) -> None:
    """Frames that cannot be compressed make a coarse film, or a small one, but none that is too large."""
    made = film(rig.source(noise(30, 160, 120), Format.RGB888, 160, 120, fps=fps), most)
    assert len(made) <= most
    assert len(rig.seen(made).frames) == 30


def test_where_bytes_are_short_the_pictures_are_made_smaller() -> None:
    """A small picture looks better than a coarse one; the film is as long, and its aspect the same."""
    made = film(rig.real(), 30_000)
    seen = rig.seen(made)
    assert len(made) <= 30_000
    assert 100 < seen.width < 320
    assert seen.width / seen.height == pytest.approx(320 / 180, rel=0.05)
    assert len(seen.frames) == 200


def test_a_film_without_room_cannot_be_made() -> None:
    """The reason says how many frames there are, and how little room."""
    with pytest.raises(CannotMake, match="a film of 30 of its frames cannot be brought into 1500 bytes"):
        film(rig.source(noise(30, 160, 120), Format.RGB888, 160, 120), 1500)


def test_slow_films_look_as_well_as_others() -> None:
    """Where bytes are short, they suffice for the same pictures when each of them is shown for minutes."""
    fast, slow = (
        film(rig.source(noise(30, 160, 120), Format.RGB888, 160, 120, fps=fps), 60_000) for fps in (25.0, 0.01)
    )
    assert rig.seen(slow).width == rig.seen(fast).width
    assert len(slow) == pytest.approx(len(fast), rel=0.2)


def test_what_becomes_too_large_is_not_read_to_its_end() -> None:
    """Nor is it encoded to the end, to be thrown away."""
    asked: list[int] = []
    frames = noise(10, 160, 120)

    def read(number: int) -> bytes:
        asked.append(number)
        return frames[number % 10]

    with pytest.raises(CannotMake):
        film(rig.reading(read, Format.RGB888, 160, 120, 25.0, 200), 3_000)
    assert 199 not in asked


def test_frames_that_fit_are_read_once() -> None:
    """One pass over the medium is enough where there is room."""
    asked: list[int] = []

    def read(number: int) -> bytes:
        asked.append(number)
        return rig.flat(RED, 130, 16)

    film(rig.reading(read, Format.RGB888, 130, 16, 25.0, 50), rig.ROOM)
    assert asked == list(range(50))
