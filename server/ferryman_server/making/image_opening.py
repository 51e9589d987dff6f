"""What an uploaded image is, by its first bytes, and how large: before anything of it is decoded.

PNG, JPEG and WebP are taken apart here (`media.picture_size`); GIF, BMP, TIFF and AVIF by Pillow's decoder of that very
format, which only reads a header. Nothing else is an image for us; SVG, which is a program, never.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.exif_orientation import of_exif, orientation_of
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.making.turning import UPRIGHT
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_size import Sizer
from ferryman_server.storage.base import StoreError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MOST_PIXELS: Final = 1 << 27
"""134 million, so that the 108 million of a telephone are let in. Above, nothing is believed of an image."""
MOST_BYTES: Final = 64 << 20
"""Of an image's file that are read: a decoder wants them all at once."""

_DECODED: Final = {"JPEG": 1 << 27, "WEBP": 25 << 20, "AVIF": 1 << 25}
"""Pixels that are decoded. Each takes 3 bytes in a progressive JPEG picture (none in others, which are made small while
they are decoded), 15 in WebP, 10 in AVIF (measured): no image takes more than 400 MB."""
_DECODED_OF_OTHERS: Final = 1 << 26  # 4 or 5 bytes each

_BLOCK: Final = 65536
_KNOWN: Final = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself."""

    width: int  # pixels, as it is stored
    height: int
    orientation: int  # as Exif counts; upright too for a TIFF, which its decoder turns
    format: Format | None = None  # one of those that frames have; else:
    image: "ImageFile | None" = None  # opened, not decoded

    @property
    def name(self) -> str:
        """Of its format, as Pillow calls it."""
        return self.format.name if self.format is not None else str(self.image and self.image.format)


@contextmanager
def reading(file: StoredFile) -> Iterator[None]:
    """Whatever a decoder raises becomes CannotMake; what the store raised stays what it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow tells of odd fields in this way
            yield
    except (CannotMake, StoreError):
        file.check()
        raise
    except MemoryError as error:
        file.check()
        raise CannotMake("it is no image that can be read: it would take too much memory") from error
    except Exception as error:  # it may be anything
        file.check()
        raise CannotMake("it is no image that can be read: it is damaged, or ends too early") from error
    file.check()


def header_of(file: StoredFile) -> Header:
    """Raises CannotMake for what is no such image, or one that is too large. To be called within `reading`."""
    size = _known_size(file)
    if size is not None:
        form, width, height = size
        _check(width, height, MOST_PIXELS)
        return Header(width, height, orientation_of(cast(BinaryIO, file), form), format=form)
    image = _opened(file)
    _check(*image.size, MOST_PIXELS)
    orientation = of_exif(image.info.get("exif", b"")) if image.format == "AVIF" else UPRIGHT
    return Header(*image.size, orientation, image=image)


def check_decodable(header: Header) -> None:
    """Raises CannotMake for an image that would take too much memory."""
    _check(header.width, header.height, _DECODED.get(header.name, _DECODED_OF_OTHERS))


def check_bytes(file: StoredFile) -> None:
    """Raises CannotMake for a file that would not be read to its end."""
    if file.size > MOST_BYTES:
        raise CannotMake(f"it is an image of {file.size >> 20} MiB; up to {MOST_BYTES >> 20} MiB are decoded here")


def _known_size(file: StoredFile) -> tuple[Format, int, int] | None:
    sizer = Sizer()
    file.seek(0)
    for _ in range(MOST_BYTES // _BLOCK):
        block = file.read(_BLOCK)
        if not block or sizer.feed(block):
            break
    found = sizer.size
    return None if found is None else (found.format, found.width, found.height)


def _opened(file: StoredFile) -> "ImageFile":
    file.seek(0)
    head = file.read(16)
    decoder = _decoder(head)
    if decoder is None:
        raise CannotMake(f"it is no image that can be read: it does not begin like {_KNOWN}, or its header is damaged")
    if head[4:8] == b"ftyp":
        check_bytes(file)  # this one reads it all
    file.seek(0)
    return decoder(cast(BinaryIO, file))


def _decoder(head: bytes) -> "type[ImageFile] | None":
    from PIL.AvifImagePlugin import AvifImageFile
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.GifImagePlugin import GifImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    if head[:6] in (b"GIF87a", b"GIF89a"):
        return GifImageFile
    if head[:2] == b"BM":
        return BmpImageFile
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TiffImageFile
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return AvifImageFile
    return None


def _check(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise CannotMake(
            f"it has {width}×{height} pixels, {width * height // 10**6:,} million; images of this format are decoded "
            f"here up to {most // 10**6} million"
        )
