"""A poster's picture as a JPEG that takes no more than its room: its quality is lowered first, its size then."""

from typing import TYPE_CHECKING, Final

from ferryman_server.media.pictures import SMALLEST_MOST, jpeg

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST: Final = 640
"""Pixels of a poster's longer side, at most."""

_QUALITIES: Final = (85, 75, 60, 45)  # libjpeg's scale


def check_room(most: int) -> None:
    """Raises ValueError for so few bytes that not every picture can be brought into them."""
    if most < SMALLEST_MOST:
        raise ValueError(f"a poster cannot always be brought into {most} bytes; {SMALLEST_MOST} are the least")


def poster_jpeg(image: "Image", most: int) -> bytes:
    """At most `most` bytes, of which there is room for a picture."""
    while True:
        for quality in _QUALITIES:
            made = jpeg(image, quality)
            if len(made) <= most:
                return made
        image = image.resize((max(1, image.width * 2 // 3), max(1, image.height * 2 // 3)))
