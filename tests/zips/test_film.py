"""The frames: real, as the metadata says, and the same in every kind."""

import json
import struct
from itertools import islice
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.archive import FILM, SKIPPED
from tests.zips.film import FRAME_SIZE, FRAMES, HEIGHT, SUFFIXES, WIDTH, frames_folder, picture


def files(kind: str) -> list[Path]:
    """The frames of a kind, in order."""
    return sorted(frames_folder(kind).glob("frames/*"))


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far the channels of two pictures are apart, on average; of 255."""
    assert one.size == other.size == (WIDTH, HEIGHT)
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_every_kind_has_all_frames(kind: str) -> None:
    """They are numbered from 1; only the raw ones need metadata, and nothing else lies there."""
    folder = frames_folder(kind)
    expected = {f"frames/frame_{number:05}.{SUFFIXES[kind]}" for number in range(1, FRAMES + 1)}
    expected |= {"frames"} | ({"metadata.json"} if kind == "rgb565" else set())
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == expected


def test_raw_frames_are_what_the_metadata_says() -> None:
    """Its size in pixels is that of every file in bytes, and the frames move."""
    told = json.loads((frames_folder() / "metadata.json").read_text())
    assert (told["width"], told["height"], told["frames"]) == (WIDTH, HEIGHT, FRAMES)
    assert (told["format"], told["fps"], told["title"]) == ("rgb565le", 24.0, "Big Buck Bunny")
    contents = [path.read_bytes() for path in files("rgb565")]
    assert {len(each) for each in contents} == {FRAME_SIZE}
    assert len(set(contents)) == FRAMES


def test_raw_frames_are_the_films() -> None:
    """The first one is the film's after those that are skipped, within what RGB565 can show."""
    with av.open(str(FILM)) as film:
        (frame,) = islice(film.decode(video=0), SKIPPED, SKIPPED + 1)
        pixels = bytes(frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24").planes[0])
    original = Image.frombytes("RGB", (WIDTH, HEIGHT), pixels)
    assert difference(picture(files("rgb565")[0].read_bytes()), original) < 8


def test_a_png_has_the_bits_of_its_raw_frame() -> None:
    """Every pixel, read as RGB565 little-endian, is the upper bits of the PNG's."""
    for raw, path in list(zip(files("rgb565"), files("png"), strict=True))[:: FRAMES - 1]:
        with Image.open(path) as png:
            channels = struct.iter_unpack("3B", png.tobytes())
        pixels = [(red >> 3) << 11 | (green >> 2) << 5 | blue >> 3 for red, green, blue in channels]
        assert struct.pack(f"<{WIDTH * HEIGHT}H", *pixels) == raw.read_bytes()


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_other_pictures_look_like_their_raw_frame(kind: str) -> None:
    """They lose little, and each belongs to the frame of its number."""
    for raw, path in zip(files("rgb565"), files(kind), strict=True):
        with Image.open(path) as opened:
            assert opened.format == kind.upper()
            assert difference(picture(raw.read_bytes()), opened) < 8
