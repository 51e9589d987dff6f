"""Raw frames become exactly the pixels that FFmpeg sees in them, and BMP files that others read."""

from io import BytesIO
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferryman_server.media.frame_formats import BYTES_A_PIXEL, Format
from ferryman_server.media.picture_rules import BadPicture
from ferryman_server.media.raw_pixels import to_bmp, to_image, to_rgb888
from tests.server.media import picture_rig as rig

RAW: Final = sorted(BYTES_A_PIXEL)
SIDES: Final = st.integers(1, 9)


@st.composite
def frames(draw: st.DrawFn, format: Format) -> tuple[bytes, int, int]:
    """Any small frame, with its width and height."""
    width, height = draw(SIDES), draw(SIDES)
    size = width * height * BYTES_A_PIXEL[format]
    return draw(st.binary(min_size=size, max_size=size)), width, height


def eight_bits(pixel: int) -> bytes:
    """A pixel of 5, 6 and 5 bits by bit replication, as the definition says."""
    red, green, blue = pixel >> 11, pixel >> 5 & 63, pixel & 31
    return bytes([red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2])


def values(data: bytes, format: Format) -> list[int]:
    """The pixels of a frame of 16 bits a pixel."""
    order: Final = "little" if format is Format.RGB565LE else "big"
    return [int.from_bytes(data[at : at + 2], order) for at in range(0, len(data), 2)]


def as_pillow_reads(pixel: int) -> bytes:
    """A pixel of 5, 6 and 5 bits as Pillow's own decoder makes 8 of them."""
    return bytes([(pixel >> 11) * 255 // 31, (pixel >> 5 & 63) * 255 // 63, (pixel & 31) * 255 // 31])


@pytest.mark.parametrize("format", [Format.RGB565LE, Format.RGB565BE])
def test_each_value_becomes_what_ffmpeg_makes_of_it(format: Format) -> None:
    """All 65,536 values of 16 bits are converted as FFmpeg does it, in both byte orders."""
    data = b"".join(value.to_bytes(2, "little") for value in range(65536))
    assert to_rgb888(data, format, 256, 256) == rig.as_rgb888(data, 256, 256, format)


@pytest.mark.parametrize("format", [Format.RGB565LE, Format.RGB565BE])
@given(draw=st.data())
def test_each_pixel_is_converted_by_itself(format: Format, draw: st.DataObject) -> None:
    """In frames of any size each pixel becomes its three bytes, wherever it is."""
    data, width, height = draw.draw(frames(format))
    assert to_rgb888(data, format, width, height) == b"".join(map(eight_bits, values(data, format)))


@given(frame=frames(Format.RGB888))
def test_24_bits_stay_as_they_are(frame: tuple[bytes, int, int]) -> None:
    """Frames of 24 bits stay as they are, as bytes and as an image."""
    data, width, height = frame
    assert to_rgb888(data, Format.RGB888, width, height) is data
    image = to_image(data, Format.RGB888, width, height)
    assert (image.size, image.mode, image.tobytes()) == ((width, height), "RGB", data)


def test_a_usual_frame_becomes_a_bmp_behind_66_bytes() -> None:
    """Little-endian rows of an even width stand in the file as they are."""
    data = bytes(range(16)) * 9600
    bmp = to_bmp(data, Format.RGB565LE, 320, 240)
    assert bmp[:2] == b"BM"
    assert bmp[66:] == data


@pytest.mark.parametrize("format", [Format.RGB565LE, Format.RGB565BE])
@given(draw=st.data())
def test_ffmpeg_reads_the_same_bits_from_a_bmp(format: Format, draw: st.DataObject) -> None:
    """FFmpeg finds the frame's own 16 bits a pixel in its BMP file, for any width and in both byte orders."""
    data, width, height = draw.draw(frames(format))
    read = rig.decoded(to_bmp(data, format, width, height))
    assert (read.width, read.height, read.format.name) == (width, height, "rgb565le")
    swapped = b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))
    assert rig.rows(read, 2) == (data if format is Format.RGB565LE else swapped)


@pytest.mark.parametrize("format", RAW)
@given(draw=st.data())
def test_pillow_reads_a_bmp_back(format: Format, draw: st.DataObject) -> None:
    """Pillow finds the frame's pixels in its BMP file."""
    data, width, height = draw.draw(frames(format))
    bmp = to_bmp(data, format, width, height)
    expected = data if format is Format.RGB888 else b"".join(map(as_pillow_reads, values(data, format)))
    with Image.open(BytesIO(bmp), formats=["BMP"]) as image:
        assert image.size == (width, height)
        assert image.tobytes() == expected
    assert int.from_bytes(bmp[2:6], "little") == len(bmp)


@pytest.mark.parametrize("format", RAW)
@pytest.mark.parametrize("convert", [to_rgb888, to_image, to_bmp])
def test_a_frame_of_another_size_is_refused(format: Format, convert: object) -> None:
    """A byte too few or too many, and the reason says how many there are and how many there should be."""
    assert callable(convert)
    size = 6 * BYTES_A_PIXEL[format]
    for wrong in (size - 1, size + 1, 0):
        with pytest.raises(BadPicture, match=f"it has {wrong} bytes; a frame of 3×2 pixels in {format} has {size}"):
            convert(bytes(wrong), format, 3, 2)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-5, -5), (16385, 1), (1, 16385)])
def test_impossible_sides_are_refused(width: int, height: int) -> None:
    """No side below 1 pixel or above 16,384 is taken, whatever the number of bytes."""
    with pytest.raises(BadPicture, match=f"{width}×{height} pixels are announced"):
        to_bmp(bytes(abs(2 * width * height)), Format.RGB565LE, width, height)


def test_a_picture_is_not_raw() -> None:
    """To ask for the pixels of a compressed frame is a mistake of the program, not of the frame."""
    with pytest.raises(ValueError, match="frames in png are not raw"):
        to_rgb888(b"", Format.PNG, 1, 1)
