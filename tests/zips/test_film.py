"""The frames: real, as the metadata says, and those of one film the same in every kind."""

import json
import struct
from itertools import islice
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from tests.zips.film import BUNNY, FRAMES, SUFFIXES, TREE, Film, film_of, frames_folder, picture


def files(kind: str) -> list[Path]:
    """The frames of a kind, in order."""
    return sorted(frames_folder(kind).glob("frames/*"))


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far the channels of two pictures are apart, on average; of 255."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_every_kind_has_all_frames(kind: str) -> None:
    """They are numbered from 1; only the raw ones need metadata, and nothing else lies there."""
    folder = frames_folder(kind)
    expected = {f"frames/frame_{number:05}.{SUFFIXES[kind]}" for number in range(1, film_of(kind).frames + 1)}
    expected |= {"frames"} | ({"metadata.json"} if SUFFIXES[kind] == "rgb565" else set())
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == expected


@pytest.mark.parametrize(("kind", "fps"), [("rgb565", 24.0), ("rgb565-tree", 1_000_000 / 66_667)])
def test_raw_frames_are_what_the_metadata_says(kind: str, fps: float) -> None:
    """Its size in pixels is that of every file in bytes, and the frames move."""
    film, told = film_of(kind), json.loads((frames_folder(kind) / "metadata.json").read_text())
    assert (told["width"], told["height"], told["frames"]) == (film.width, film.height, film.frames)
    assert (told["format"], told["fps"], told["title"]) == ("rgb565le", fps, film.title)
    contents = [path.read_bytes() for path in files(kind)]
    assert {len(each) for each in contents} == {film.width * film.height * 2}
    assert len(set(contents)) == film.frames


@pytest.mark.parametrize(("kind", "film"), [("rgb565", BUNNY), ("rgb565-tree", TREE)])
def test_raw_frames_are_the_films(kind: str, film: Film) -> None:
    """The first and the last are the film's after those that are skipped, within what RGB565 can show."""
    with av.open(str(film.file)) as opened:
        ends = islice(opened.decode(video=0), film.skipped, film.skipped + film.frames, film.frames - 1)
        shown = [frame.reformat(width=film.width, height=film.height, format="rgb24") for frame in ends]
    for raw, frame in zip(files(kind)[:: film.frames - 1], shown, strict=True):
        pixels = bytes(frame.planes[0])
        original = Image.frombytes("RGB", (film.width, film.height), pixels)
        assert difference(picture(raw.read_bytes(), film), original) < 8


def test_the_tree_has_the_size_of_its_film() -> None:
    """Its frames are not scaled: the film has theirs, 320×240."""
    with av.open(str(TREE.file)) as opened:
        stream = opened.streams.video[0]
        assert (stream.width, stream.height) == (TREE.width, TREE.height) == (320, 240)


def test_a_png_has_the_bits_of_its_raw_frame() -> None:
    """Every pixel, read as RGB565 little-endian, is the upper bits of the PNG's."""
    for raw, path in list(zip(files("rgb565"), files("png"), strict=True))[:: FRAMES - 1]:
        with Image.open(path) as png:
            channels = struct.iter_unpack("3B", png.tobytes())
        pixels = [(red >> 3) << 11 | (green >> 2) << 5 | blue >> 3 for red, green, blue in channels]
        assert struct.pack(f"<{BUNNY.width * BUNNY.height}H", *pixels) == raw.read_bytes()


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_other_pictures_look_like_their_raw_frame(kind: str) -> None:
    """They lose little, and each belongs to the frame of its number."""
    for raw, path in zip(files("rgb565"), files(kind), strict=True):
        with Image.open(path) as opened:
            assert opened.format == kind.upper()
            assert difference(picture(raw.read_bytes()), opened) < 8
