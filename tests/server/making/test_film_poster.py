"""Posters of films: upright, in the right shape and colours, of a picture in which there is something to see."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
from av.video.frame import VideoFrame
from PIL import Image

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.film_poster import contrast
from ferryman_server.making.poster import poster
from tests.server.making.media_files_rig import (
    film,
    index_first,
    named,
    pattern,
    plain,
    saved,
    seen,
    sound,
    stored,
    written,
)
from tests.server.making.test_facts import BUNNY

MOST = 100_000
BARS = ["red", "green", "yellow", "blue", "magenta", "cyan"]  # of the test picture, in its lower half


def made(data: bytes, most: int = MOST) -> Image.Image:
    """The poster of a film."""
    picture = poster(stored(data), "video", most)
    assert len(picture) <= most
    return seen(picture)


def bars(image: Image.Image) -> list[str]:
    """Which colours stand beside one another, near the lower edge."""
    return [named(image.getpixel((image.width * (2 * bar + 1) // 12, image.height * 15 // 16))) for bar in range(6)]


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        ("libx264", "mp4"),
        ("libx264", "matroska"),
        ("libx264", "mpegts"),
        ("libx265", "mov"),
        ("libvpx-vp9", "webm"),
        ("libsvtav1", "mp4"),
        ("mpeg4", "avi"),
        ("mpeg2video", "mpeg"),
        ("mjpeg", "mov"),
    ],
)
def test_every_container_and_coding(codec: str, form: str) -> None:
    """The picture is the film's, not enlarged."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    data = written(pattern(5, 96, 64), codec, form, pixels=pixels) if codec == "mjpeg" else film(codec, form)
    image = made(data)
    assert (image.format, image.size) == ("JPEG", (96, 64))
    assert bars(image) == BARS


@pytest.mark.parametrize(
    "data",
    [
        index_first(film()),
        written(pattern(25, 96, 64), options={"movflags": "frag_keyframe+empty_moov"}),
        written(pattern(25, 96, 64), form="matroska", options={"live": "1"}),
        written(pattern(1, 96, 64)),
    ],
)
def test_wherever_the_index_stands(data: bytes) -> None:
    """Before the pictures, among them, nowhere: there is a poster; of a single picture too."""
    assert bars(made(data)) == BARS


def test_a_real_film() -> None:
    """It is brought to 640 pixels, from less than two megabytes of the 23."""
    file = stored(BUNNY.read_bytes())
    image = seen(poster(file, "video", MOST))
    assert image.size == (640, 360)
    assert contrast(image) > 24
    assert file.bytes_read < 2_000_000


@pytest.mark.parametrize(
    ("degrees", "mirrored", "left_to_right"),
    [(0, False, BARS), (180, False, BARS[::-1]), (0, True, BARS[::-1]), (180, True, BARS)],
)
def test_a_film_that_stands_on_its_head(degrees: int, mirrored: bool, left_to_right: list[str]) -> None:
    """The display matrix is applied: turned by half, mirrored."""
    image = made(written(pattern(3, 96, 64), rotation=(degrees, mirrored)))
    flipped = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if degrees else image
    assert bars(flipped) == left_to_right


@pytest.mark.parametrize(("degrees", "edge", "top_to_bottom"), [(90, 60, BARS[::-1]), (-90, 4, BARS)])
def test_a_film_that_lies_on_its_side(degrees: int, edge: int, top_to_bottom: list[str]) -> None:
    """Turned by a quarter, counter-clockwise or clockwise, the bars lie below one another."""
    image = made(written(pattern(3, 96, 64), rotation=(degrees, False)))
    assert image.size == (64, 96)
    assert [named(image.getpixel((edge, 16 * bar + 8))) for bar in range(6)] == top_to_bottom


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(2), (96, 32)), (Fraction(1, 2), (48, 64)), (Fraction(64, 45), (96, 45))]
)
def test_pixels_that_are_no_squares(aspect: Fraction, size: tuple[int, int]) -> None:
    """The poster has the shape of what is shown; the side that is too long becomes shorter."""
    assert made(written(pattern(3, 96, 64), sample_aspect_ratio=aspect)).size == size


@pytest.mark.parametrize(
    ("level", "color_range", "grey"),
    [(235, 1, 255), (16, 1, 0), (255, 2, 255), (235, 2, 235), (16, 2, 16), (126, 1, 128)],
)
def test_limited_and_full_range(level: int, color_range: int, grey: int) -> None:
    """White is white and black is black, whichever way the film says them."""
    frame = plain(64, 64, level)
    frame.color_range = color_range
    seen_grey = made(written([frame], color_range=color_range)).convert("L").getpixel((32, 32))
    assert seen_grey == pytest.approx(grey, abs=2)


def test_a_film_of_wide_brightness() -> None:
    """What HDR10 codes as a white wall is bright, not the grey that the number alone would be."""
    frame = plain(64, 64, 580, "yuv420p10le")  # 203 cd/m²
    data = written([frame], pixels="yuv420p10le", color_range=1, color_trc=16, color_primaries=9, colorspace=9)
    grey = made(data).convert("L").getpixel((32, 32))
    assert isinstance(grey, int)
    assert 180 <= grey <= 220


def darkness_first(dark: int, bright: int) -> Iterator[VideoFrame]:
    """Black pictures, and then the test picture."""
    for _ in range(dark):
        yield plain(96, 64, 16)
    yield from pattern(bright, 96, 64)


def test_a_black_picture_is_not_taken() -> None:
    """Where the tenth of the film is black, one further on is taken; where all of it is, a black one."""
    assert bars(made(written(darkness_first(40, 60)))) == BARS
    assert contrast(made(written(darkness_first(20, 0)))) < 1


def test_a_stream_without_key_pictures() -> None:
    """A stream that refreshes itself bit by bit has a poster too."""
    data = written(
        pattern(60, 96, 64), form="mpegts", coding={"x264-params": "keyint=infinite:intra-refresh=1:scenecut=0"}
    )
    assert bars(made(data)) == BARS


def test_a_film_whose_beginning_is_damaged() -> None:
    """Key pictures that cannot be decoded are passed over."""
    data = bytearray(film())
    begins = data.index(b"mdat") + 4
    data[begins : begins + 8000] = bytes(8000)
    assert bars(made(bytes(data))) == BARS


def test_it_takes_no_more_than_its_room() -> None:
    """With little room its quality goes down, and then its size."""
    data = BUNNY.read_bytes()
    full, small, tiny = made(data), made(data, 30_000), made(data, 3000)
    assert full.size == small.size == (640, 360)
    assert tiny.width < 640
    with pytest.raises(ValueError, match="1024 are the least"):
        poster(stored(data), "video", 1000)


def test_what_has_no_pictures() -> None:
    """Sound alone, a picture, nothing decodable, another kind: each is told in words."""
    with pytest.raises(CannotMake, match="a video without moving pictures"):
        poster(stored(sound("aac", "ipod")), "video", MOST)
    with pytest.raises(CannotMake, match="does not begin like"):
        poster(stored(saved(Image.new("L", (9, 9)), "PNG")), "video", MOST)
    data = bytearray(film())
    data[data.index(b"mdat") + 4 : data.index(b"moov") - 4] = bytes(data.index(b"moov") - data.index(b"mdat") - 8)
    with pytest.raises(CannotMake, match="none of its pictures could be decoded"):
        poster(stored(bytes(data)), "video", MOST)
    with pytest.raises(CannotMake, match="posters of videos and images, not of what is audio"):
        poster(stored(sound("aac", "ipod")), "audio", MOST)
