"""A medium as a film that any browser plays, exactly as long as the medium does.

Of more than 3,600 frames, or of more than 240 a second, every k-th is shown k times as long. The film is small: what a
page shows of a medium before anybody asks for the whole. Where the bytes do not suffice for its pictures, they are made
smaller: the frames are read once more, and only then, since what they need is known only when they have been encoded.
"""

import math
from fractions import Fraction
from typing import Final

from av.error import FFmpegError

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_images import mended
from ferryman_server.making.frames_mp4 import Film, Times, encoded
from ferryman_server.making.frames_source import FramesSource

_SIDE: Final = 480  # pixels
_FRAMES: Final = 3600
_FPS: Final = 240
_LONGEST: Final = 21_600  # seconds that one frame is shown: not far beyond, FFmpeg's numbers for MP4 end
_CLOSE: Final = 1001  # by fractions with so small a denominator frame rates are told, the 30000/1001 of television too
_TRIES: Final = 5
_LEAST_SIDE: Final = 16  # pixels: a smaller film shows nothing
_SMALLER: Final = 1.5  # times fewer pixels, at least, where it is tried again


def film(source: FramesSource, most: int) -> bytes:
    """An MP4 file with H.264 of at most `most` bytes; what it is good for comes first in it.

    Raises CannotMake, PicturesMissing, and what reading raises."""
    times = _times(source.count, source.fps)
    best: bytes | None = None
    side = _SIDE
    for _ in range(_TRIES):
        tried = _tried(source, times, side, most)
        best = tried.data or best
        side = int(tried.side / max(tried.excess, _SMALLER) ** 0.5) // 2 * 2
        if (tried.data is not None and tried.excess <= 1) or side < _LEAST_SIDE:
            break
    if best is None:
        raise CannotMake(f"a film of {len(times.numbers)} of its frames cannot be brought into {most} bytes")
    return best


def _times(count: int, fps: float) -> Times:
    step = max(-(-count // _FRAMES), math.ceil(fps / _FPS))
    return Times(count, min(step, count), min(_seconds(fps), Fraction(_LONGEST, step)))


def _seconds(fps: float) -> Fraction:
    """That a frame of the medium takes."""
    if fps >= 1:
        return 1 / Fraction(fps).limit_denominator(_CLOSE)
    return Fraction(1 / fps).limit_denominator(_CLOSE)


def _tried(source: FramesSource, times: Times, side: int, most: int) -> Film:
    try:
        return encoded(mended(source, times.numbers, side), times, most)
    except FFmpegError as error:
        raise CannotMake(f"no film could be made of its frames: {error.strerror}") from error
