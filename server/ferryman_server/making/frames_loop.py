"""A medium as a short animation that plays for ever: for where no film can be shown.

Of a long medium 60 frames are spread over the whole, and play for as long as the medium does, but for 4 seconds at
least and 8 at most. A short one plays at its own speed. No frame is shown for less than 20 ms: browsers take what is
shorter for a mistake, and show it ten times as long. One frame makes a still picture.
"""

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_images import mended
from ferryman_server.making.frames_source import FramesSource
from ferryman_server.media.contact_sheet import chosen

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE: Final = 240  # pixels
_FRAMES: Final = 60
_SECONDS: Final = (4.0, 8.0)
_SHORTEST: Final = 20  # milliseconds
_LONGEST: Final = (1 << 24) - 1  # milliseconds: what WebP can say of a frame (RFC 9649 2.7.1.1, 24 bits)
_QUALITIES: Final = (75, 50, 30, 15)  # libwebp's scale
_METHOD: Final = 4  # of libwebp's seven: those above take far more time for little
_LEAST_SIDE: Final = 16  # pixels: a smaller animation shows nothing


def loop(source: FramesSource, most: int) -> bytes:
    """An animated WebP picture of at most `most` bytes, for which its quality is lowered first and its size then.

    Raises CannotMake, PicturesMissing, and what reading raises."""
    milliseconds = _length(source.count, source.fps)
    frames = min(source.count, _FRAMES, max(1, int(milliseconds / _SHORTEST)))
    numbers = chosen(source.count, frames)
    durations = _durations([*numbers, source.count], milliseconds / source.count)
    pictures = list(mended(source, numbers, _SIDE))
    while True:
        for quality in _QUALITIES:
            made = _webp(pictures, durations, quality)
            if len(made) <= most:
                return made
        width, height = pictures[0].size
        if max(width, height) <= _LEAST_SIDE:
            raise CannotMake(f"an animation of its frames cannot be brought into {most} bytes")
        smaller = max(1, width * 2 // 3), max(1, height * 2 // 3)
        pictures = [picture.resize(smaller) for picture in pictures]


def _length(count: int, fps: float) -> float:
    """In milliseconds."""
    seconds = count / fps
    if count > _FRAMES:
        shortest, longest = _SECONDS
        seconds = min(max(seconds, shortest), longest)
    return seconds * 1000


def _durations(numbers: Sequence[int], each: float) -> list[int]:
    """Milliseconds that frames with these numbers are shown, of which the last one only ends; `each`: that a frame of
    the medium takes. They are rounded so that errors do not add up."""
    times = [round(number * each) for number in numbers]
    return [min(after - before, _LONGEST) for before, after in pairwise(times)]


def _webp(pictures: "Sequence[Image]", durations: Sequence[int], quality: int) -> bytes:
    first, *others = pictures
    out = BytesIO()
    first.save(
        out, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=quality, method=_METHOD
    )
    return out.getvalue()
