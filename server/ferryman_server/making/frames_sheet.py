"""The contact sheet of a medium: up to a hundred of its frames side by side, from the first on evenly spread.

The tiles have the aspect of the frames. A damaged frame leaves its tile black.
"""

from typing import Final

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.frames_images import images, nothing_to_show
from ferryman_server.making.frames_source import FramesSource
from ferryman_server.media.contact_sheet import chosen, laid_out
from ferryman_server.media.picture_rules import BadPicture
from ferryman_server.media.pictures import SMALLEST_MOST, jpeg_within

_COLUMNS: Final = 10
_SIDE: Final = 80  # pixels: the longer side of a tile


def sheet(source: FramesSource, most: int) -> bytes:
    """A JPEG picture of at most `most` bytes, for which its quality is lowered first and its size then.

    Raises CannotMake, PicturesMissing, and what reading raises."""
    if most < SMALLEST_MOST:
        raise CannotMake(f"a contact sheet cannot be brought into {most} bytes")
    tiles = list(images(source, chosen(source.count), _SIDE))
    good = [tile for tile in tiles if not isinstance(tile, BadPicture)]
    if not good:
        raise nothing_to_show(next((tile for tile in tiles if isinstance(tile, BadPicture)), None))
    shown = [None if isinstance(tile, BadPicture) else tile for tile in tiles]
    return jpeg_within(laid_out(shown, len(shown), min(_COLUMNS, len(shown)), good[0].size), most)
