"""The formats that frames come in, and what tells them apart: bytes a pixel, file name endings, media types.

Raw formats are rows of pixels from the top left, without padding and without any header, so only metadata.json can say
what they are. Pictures (PNG, JPEG, WebP) say it themselves.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Format(StrEnum):
    """The format of a frame, as metadata.json writes it."""

    RGB565LE = "rgb565le"  # 16 bits: 5 red, 6 green, 5 blue, red in the highest; the low byte comes first
    RGB565BE = "rgb565be"  # the same, the high byte first
    RGB888 = "rgb888"  # three bytes: red, green, blue
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


BYTES_A_PIXEL: Final[Mapping[Format, int]] = MappingProxyType(
    {Format.RGB565LE: 2, Format.RGB565BE: 2, Format.RGB888: 3}
)
"""Of the raw formats."""

_ANY_RAW: Final = (".rgb", ".raw", ".bin")

ENDINGS: Final[Mapping[Format, tuple[str, ...]]] = MappingProxyType(
    {
        Format.RGB565LE: (*_ANY_RAW, ".rgb565", ".565", ".rgb16", ".rgb565le", ".565le"),
        Format.RGB565BE: (*_ANY_RAW, ".rgb565", ".565", ".rgb16", ".rgb565be", ".565be"),
        Format.RGB888: (*_ANY_RAW, ".rgb888", ".888", ".rgb24"),
        Format.PNG: (".png",),
        Format.JPEG: (".jpg", ".jpeg"),
        Format.WEBP: (".webp",),
    }
)
"""How the names of files in each format end, in lower case; the case of a file's name does not matter."""

MEDIA_TYPES: Final[Mapping[Format, str]] = MappingProxyType(
    {
        Format.RGB565LE: "application/octet-stream",
        Format.RGB565BE: "application/octet-stream",
        Format.RGB888: "application/octet-stream",
        Format.PNG: "image/png",
        Format.JPEG: "image/jpeg",
        Format.WEBP: "image/webp",
    }
)
"""What a frame's own bytes are served as. No media type is registered for raw pixels."""

_PICTURES: Final = {
    ending: form for form, endings in ENDINGS.items() if form not in BYTES_A_PIXEL for ending in endings
}
_RAW: Final = {ending for form in BYTES_A_PIXEL for ending in ENDINGS[form]}


def bytes_a_frame(format: Format, width: int, height: int) -> int | None:
    """The bytes of each frame of so many pixels; None for pictures, of which each has its own."""
    pixel = BYTES_A_PIXEL.get(format)
    return None if pixel is None else width * height * pixel


def ending_of(name: str) -> str:
    """The file name's ending in lower case with its dot; empty when there is none."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem and "/" not in ending else ""


def picture_format(ending: str) -> Format | None:
    """The picture format that a file name ending in lower case belongs to; None: it is no picture's."""
    return _PICTURES.get(ending)


def is_raw_ending(ending: str) -> bool:
    """Whether files with this ending, in lower case, are raw frames in one format or another."""
    return ending in _RAW
