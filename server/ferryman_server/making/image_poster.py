"""A poster of an image: small, upright, on black where it is transparent. Of an animation the first picture.

PNG, JPEG and WebP go the way of frames (`media.pictures`), their metadata taken off; a JPEG is decoded at a half, a
quarter or an eighth of its size. The others are decoded whole.
"""

from typing import TYPE_CHECKING, Final

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.image_opening import Header, check_bytes, check_decodable, header_of, reading
from ferryman_server.making.poster_jpeg import LONGEST, poster_jpeg
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.making.turning import turned
from ferryman_server.media.picture_rules import MOST_SIDE, BadPicture
from ferryman_server.media.pictures import shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEP: Final = ("I", "F")  # modes of one number a pixel
_BOX: Final = (LONGEST, LONGEST)


def image_poster(file: StoredFile, most: int) -> bytes:
    """A JPEG. Raises CannotMake and StoreError."""
    with reading(file):
        check_bytes(file)
        header = header_of(file)
        check_decodable(header)
        small = _frame_like(file, header) if header.image is None else _other(header.image)
        return poster_jpeg(turned(small, header.orientation), most)


def _frame_like(file: StoredFile, header: Header) -> "Image":
    assert header.format is not None
    if max(header.width, header.height) > MOST_SIDE:
        raise CannotMake(f"it has {header.width}×{header.height} pixels; no side may be longer than {MOST_SIDE}")
    file.seek(0)
    try:
        return shrunk(file.read(), header.format, header.width, header.height, _BOX)
    except BadPicture as error:
        raise CannotMake(error.reason) from error


def _other(image: "Image") -> "Image":
    """It may have any of Pillow's modes."""
    from PIL import Image as Images

    image.load()
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode in _DEEP:
        image = _spread(image)
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBa")
    image = image.convert("RGBA" if transparent or image.mode == "RGBA" else "L" if image.mode in ("1", "L") else "RGB")
    image.thumbnail(_BOX, Images.Resampling.BICUBIC, reducing_gap=1.0)
    image.info = {}
    return image


def _spread(image: "Image") -> "Image":
    """Numbers that nobody says the meaning of, with the lowest at black and the highest at white."""
    low, high = image.getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    scale = 255 / (high - low) if high > low else 0.0
    return image.point(lambda value: value * scale - low * scale).convert("L")
