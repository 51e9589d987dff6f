"""Posters of images: of every format, upright, on black, small."""

import struct
from typing import Any

import pytest
from PIL import Image

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.facts import facts_of
from ferryman_server.making.poster import poster
from ferryman_server.state.media import Facts
from tests.server.making.media_files_rig import corners, exif, film, named, saved, seen, stored

MOST = 100_000


def made(data: bytes, most: int = MOST) -> Image.Image:
    """The poster of an image."""
    picture = poster(stored(data), "image", most)
    assert len(picture) <= most
    return seen(picture)


def quarters(image: Image.Image) -> list[str]:
    """The colours of its upper left, upper right, lower left and lower right quarter."""
    across, down = (image.width // 4, image.width * 3 // 4), (image.height // 4, image.height * 3 // 4)
    return [named(image.convert("RGB").getpixel((x, y))) for y in down for x in across]


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("JPEG", "RGB", {"quality": 95}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("JPEG", "RGB", {"quality": 95, "progressive": True}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("GIF", "RGB", {}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "LAB", {}),
        ("AVIF", "RGB", {}),
    ],
)
def test_every_format(form: str, mode: str, options: dict[str, Any]) -> None:
    """The poster has the image's colours and, if it is small, its size."""
    image = made(saved(corners().convert(mode), form, **options))
    assert (image.format, image.size) == ("JPEG", (80, 40))
    assert quarters(image) == ["green", "blue", "red", "red"]


UPRIGHT = {
    1: ["green", "blue", "red", "red"],
    2: ["blue", "green", "red", "red"],
    3: ["red", "red", "blue", "green"],
    4: ["red", "red", "green", "blue"],
    5: ["green", "red", "blue", "red"],
    6: ["red", "green", "red", "blue"],
    7: ["red", "blue", "red", "green"],
    8: ["blue", "red", "green", "red"],
}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(form: str, orientation: int) -> None:
    """As Exif says it lies, so it is turned."""
    image = made(saved(corners(), form, exif=exif(orientation)))
    assert image.size == ((40, 80) if orientation > 4 else (80, 40))
    assert quarters(image) == UPRIGHT[orientation]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_large_images_become_small(form: str) -> None:
    """The longer side becomes 640 pixels, the aspect stays."""
    image = made(saved(corners(1600, 800), form))
    assert image.size == (640, 320)
    assert quarters(image) == ["green", "blue", "red", "red"]


@pytest.mark.parametrize(
    ("form", "image", "options"),
    [
        ("PNG", Image.new("RGBA", (9, 9), (255, 255, 255, 0)), {}),
        ("PNG", Image.new("LA", (9, 9), (255, 0)), {}),
        ("WEBP", Image.new("RGBA", (9, 9), (255, 255, 255, 0)), {"lossless": True}),
        ("GIF", Image.new("L", (9, 9), 255), {"transparency": 255}),
        ("TIFF", Image.new("RGBA", (9, 9), (255, 255, 255, 0)), {}),
        ("AVIF", Image.new("RGBA", (9, 9), (255, 255, 255, 0)), {}),
    ],
)
def test_what_is_transparent_lies_on_black(form: str, image: Image.Image, options: dict[str, Any]) -> None:
    """A JPEG has no transparency."""
    assert named(made(saved(image, form, **options)).convert("RGB").getpixel((4, 4))) == "black"


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (Image.new("1", (8, 8), 1), 255),
        (Image.new("L", (8, 8), 77), 77),
        (Image.new("I;16", (8, 8), 0x8042), 0x80),
        (Image.new("F", (8, 8), 0.5), 0),
    ],
)
def test_greys_of_any_depth(image: Image.Image, grey: int) -> None:
    """One bit, eight, sixteen of which the upper eight count; numbers without a meaning have no grey of their own."""
    assert made(saved(image, "TIFF")).convert("L").getpixel((4, 4)) == pytest.approx(grey, abs=1)


def test_numbers_are_spread() -> None:
    """An image of floating-point numbers goes from black to white, whatever they mean."""
    ramp = Image.linear_gradient("L").convert("F").point(lambda value: value * 3.7 - 500.0)
    image = made(saved(ramp, "TIFF")).convert("L")
    assert image.getpixel((128, 0)) == pytest.approx(0, abs=3)
    assert image.getpixel((128, 255)) == pytest.approx(255, abs=3)


def test_of_an_animation_the_first_picture() -> None:
    """The others are not looked at."""
    for form in ("PNG", "GIF", "WEBP"):
        data = saved(corners(), form, save_all=True, append_images=[corners().rotate(180)], duration=100)
        assert quarters(made(data)) == ["green", "blue", "red", "red"]


def test_it_takes_no_more_than_its_room() -> None:
    """Noise is brought into any room there is."""
    noise = Image.effect_noise((700, 700), 90)
    assert made(saved(noise, "PNG"), 20_000).width <= 640
    assert made(saved(noise, "PNG"), 1024).width < 640


def test_what_is_too_large_is_refused() -> None:
    """By its pixels, its sides, or its bytes; nothing of it is decoded."""
    with pytest.raises(CannotMake, match="20000×10000 pixels, 200 million"):
        poster(stored(saved(Image.new("1", (20_000, 10_000)), "PNG")), "image", MOST)
    with pytest.raises(CannotMake, match="no side may be longer than 16384"):
        poster(stored(saved(Image.new("1", (20_000, 10)), "PNG")), "image", MOST)
    file = stored(saved(corners(), "PNG") + bytes(65 << 20))
    with pytest.raises(CannotMake, match="an image of 65 MiB; up to 64 MiB"):
        poster(file, "image", MOST)
    assert file.bytes_read == 0


@pytest.mark.parametrize(("form", "side", "most"), [("WEBP", 5200, 26), ("AVIF", 6000, 33), ("GIF", 8200, 67)])
def test_what_takes_much_memory_may_have_fewer_pixels(form: str, side: int, most: int) -> None:
    """Formats whose decoders take much for each; their size is told all the same."""
    data = bytearray(saved(corners(), form, lossless=True))
    if form == "WEBP":
        data[21:25] = struct.pack("<I", side - 1 | side - 1 << 14)
    elif form == "GIF":
        data[6:10] = struct.pack("<HH", side, side)
    else:
        sides = data.index(b"ispe") + 8
        data[sides : sides + 8] = struct.pack(">II", side, side)
    assert facts_of(stored(bytes(data)), "image") == Facts(width=side, height=side)
    with pytest.raises(CannotMake, match=f"{side}×{side} pixels, .* up to {most} million"):
        poster(stored(bytes(data)), "image", MOST)


@pytest.mark.parametrize(
    "data", [b"", b"GIF", b"<svg/>", b"%PDF-1.7", b"8BPS\0\1", b"\0\0\1\0\1\0\x10\x10", b"II\x2a", b"P6 1 1 255 abc"]
)
def test_other_formats_are_refused(data: bytes) -> None:
    """Drawings, documents, icons and pixel maps are no images here; nor are files of three bytes."""
    with pytest.raises(CannotMake, match="does not begin like PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"):
        poster(stored(data), "image", MOST)


def test_other_kinds_are_refused() -> None:
    """A film is no image, and neither is an image that ends in the middle."""
    with pytest.raises(CannotMake, match="it is no image that can be read"):
        poster(stored(film()), "image", MOST)
    with pytest.raises(CannotMake, match="ends too early"):
        poster(stored(saved(corners(600, 400), "PNG")[:-200]), "image", MOST)
