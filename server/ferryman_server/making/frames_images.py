"""Frames of a medium as small images, one by one.

A large frame is made smaller. A tiny one, as LED walls show them, is made larger, since nobody would see it: each of
its pixels becomes a square whose side is a power of two, so that squares and the blocks of codecs coincide, and sharp
edges cost little. Damaged frames are found here; what is done about them is for the caller to say.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_source import FramesSource
from ferryman_server.media.picture_rules import BadPicture
from ferryman_server.media.pictures import shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

_TINY: Final = 120  # pixels: frames whose longer side is shorter are made larger


def enlargement(width: int, height: int, side: int) -> int:
    """The side of the square, in pixels, that each pixel of a frame becomes where no side may be longer than `side`."""
    longest = max(width, height)
    if longest >= _TINY or longest > side:
        return 1
    return 1 << (side // longest).bit_length() - 1


def images(source: FramesSource, numbers: Sequence[int], side: int) -> Iterator["Image | BadPicture"]:
    """These frames in mode RGB, all of one size with no side longer than `side` pixels; the aspect is kept. In the
    place of a damaged one comes what is wrong with it. Raises PicturesMissing, and what reading raises."""
    factor = enlargement(source.width, source.height, side)
    for frame in source.read(numbers):
        try:
            image = shrunk(frame, source.format, source.width, source.height, (side, side))
        except BadPicture as bad:
            yield bad
            continue
        yield _plain(image, factor)


def mended(source: FramesSource, numbers: Sequence[int], side: int) -> Iterator["Image"]:
    """The same, as many as `numbers`: a damaged frame looks like the last good one before it, or the first of all.

    Raises CannotMake where none is good, and as `images` does."""
    good: Image | None = None
    first: BadPicture | None = None
    waiting = 0
    for image in images(source, numbers, side):
        if not isinstance(image, BadPicture):
            good = image
        elif first is None:
            first = image
        if good is None:
            waiting += 1
            continue
        for _ in range(waiting + 1):
            yield good
        waiting = 0
    if good is None:
        raise nothing_to_show(first)


def nothing_to_show(first: BadPicture | None) -> CannotMake:
    """What to raise where no frame could be shown, and what was wrong with the first."""
    return CannotMake("there is no frame to show" if first is None else f"no frame can be shown; the first: {first}")


def _plain(image: "Image", factor: int) -> "Image":
    """A copy in mode RGB: an image that was read from a picture file keeps the file's bytes."""
    from PIL.Image import Resampling

    if factor == 1:
        return image.convert("RGB")
    return image.convert("RGB").resize((image.width * factor, image.height * factor), Resampling.NEAREST)
