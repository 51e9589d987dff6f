"""Many frames of a medium in one picture: small tiles of one size, row by row.

Only the sheet and one frame are in memory. The caller picks the frames (`chosen`) and reads them one by one.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_rules import MOST_SIDE, BadPicture, needs_pillow
from ferryman_server.media.pictures import jpeg, shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

_QUALITY: Final = 80  # libjpeg's scale


def chosen(count_of_frames: int, most: int = 100) -> list[int]:
    """Which frames a sheet of at most `most` tiles shows, rising, from 0: all, or so many that each stands for an
    equally long stretch of the medium, of which it is the first."""
    tiles = min(count_of_frames, most)
    return [tile * count_of_frames // tiles for tile in range(tiles)]


def contact_sheet(
    frames: Iterable[bytes],
    source: Format,
    width: int,
    height: int,
    count: int,
    columns: int = 10,
    tile: tuple[int, int] = (80, 60),
) -> bytes:
    """The first `count` of `frames` as a JPEG picture of `columns` tiles a row, or of fewer where `count` is less.

    Frame i is in column `i % columns` of row `i // columns`, in the middle of its tile, on black; it is made smaller to
    fit, never larger, and its aspect is kept. A tile stays black where a frame is damaged, or missing at the end.

    Raises BadPicture, saying why, where no frame could be shown; PicturesMissing; ValueError for a sheet without tiles
    or with sides of more than 16,384 pixels."""
    refused: BadPicture | None = None
    shown = 0

    def tiles() -> Iterator["Image | None"]:
        nonlocal refused, shown
        for frame in frames:
            try:
                image = shrunk(frame, source, width, height, tile)
            except BadPicture as error:
                refused = refused or error
                yield None
                continue
            shown += 1
            yield image

    sheet = laid_out(tiles(), count, columns, tile)
    if not shown:
        raise refused or BadPicture("there is no frame to show")
    return jpeg(sheet, _QUALITY)


def laid_out(images: "Iterable[Image | None]", count: int, columns: int, tile: tuple[int, int]) -> "Image":
    """The first `count` of `images`, none larger than `tile`, on a sheet as `contact_sheet` lays it out, in mode RGB.
    None is a tile that stays black. Raises ValueError and PicturesMissing as that does."""
    columns = min(columns, count)
    if min(columns, *tile) < 1:
        raise ValueError("a contact sheet needs at least one tile of at least one pixel")
    size = columns * tile[0], -(-count // columns) * tile[1]
    if max(size) > MOST_SIDE:
        raise ValueError(f"a contact sheet of {size[0]}×{size[1]} pixels is too large: its sides end at {MOST_SIDE}")
    with needs_pillow():
        from PIL import Image
    sheet = Image.new("RGB", size)
    for number, image in zip(range(count), images, strict=False):
        if image is None:
            continue
        left, top = number % columns * tile[0], number // columns * tile[1]
        sheet.paste(image, (left + (tile[0] - image.width) // 2, top + (tile[1] - image.height) // 2))
    return sheet
