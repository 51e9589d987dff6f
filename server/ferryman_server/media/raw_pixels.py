"""Raw frames as pixels of 24 bits, as images of Pillow's and as BMP files.

5 and 6 bits become 8 by bit replication, exactly as FFmpeg does it: `v << 3 | v >> 2` and `v << 2 | v >> 4`. (Rounding
`v * 255 / 31` differs from that by one for some values; Pillow's own decoder for 16 bits a pixel cuts off instead.)

Bit replication falls into two parts: the high byte of a pixel alone determines red and some bits of green, the low byte
the other bits of green and blue. So each byte is looked up in a palette of colours, and the two colours are added: a
few plain passes over a frame, in C, that take half the time of Pillow's own decoder and need no swapping of bytes.

A BMP file holds RGB565-LE as it is, behind a header: nothing is converted, and Pillow is not needed.
Source: Microsoft's BITMAPFILEHEADER and BITMAPINFOHEADER; a negative height says that the top row comes first.
"""

import struct
from array import array
from typing import TYPE_CHECKING, Final

from ferryman_server.media.frame_formats import Format, bytes_a_frame
from ferryman_server.media.picture_rules import BadPicture, check_sides, needs_pillow

if TYPE_CHECKING:
    from PIL.Image import Image

_OF_HIGH_BYTE: Final = b"".join(
    bytes([byte & 0xF8 | byte >> 5, (byte & 7) << 5 | (byte & 7) >> 1, 0]) for byte in range(256)
)
_OF_LOW_BYTE: Final = b"".join(bytes([0, byte >> 3 & 0x1C, (byte & 31) << 3 | (byte & 31) >> 2]) for byte in range(256))
"""Palettes: red, green and blue for each value of a byte."""

_FIRST_BYTE, _SECOND_BYTE = "L;16B", "L;16"  # Pillow's names for "the higher byte of two", by the order they come in

_BMP: Final = struct.Struct("<2sI4xIIiiHHIIiiII")
_NO_COMPRESSION, _BITFIELDS = 0, 3
_MASKS: Final = struct.pack("<III", 0xF800, 0x07E0, 0x001F)  # red, green, blue


def to_image(data: bytes, format: Format, width: int, height: int) -> "Image":
    """A raw frame as an image in mode RGB. Raises BadPicture where it is not of its size, and PicturesMissing."""
    _check(data, format, width, height)
    with needs_pillow():
        from PIL import Image, ImageChops
    size = width, height
    if format is Format.RGB888:
        return Image.frombytes("RGB", size, data)
    high, low = (_SECOND_BYTE, _FIRST_BYTE) if format is Format.RGB565LE else (_FIRST_BYTE, _SECOND_BYTE)
    parts = []
    for byte, palette in ((high, _OF_HIGH_BYTE), (low, _OF_LOW_BYTE)):
        part = Image.frombytes("L", size, data, "raw", byte)
        part.putpalette(palette)
        parts.append(part.convert("RGB"))
    return ImageChops.add_modulo(*parts)  # nothing carries over; `add` would test for it, at twenty times the cost


def to_rgb888(data: bytes, format: Format, width: int, height: int) -> bytes:
    """A raw frame's rows of red, green and blue, a byte each. Raises BadPicture where it is not of its size, and
    PicturesMissing."""
    if format is Format.RGB888:
        _check(data, format, width, height)
        return data
    return to_image(data, format, width, height).tobytes()


def to_bmp(data: bytes, format: Format, width: int, height: int) -> bytes:
    """A raw frame as a BMP file of 16 or 24 bits a pixel, the same pixels exactly. Raises BadPicture where it is not of
    its size; PicturesMissing for RGB888 alone, whose bytes must be put into another order."""
    _check(data, format, width, height)
    if format is Format.RGB888:
        rows = _bgr_rows(data, width, height)
        return _header(width, height, 24, _NO_COMPRESSION, len(rows)) + rows
    rows = data if format is Format.RGB565LE else _swapped(data)
    if width % 2:
        rows = _padded(rows, width * 2)
    return _header(width, height, 16, _BITFIELDS, len(rows), _MASKS) + rows


def _check(data: bytes, format: Format, width: int, height: int) -> None:
    check_sides(width, height)
    size = bytes_a_frame(format, width, height)
    if size is None:
        raise ValueError(f"frames in {format} are not raw")
    if len(data) != size:
        raise BadPicture(f"it has {len(data)} bytes; a frame of {width}×{height} pixels in {format} has {size}")


def _bgr_rows(data: bytes, width: int, height: int) -> bytes:
    """Blue first, each row ending at a multiple of 4 bytes."""
    with needs_pillow():
        from PIL import Image
    stride = (width * 3 + 3) // 4 * 4
    return Image.frombytes("RGB", (width, height), data).tobytes("raw", "BGR", stride, 1)


def _swapped(data: bytes) -> bytes:
    pixels = array("H", data)
    pixels.byteswap()
    return pixels.tobytes()


def _padded(rows: bytes, stride: int) -> bytes:
    """Rows of an odd number of pixels end at a multiple of 4 bytes."""
    return b"".join(rows[at : at + stride] + b"\0\0" for at in range(0, len(rows), stride))


def _header(width: int, height: int, bits: int, compression: int, size: int, masks: bytes = b"") -> bytes:
    """`size`: bytes of all rows."""
    offset = _BMP.size + len(masks)
    return (
        _BMP.pack(
            *(b"BM", offset + size, offset),  # the file
            *(40, width, -height, 1, bits, compression, size),  # this header's length, the picture, one plane
            *(0, 0, 0, 0),  # pixels a metre are not told; no palette
        )
        + masks
    )
