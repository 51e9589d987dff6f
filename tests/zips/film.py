"""Folders of real frames, from the film that tests/support/archive.py cuts, for the programs that make archives.

    rgb565   frames/frame_00001.rgb565 …, raw RGB565, little-endian, row by row; and a metadata.json that says so
    jpeg     frames/frame_00001.jpg …, the same pictures, and nothing else; png and webp likewise

They are small and few: each archive of some fifty is one more copy. Only PNG is exact, JPEG and WebP are not.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av
import PIL
from PIL import Image

from tests.support.archive import FILM, SKIPPED
from tests.zips.kept import kept

WIDTH: Final = 160  # pixels
HEIGHT: Final = 90
FRAMES: Final = 40
FRAME_SIZE: Final = WIDTH * HEIGHT * 2  # bytes, raw
SUFFIXES: Final = {"rgb565": "rgb565", "jpeg": "jpg", "png": "png", "webp": "webp"}  # of each kind's files
_DATE: Final = 1_212_148_800  # of every file: noon in UTC on the day of the film's release


def frames_folder(kind: str = "rgb565") -> Path:
    """The folder of a kind, made if the cache has none; it is shared, so leave it as it is.

    Raises KeyError for a kind that is none, FileNotFoundError when the JavaScript packages are missing.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes() + f"{av.__version__} {PIL.__version__}".encode())
    name = f"frames/big-buck-bunny-{WIDTH}x{HEIGHT}-{SKIPPED}+{FRAMES}-{SUFFIXES[kind]}-{recipe.hexdigest()[:12]}"
    return kept(name, _cut if kind == "rgb565" else lambda folder: _convert(folder, kind))


def picture(pixels: bytes) -> Image.Image:
    """A raw frame as Pillow has it."""
    return Image.frombytes("RGB", (WIDTH, HEIGHT), pixels, "raw", "BGR;16")


def _cut(folder: Path) -> None:
    if not FILM.exists():
        raise FileNotFoundError(f"{FILM} is missing: scripts/js-packages installs it")
    (folder / "frames").mkdir(parents=True)
    with av.open(str(FILM)) as film:
        rate = film.streams.video[0].average_rate or Fraction(25)
        for number, pixels in enumerate(_frames(film), start=1):
            (folder / f"frames/frame_{number:05}.rgb565").write_bytes(pixels)
    known = {"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": float(rate), "frames": FRAMES}
    (folder / "metadata.json").write_text(json.dumps({**known, "title": "Big Buck Bunny"}, indent=2) + "\n")
    _date(folder)


def _frames(film: av.container.InputContainer) -> Iterator[bytes]:
    """The pixels of each frame; their rows are a multiple of 64 bytes wide, so FFmpeg pads none of them."""
    film.streams.video[0].thread_type = "NONE"  # the same bytes on every machine
    for frame in islice(film.decode(video=0), SKIPPED, SKIPPED + FRAMES):
        pixels = bytes(frame.reformat(width=WIDTH, height=HEIGHT, format="rgb565le").planes[0])
        assert len(pixels) == FRAME_SIZE
        yield pixels


def _convert(folder: Path, kind: str) -> None:
    (folder / "frames").mkdir(parents=True)
    for raw in sorted(frames_folder().glob("frames/*")):
        picture(raw.read_bytes()).save(folder / f"frames/{raw.stem}.{SUFFIXES[kind]}", kind)
    _date(folder)


def _date(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (_DATE, _DATE))
