"""What a picture's pixels do not need is left out, and the pixels stay."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferryman_server.media.bare_pictures import bare
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_rules import BadPicture
from tests.server.media import picture_rig as rig

PROFILE: Final = bytes(range(256)) * 800  # four segments of a JPEG


def laden(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """FFmpeg's test picture, saved by Pillow with everything that can go along."""
    exif = Image.Exif()
    exif[0x0112] = 6
    out = BytesIO()
    image = Image.frombytes("RGB", (320, 240), rig.scene()).convert(mode)
    image.save(out, kind, exif=exif, icc_profile=PROFILE, **options)
    return out.getvalue()


def markers(jpeg: bytes) -> list[int]:
    """Those of the segments before a JPEG's pixels."""
    found: list[int] = []
    at = 2
    while not found or found[-1] != 0xDA:
        assert jpeg[at] == 0xFF
        found.append(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return found


def chunks(png: bytes) -> list[bytes]:
    """The names of a PNG's chunks."""
    found, at = [], 8
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        found.append(name)
        at += 12 + length
    return found


@pytest.mark.parametrize(
    ("mode", "options"),
    [("RGB", {}), ("RGB", {"progressive": True}), ("L", {"comment": b"\xff\xda none"}), ("CMYK", {"xmp": b"<x/>"})],
)
def test_a_jpeg_loses_its_metadata_and_nothing_else(mode: str, options: dict[str, Any]) -> None:
    """Exif, colour profile, XMP and comment go; what says how to decode, Adobe's segment too, stays."""
    picture = laden("JPEG", mode, **options)
    stripped = bare(picture, Format.JPEG)
    assert {0xE1, 0xE2} <= set(markers(picture))
    assert not {0xE1, 0xE2, 0xFE} & set(markers(stripped))
    assert (0xEE in markers(stripped)) == (mode == "CMYK")
    assert rig.seen(stripped) == rig.seen(picture)
    assert len(picture) - len(stripped) > len(PROFILE)


def test_a_jpeg_with_fill_bytes_and_junk_is_understood() -> None:
    """Fill bytes and stray ones between segments, which decoders pass over, are passed over."""
    picture = rig.made("mjpeg", pixel_format="yuvj420p")
    filled = picture[:2] + b"\x00\xff\x00\x17\xff\xff\xff" + picture[2:]
    assert rig.seen(bare(filled, Format.JPEG)) == rig.seen(picture)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1"])
def test_a_png_keeps_what_pixels_are_made_of(mode: str) -> None:
    """Header, palette, transparency, data and end stay; texts, profile and Exif go."""
    picture = laden("PNG", mode, transparency=3) if mode in "PL1" else laden("PNG", mode)
    stripped = bare(picture, Format.PNG)
    assert {b"iCCP", b"eXIf"} <= set(chunks(picture))
    assert chunks(stripped) == [name for name in chunks(picture) if name not in (b"iCCP", b"eXIf")]
    assert rig.seen(stripped) == rig.seen(picture)


def test_of_an_animated_png_the_still_picture_stays() -> None:
    """What makes a PNG move is left out, and so is whatever follows its end."""
    out = BytesIO()
    still = Image.frombytes("RGB", (320, 240), rig.scene())
    still.save(out, "PNG", save_all=True, append_images=[Image.new("RGB", (320, 240))])
    stripped = bare(out.getvalue() + b"and more", Format.PNG)
    assert b"fdAT" in chunks(out.getvalue())
    assert set(chunks(stripped)) == {b"IHDR", b"IDAT", b"IEND"}
    assert rig.seen(stripped) == (320, 240, rig.scene())


def test_a_webp_stays_as_it_is() -> None:
    """Nothing is left out of a WebP."""
    picture = rig.made("libwebp", pixel_format="yuv420p")
    assert bare(picture, Format.WEBP) is picture


@given(cut=st.integers(8))
def test_a_cut_png_is_refused_wherever_it_is_cut(cut: int) -> None:
    """Without its last byte a PNG is not whole, and the reason says where it broke off."""
    picture = rig.made("png")
    with pytest.raises(BadPicture, match=r"PNG picture that ends too early, within the chunk at byte \d+"):
        bare(picture[: 8 + cut % (len(picture) - 8)], Format.PNG)


@given(cut=st.integers(0))
def test_a_jpeg_cut_before_its_pixels_is_refused(cut: int) -> None:
    """As long as no scan has begun there is nothing to decode."""
    picture = rig.made("mjpeg", pixel_format="yuvj420p")
    with pytest.raises(BadPicture, match="before its pixels begin"):
        bare(picture[: 3 + cut % (picture.index(b"\xff\xda") - 2)], Format.JPEG)


@pytest.mark.parametrize("segment", [b"\xff\xd9", b"\xff\xd8", b"\xff\xe0\x00\x01", b"\xff\xe0\xff\xff"])
def test_a_jpeg_that_breaks_off_is_refused(segment: bytes) -> None:
    """An end, another beginning or an impossible length before the pixels: whatever follows is not looked at."""
    picture = rig.made("mjpeg", pixel_format="yuvj420p")
    with pytest.raises(BadPicture, match="before its pixels begin"):
        bare(picture[:2] + segment + picture[2:], Format.JPEG)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    """A hundred scans pass; more, which cost their sender ten bytes each and the decoder the whole picture, do not."""
    out = BytesIO()
    Image.new("RGB", (16, 16)).save(out, "JPEG", progressive=True)
    picture = out.getvalue()
    scan, last = b"\xff\xda\x00\x08\x01\x01\x00\x01\x01\x21", picture.rindex(b"\xff\xda")
    more = 100 - picture.count(b"\xff\xda")
    bare(picture[:last] + scan * more + picture[last:], Format.JPEG)
    with pytest.raises(BadPicture, match="JPEG picture of 101 scans; at most 100"):
        bare(picture[:last] + scan * (more + 1) + picture[last:], Format.JPEG)


@given(data=st.binary(max_size=60), format=st.sampled_from([Format.PNG, Format.JPEG]))
def test_whatever_follows_the_first_bytes_no_other_error_is_raised(data: bytes, format: Format) -> None:
    """Any bytes behind a signature are a picture or are refused."""
    start = {Format.PNG: b"\x89PNG\r\n\x1a\n", Format.JPEG: b"\xff\xd8\xff"}[format]
    with suppress(BadPicture):
        assert bare(start + data, format).startswith(start[:2])


def test_what_is_compressed_is_never_unpacked() -> None:
    """A compressed profile, which would take a MiB, is left out as it is."""
    body = b"iCCP" + b"x\0\0" + zlib.compress(bytes(1 << 20))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    picture = rig.made("png")
    assert bare(picture[:33] + chunk + picture[33:], Format.PNG) == bare(picture, Format.PNG)
