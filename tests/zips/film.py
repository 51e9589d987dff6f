"""Folders of real frames, from two films, for the programs that make archives.

    rgb565        frames/frame_00001.rgb565 …, raw RGB565, little-endian, row by row; and a metadata.json that says so
    jpeg          frames/frame_00001.jpg …, the same pictures, and nothing else; png and webp likewise
    rgb565-tree   as rgb565, of a tree before a window, at the film's own size

The first film is the one that tests/support/archive.py cuts; its frames are small and few: each archive of some fifty
is one more copy. Only PNG is exact, JPEG and WebP are not. The tree comes from a camera; its archives have 3 to 9 MB:
for few producers. That film has 68 pictures; the 444 frames that its header counts are times, most without one.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av
import PIL
from PIL import Image

from tests.support.archive import FILM, SKIPPED
from tests.zips.kept import cache, kept


@dataclass(frozen=True, slots=True)
class Film:
    """Frames that follow one another in a film, and what size they get."""

    file: Path
    brought_by: str  # the command
    title: str
    skipped: int  # frames, before the first of ours
    frames: int
    width: int  # pixels
    height: int

    @property
    def name(self) -> str:
        """Which frames they are, in the name of a file."""
        title = self.title.lower().replace(" ", "-")
        return f"{title}-{self.width}x{self.height}-{self.skipped}+{self.frames}"

    @property
    def frame_size(self) -> int:
        """Bytes of a raw frame."""
        return self.width * self.height * 2


BUNNY: Final = Film(FILM, "scripts/js-packages", "Big Buck Bunny", SKIPPED, 40, 160, 90)
TREE: Final = Film(cache() / "films/tree.avi", "scripts/film", "Tree", 0, 60, 320, 240)
FRAMES: Final = BUNNY.frames
SUFFIXES: Final = {"rgb565": "rgb565", "jpeg": "jpg", "png": "png", "webp": "webp", "rgb565-tree": "rgb565"}
"""Of each kind's files."""
_RAW: Final[Mapping[str, Film]] = {"rgb565": BUNNY, "rgb565-tree": TREE}
_DATE: Final = 1_212_148_800  # of every file: noon in UTC on the day of the first film's release


def frames_folder(kind: str = "rgb565") -> Path:
    """The folder of a kind, made if the cache has none; it is shared, so leave it as it is.

    Raises KeyError for a kind that is none, FileNotFoundError when the film is missing.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes() + f"{av.__version__} {PIL.__version__}".encode())
    name = f"frames/{film_of(kind).name}-{SUFFIXES[kind]}-{recipe.hexdigest()[:12]}"
    return kept(name, lambda folder: _cut(folder, _RAW[kind]) if kind in _RAW else _convert(folder, kind))


def film_of(kind: str) -> Film:
    """The film that a kind's frames are of."""
    return _RAW.get(kind, BUNNY)


def picture(pixels: bytes, film: Film = BUNNY) -> Image.Image:
    """A raw frame as Pillow has it."""
    return Image.frombytes("RGB", (film.width, film.height), pixels, "raw", "BGR;16")


def _cut(folder: Path, film: Film) -> None:
    if not film.file.exists():
        raise FileNotFoundError(f"{film.file} is missing: {film.brought_by} brings it")
    (folder / "frames").mkdir(parents=True)
    with av.open(str(film.file)) as opened:
        rate = opened.streams.video[0].average_rate or Fraction(25)
        for number, pixels in enumerate(_frames(opened, film), start=1):
            (folder / f"frames/frame_{number:05}.rgb565").write_bytes(pixels)
    known = {"width": film.width, "height": film.height, "format": "rgb565le", "fps": float(rate)}
    told = {**known, "frames": film.frames, "title": film.title}
    (folder / "metadata.json").write_text(json.dumps(told, indent=2) + "\n")
    _date(folder)


def _frames(opened: av.container.InputContainer, film: Film) -> Iterator[bytes]:
    """The pixels of each frame; their rows are a multiple of 64 bytes wide, so FFmpeg pads none of them."""
    opened.streams.video[0].thread_type = "NONE"  # the same bytes on every machine
    for frame in islice(opened.decode(video=0), film.skipped, film.skipped + film.frames):
        pixels = bytes(frame.reformat(width=film.width, height=film.height, format="rgb565le").planes[0])
        assert len(pixels) == film.frame_size
        yield pixels


def _convert(folder: Path, kind: str) -> None:
    (folder / "frames").mkdir(parents=True)
    for raw in sorted(frames_folder().glob("frames/*")):
        picture(raw.read_bytes()).save(folder / f"frames/{raw.stem}.{SUFFIXES[kind]}", kind)
    _date(folder)


def _date(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (_DATE, _DATE))
