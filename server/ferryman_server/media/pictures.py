"""Frames as PNG, JPEG, WebP and BMP pictures, and small pictures of them; with Pillow, which the first call loads.

Pure functions on bytes, for any number of threads at once: nothing of Pillow's is set, and its codecs leave the GIL to
others. What a picture frame says of its size is read before any decoder sees it (`picture_size`), and only the decoder
of its format ever does, without metadata (`bare_pictures`). It is called by itself, not by `Image.open`, which warns of
large pictures through Python's warnings and measures them by a limit of the whole process.

Of an animation the first image counts. Nothing is applied to the pixels: no Exif orientation, no colour profile, no
gamma; 16 bits a channel become their upper 8. Where a format has no transparency, the frame lies on black. No metadata
are in what comes out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from ferryman_server.media.bare_pictures import bare
from ferryman_server.media.frame_formats import BYTES_A_PIXEL, Format
from ferryman_server.media.picture_rules import BadPicture, PicturesMissing, check_sides, needs_pillow
from ferryman_server.media.picture_size import Sizer
from ferryman_server.media.raw_pixels import to_bmp, to_image

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = [
    "SMALLEST_MOST",
    "BadPicture",
    "PicturesMissing",
    "Target",
    "convert",
    "jpeg",
    "jpeg_within",
    "shrunk",
    "thumbnail",
]

Target: TypeAlias = Literal["png", "jpeg", "webp", "bmp"]

SMALLEST_MOST: Final = 1024
"""Bytes: into so many any JPEG picture can be brought, if need be as one pixel."""

_NAMES: Final = {Format.PNG: "PNG", Format.JPEG: "JPEG", Format.WEBP: "WebP"}
_WEBP_SIDE: Final = 16383  # RFC 9649 2.5: 14 bits
_JPEG_QUALITY: Final = 85  # libjpeg's scale; as it does by default, colours have half the resolution (4:2:0)
_WEBP_QUALITY: Final = 80  # with method 0, the fastest of libwebp's seven
_THUMBNAIL_QUALITIES: Final = (80, 65, 50, 35)
_RLE: Final = 3  # zlib.h Z_RLE: of filtered rows it makes as little as level 1 or less, in two thirds of the time
_NO_GAP: Final = 1.0  # shrink by whole factors as far as they go, in the decoder where it can; a filter does the rest


def convert(data: bytes, source: Format, width: int, height: int, to: Target) -> bytes:
    """A frame as a picture; one that has the format already is returned as it is, unseen.

    JPEG has quality 85 with 4:2:0, WebP quality 80; PNG and BMP are exact. Raises BadPicture where the frame is
    damaged, or not of its format and size in pixels, and PicturesMissing."""
    if to == source:
        return data
    if to == "bmp" and source in BYTES_A_PIXEL:
        return to_bmp(data, source, width, height)
    if to == "webp" and max(width, height) > _WEBP_SIDE:
        raise BadPicture(f"{width}×{height} pixels are too many for WebP, whose sides end at {_WEBP_SIDE}: ask for PNG")
    image = _whole(data, source, width, height)
    if to == "jpeg":
        return jpeg(image, _JPEG_QUALITY)
    if to == "bmp":
        return to_bmp(_flat(image).convert("RGB").tobytes(), Format.RGB888, width, height)
    out = BytesIO()
    if to == "png":
        image.save(out, "PNG", compress_level=1, compress_type=_RLE)
    else:
        image.save(out, "WEBP", quality=_WEBP_QUALITY, method=0)
    return out.getvalue()


def thumbnail(
    data: bytes, source: Format, width: int, height: int, box: tuple[int, int] = (160, 160), most: int = 8192
) -> bytes:
    """A small JPEG picture of a frame: no larger than `box`, in pixels, nor than the frame, and of at most `most`
    bytes, for which its quality is lowered first and its size then. The aspect is kept.

    Raises BadPicture and PicturesMissing as `convert` does; ValueError for a box without room, or `most` below 1024."""
    if most < SMALLEST_MOST:
        raise ValueError(f"a thumbnail cannot always be brought into {most} bytes; {SMALLEST_MOST} are the least")
    return jpeg_within(shrunk(data, source, width, height, box), most)


def jpeg_within(image: "Image", most: int) -> bytes:
    """An image as JPEG of at most `most` bytes, SMALLEST_MOST or more: its quality is lowered first and its size
    then; the aspect is kept."""
    while True:
        for quality in _THUMBNAIL_QUALITIES:
            made = jpeg(image, quality)
            if len(made) <= most:
                return made
        image = image.resize((max(1, image.width * 2 // 3), max(1, image.height * 2 // 3)))


def shrunk(data: bytes, source: Format, width: int, height: int, box: tuple[int, int]) -> "Image":
    """A frame as an image in mode L or RGB, brought into `box`, in pixels, if it is larger; the aspect is kept.
    Raises as `thumbnail` does."""
    if min(box) < 1:
        raise ValueError(f"a box of {box[0]}×{box[1]} pixels has no room")
    if source is not Format.JPEG:
        image = _whole(data, source, width, height)
        image.thumbnail(box, reducing_gap=_NO_GAP)
        return _flat(image)
    opened = _opened(data, source, width, height)
    with _decoding(source):
        opened.thumbnail(box, reducing_gap=_NO_GAP)  # has libjpeg decode a half, a quarter or an eighth of the size
        return _plain(opened)


def jpeg(image: "Image", quality: int) -> bytes:
    """An image as JPEG; `quality` as libjpeg counts it, up to 95."""
    _decoders()
    out = BytesIO()
    _flat(image).save(out, "JPEG", quality=quality)
    return out.getvalue()


def _whole(data: bytes, source: Format, width: int, height: int) -> "Image":
    """A frame as an image in mode L, RGB or RGBA."""
    if source in BYTES_A_PIXEL:
        _decoders()
        return to_image(data, source, width, height)
    opened = _opened(data, source, width, height)
    with _decoding(source):
        return _plain(opened)


def _opened(data: bytes, source: Format, width: int, height: int) -> "ImageFile":
    """A picture of which the header has been read, and found to be what is announced."""
    check_sides(width, height)
    sizer = Sizer()
    sizer.feed(data)
    if sizer.size is None:
        raise BadPicture(f"it is no {_NAMES[source]} picture, or its header is damaged")
    if sizer.size.format is not source:
        raise BadPicture(f"it is a {_NAMES[sizer.size.format]} picture, where {_NAMES[source]} is announced")
    _check_size((sizer.size.width, sizer.size.height), width, height)
    decoder = _decoders()[source]
    stripped = BytesIO(bare(data, source))
    with _decoding(source):
        opened = decoder(stripped)
    _check_size(opened.size, width, height)  # what Pillow will allocate, should it read the header in another way
    return opened


def _check_size(size: tuple[int, int], width: int, height: int) -> None:
    if size != (width, height):
        raise BadPicture(
            f"it has {size[0]}×{size[1]} pixels, where {width}×{height} are announced; all frames must have the size "
            "that metadata.json or the first frame says"
        )


def _decoders() -> "dict[Format, type[ImageFile]]":
    """Importing them also tells Pillow how to write these formats; for one that it lacks it would load all it has."""
    with needs_pillow():
        from PIL.JpegImagePlugin import JpegImageFile
        from PIL.PngImagePlugin import PngImageFile
        from PIL.WebPImagePlugin import WebPImageFile
    return {Format.PNG: PngImageFile, Format.JPEG: JpegImageFile, Format.WEBP: WebPImageFile}


@contextmanager
def _decoding(source: Format) -> Iterator[None]:
    """Whatever a decoder raises, and it may be anything, is a BadPicture."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    except (MemoryError, DecompressionBombError) as error:  # the second: of WebP alone, above 178 million pixels
        raise BadPicture(f"it is a {_NAMES[source]} picture too large to be decoded here") from error
    except Exception as error:
        raise BadPicture(f"it is a {_NAMES[source]} picture whose pixels are damaged or end too early") from error


def _plain(image: "Image") -> "Image":
    """The same in mode L, RGB or RGBA, and without anything that Pillow would write into a file."""
    from PIL import Image

    if image.mode == "I;16":
        image = Image.frombytes("L", image.size, image.tobytes(), "raw", "L;16")  # convert() would cut off at 255
    elif image.mode in ("LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGB")
    image.load()
    image.info = {}
    return image


def _flat(image: "Image") -> "Image":
    """On black, where it is transparent."""
    if image.mode != "RGBA":
        return image
    from PIL import Image

    flat = Image.new("RGB", image.size)
    flat.paste(image, mask=image)
    return flat
