"""The size of a picture is known from its first bytes, in whatever pieces they come."""

import io
import tracemalloc
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_size import PictureSize, Sizer

PADDED_EXIF: Final = b"Exif\0\0MM\0*\0\0\0\x08" + bytes(65_000)
FRAME_HEADER: Final = b"\xff\xc0\0\x11\x08\0\3\0\4" + bytes(10)  # of a JPEG, 4 × 3
COLOUR_PROFILE: Final = bytes(range(256)) * 800  # four APP2 segments


def oriented() -> Image.Exif:
    """Exif that says: turn it by 90°."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def picture(kind: str, mode: str, size: tuple[int, int], **options: Any) -> bytes:
    """A real picture, made by Pillow."""
    made = io.BytesIO()
    Image.new(mode, size, 1).save(made, kind, **options)
    return made.getvalue()


PICTURES: Final[dict[str, tuple[str, str, tuple[int, int], dict[str, Any]]]] = {
    "png": ("png", "RGB", (320, 240), {}),
    "png, palette": ("png", "P", (1, 1), {}),
    "png, grey and wide": ("png", "L", (5000, 1), {}),
    "png, transparent": ("png", "RGBA", (3, 77), {}),
    "jpeg": ("jpeg", "RGB", (320, 240), {}),
    "jpeg, grey and high": ("jpeg", "L", (1, 5000), {}),
    "jpeg, progressive": ("jpeg", "RGB", (641, 479), {"progressive": True}),
    "jpeg, cmyk": ("jpeg", "CMYK", (17, 16), {"optimize": True}),
    "jpeg, large exif": ("jpeg", "RGB", (320, 200), {"exif": PADDED_EXIF}),
    "jpeg, turned by exif": ("jpeg", "RGB", (320, 200), {"exif": oriented()}),
    "jpeg, colour profile and comment": (
        "jpeg",
        "RGB",
        (20, 10),
        {"icc_profile": COLOUR_PROFILE, "exif": PADDED_EXIF, "comment": b"\xff\xc0 no header \xff\xd9"},
    ),
    "webp": ("webp", "RGB", (320, 240), {}),
    "webp, lossless": ("webp", "RGB", (16_383, 3), {"lossless": True}),
    "webp, lossless and transparent": ("webp", "RGBA", (5, 6000), {"lossless": True}),
    "webp, extended": ("webp", "RGBA", (300, 20), {"exif": oriented()}),
    "webp, moving": ("webp", "RGB", (31, 32), {"save_all": True, "append_images": [Image.new("RGB", (31, 32), 9)]}),
}


@cache
def made(name: str) -> bytes:
    """One of PICTURES; made once."""
    kind, mode, size, options = PICTURES[name]
    return picture(kind, mode, size, **options)


def expected(name: str) -> PictureSize:
    """What a Sizer has to tell of it."""
    kind, _, (width, height), _ = PICTURES[name]
    return PictureSize(Format(kind), width, height)


def told(pieces: Sequence[bytes | memoryview]) -> tuple[bool, PictureSize | None]:
    """What a Sizer knows after these pieces."""
    sizer = Sizer()
    for piece in pieces:
        assert sizer.feed(piece) is sizer.done
    return sizer.done, sizer.size


def cut(data: bytes, places: Sequence[int]) -> list[memoryview]:
    """The data in pieces; some may be empty."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [memoryview(data)[start:end] for start, end in pairwise(bounds)]


@pytest.mark.parametrize("name", PICTURES)
def test_real_pictures(name: str) -> None:
    """Every kind that Pillow writes is told at once, as it is stored, whatever an Exif orientation says."""
    assert told([made(name)]) == (True, expected(name))
    with Image.open(io.BytesIO(made(name))) as opened:
        assert opened.size == PICTURES[name][2]


@pytest.mark.parametrize("name", PICTURES)
def test_byte_by_byte(name: str) -> None:
    """Single bytes give the same answer, and before the last byte that counts there is none."""
    sizer, data = Sizer(), made(name)
    fed = 0
    while not sizer.done:
        assert sizer.size is None
        sizer.feed(data[fed : fed + 1])
        fed += 1
    assert sizer.size == expected(name)
    assert told([data[: fed - 1]]) == (False, None)
    assert told([data[:fed]]) == (True, expected(name))


def test_it_is_told_as_soon_as_it_can_be() -> None:
    """A PNG with its 24th byte, a WebP within 30, a JPEG with the sizes in its frame header."""
    assert told([made("png")[:24]]) == (True, expected("png"))
    assert told([made("webp")[:30]]) == (True, expected("webp"))
    assert told([made("webp, lossless")[:25]]) == (True, expected("webp, lossless"))
    assert told([made("webp, extended")[:30]]) == (True, expected("webp, extended"))
    header = made("jpeg").index(b"\xff\xc0")
    assert told([made("jpeg")[: header + 9]]) == (True, expected("jpeg"))


@given(name=st.sampled_from(sorted(PICTURES)), places=st.lists(st.integers(0, 2**20), max_size=20))
def test_cuts_do_not_matter(name: str, places: list[int]) -> None:
    """However a picture is cut, the answer is that for the whole."""
    assert told(cut(made(name), places)) == (True, expected(name))


@given(
    name=st.sampled_from(sorted(PICTURES)),
    spoiled=st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=4)), max_size=4),
    places=st.lists(st.integers(0, 200), max_size=5),
)
def test_spoiled_pictures_have_one_answer(name: str, spoiled: list[tuple[int, bytes]], places: list[int]) -> None:
    """Whatever is wrong in a picture's head, nothing is raised, and cuts do not matter."""
    data = bytearray(made(name)[:200])
    for at, stranger in spoiled:
        data[at : at + len(stranger)] = stranger
    assert told(cut(bytes(data), places)) == told([bytes(data)])


@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"RIFF1234WEBP", b"RIFF1234WEBPVP8 ", b"\x89PNG\r\n\x1a\n"]),
    rest=st.binary()
    | st.text(alphabet="\xff\xc0\xc4\xd0\xd8\xe0\0\1\2", max_size=60).map(lambda t: t.encode("latin-1")),
    places=st.lists(st.integers(0, 100), max_size=4),
)
def test_any_bytes_have_one_answer(start: bytes, rest: bytes, places: list[int]) -> None:
    """Hostile bytes are no picture or one with sides from 1; nothing is raised, and cuts do not matter."""
    done, size = told([start + rest])
    assert told(cut(start + rest, places)) == (done, size)
    assert size is None or (done and size.width >= 1 and size.height >= 1)


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + bytes(20),
        b"BM" + bytes(60),
        b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI" + bytes(30),  # Apple's own: no other reader takes it
        b"\x89PNG\n\x1a\n" + bytes(30),  # carried through a transfer in text mode
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(30),
        b"RIFF\x24\0\0\0WEBPANIM" + bytes(30),
        b"RIFX\x24\0\0\0WEBPVP8L\0\0\0\0\x2f" + bytes(30),
        b"RIFF\x24\0\0\0WEBPVP8L\0\0\0\0\x2e" + bytes(30),
        b"RIFF\x24\0\0\0WEBPVP8 \0\0\0\0\1\0\0\x9d\x01\x2a\5\0\5\0",  # not a key frame
        b"RIFF\x24\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2b\5\0\5\0",
        b"\xff\xd8\xff\xd8" + FRAME_HEADER,
        b"\xff\xd8\xff\xd9" + FRAME_HEADER,
        b"\xff\xd8\xff\xda\0\2" + FRAME_HEADER,
        b"\xff\xd8\xff\xe0\0\1" + bytes(30),  # a segment shorter than its own length
        b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\5" + bytes(30),  # its height comes later (DNL): nobody reads these
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\5" + bytes(30),
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\x80\0\0\0\0\0\0\5" + bytes(30),
    ],
)
def test_what_is_none_of_these_is_told(data: bytes) -> None:
    """Other files, and pictures that nobody could show, are told to be none as soon as it shows."""
    assert told([data]) == (True, None)


def test_the_first_wrong_byte_ends_it() -> None:
    """Other files need three bytes, not the length of a header."""
    assert told([b"# R"]) == (True, None)
    assert told([b"\xff\xd8"]) == (False, None)


@pytest.mark.parametrize("between", [b"", b"\xff" * 500, b"\xff\xd0\xff\x01", b"stray", b"stray\xff\0stray", b"\0"])
def test_what_stands_between_segments_is_passed_over(between: bytes) -> None:
    """Fill bytes, markers without a length and stray bytes come before a marker in real files."""
    data = made("jpeg")
    after_first = 4 + int.from_bytes(data[4:6], "big")
    assert told([data[:after_first] + between + data[after_first:]]) == (True, expected("jpeg"))


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xc4\0\7\0\1\1\1\1",  # DHT, JPG and DAC stand among the numbers of frame headers
        b"\xff\xc8\0\7\0\1\1\1\1",
        b"\xff\xcc\0\7\0\1\1\1\1",
        b"\xff\xdb\0\2",
        b"\xff\xfe\0\3\xff\xd9",  # a comment of one byte, and a stray one
        b"\xff\xe1\0\x0d" + FRAME_HEADER[:11],
    ],
)
def test_other_segments_are_no_frame_headers(segment: bytes) -> None:
    """Whatever is in them, they are passed over by their length."""
    assert told([b"\xff\xd8" + segment + FRAME_HEADER]) == (True, PictureSize(Format.JPEG, 4, 3))


@pytest.mark.parametrize("marker", [*range(0xC0, 0xC4), 0xC5, 0xC6, 0xC7, *range(0xC9, 0xCC), 0xCD, 0xCE, 0xCF])
def test_every_kind_of_jpeg(marker: int) -> None:
    """Baseline, progressive, lossless, arithmetic: all have the same frame header."""
    data = b"\xff\xd8" + FRAME_HEADER.replace(b"\xc0", bytes([marker]))
    assert told([data]) == (True, PictureSize(Format.JPEG, 4, 3))


def test_how_to_scale_a_webp_is_no_part_of_its_size() -> None:
    """The two highest bits of either side are a hint for showing it."""
    data = bytearray(made("webp"))
    data[27] |= 0xC0
    data[29] |= 0x80
    assert told([bytes(data)]) == (True, expected("webp"))


def test_the_work_is_bounded() -> None:
    """A JPEG made of nothing but empty segments, fill or stray bytes is given up long before its end."""
    for endless in (b"\xff\xe0\0\2", b"\xff", b"\xff\0", b"a"):
        assert told([b"\xff\xd8\xff\xe0\0\2" + endless * 10_000]) == (True, None)


def test_nothing_is_held_of_what_comes_before_the_size() -> None:
    """Megabytes of Exif and profiles pass without being kept."""
    data = made("jpeg")
    data = data[:2] + (b"\xff\xe1\xff\xff" + bytes(65_533)) * 100 + data[2:]
    pieces = [memoryview(data)[at : at + 1000] for at in range(0, len(data), 1000)]
    sizer = Sizer()
    tracemalloc.start()
    try:
        for piece in pieces:
            sizer.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sizer.size == expected("jpeg")
    assert peak < len(data) // 100  # what other threads of the tests' process do counts too


def test_more_bytes_change_nothing() -> None:
    """Whoever goes on feeding is told the same."""
    sizer = Sizer()
    sizer.feed(made("png"))
    assert sizer.feed(made("jpeg"))
    assert sizer.size == expected("png")
