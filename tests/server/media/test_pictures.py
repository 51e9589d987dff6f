"""Frames become pictures that others can read, and nothing in a frame does worse than being refused."""

import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from ferryman_server.media.frame_formats import BYTES_A_PIXEL, Format
from ferryman_server.media.pictures import BadPicture, Target, convert, shrunk, thumbnail
from tests.server.media import picture_rig as rig

RAW: Final = sorted(BYTES_A_PIXEL)
PICTURES: Final = {
    Format.PNG: rig.made("png"),
    Format.JPEG: rig.made("mjpeg", pixel_format="yuvj420p"),
    Format.WEBP: rig.made("libwebp", pixel_format="yuv420p"),
}
TARGETS: Final[tuple[Target, ...]] = ("png", "jpeg", "webp", "bmp")
BEGINNINGS: Final = {"png": b"\x89PNG", "jpeg": b"\xff\xd8\xff", "webp": b"RIFF", "bmp": b"BM"}
FAR: Final = {"png": 0, "bmp": 0, "jpeg": 4, "webp": 6}  # how far a conversion may be from the pixels, on average


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image as a file of Pillow's."""
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(picture: bytes) -> Image.Image:
    """A picture as Pillow reads it."""
    image = Image.open(BytesIO(picture))
    image.load()
    return image


def run(program: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("source", RAW)
def test_a_raw_frame_becomes_a_picture(source: Format, to: Target) -> None:
    """FFmpeg reads the frame's own pixels from what was made of it; from JPEG and WebP nearly so."""
    data = pixels = rig.scene()
    if source is not Format.RGB888:
        data = rig.as_rgb565(pixels, 320, 240, source)
        pixels = rig.as_rgb888(data, 320, 240, source)
    picture = convert(data, source, 320, 240, to)
    assert picture.startswith(BEGINNINGS[to])
    width, height, seen = rig.seen(picture)
    assert (width, height) == (320, 240)
    assert rig.difference(seen, pixels) <= FAR[to]


@given(data=st.binary(min_size=70, max_size=70), source=st.sampled_from([Format.RGB565LE, Format.RGB565BE]))
def test_a_png_has_the_very_pixels(data: bytes, source: Format) -> None:
    """Whatever the pixels are, they are those that FFmpeg sees in the raw frame."""
    seen = rig.seen(convert(data, source, 7, 5, "png"))
    assert seen == (7, 5, rig.as_rgb888(data, 7, 5, source))


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("source", PICTURES)
def test_a_picture_becomes_another(source: Format, to: Target) -> None:
    """Every picture format is converted into every other; one that is asked for itself is handed back unseen."""
    data = PICTURES[source]
    picture = convert(data, source, 320, 240, to)
    assert picture.startswith(BEGINNINGS[to])
    assert (picture is data) == (to == source)
    decoders = 0 if source is Format.PNG else 3  # how far two of them differ, in making colours of half the resolution
    assert rig.difference(rig.seen(picture)[2], rig.seen(data)[2]) <= FAR[to] + decoders


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize(("kind", "source"), [("PNG", Format.PNG), ("JPEG", Format.JPEG), ("WEBP", Format.WEBP)])
def test_no_metadata_come_through_and_none_are_applied(kind: str, source: Format, to: Target) -> None:
    """Exif, colour profile and comment are gone, and a picture that Exif says to turn is not turned."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90°
    exif[0x010E] = "a secret place"
    image = Image.frombytes("RGB", (320, 240), rig.scene())
    data = saved(image, kind, exif=exif, icc_profile=b"a secret profile", comment=b"a secret comment")
    assert b"secret" in data
    if to != source:
        picture = opened(convert(data, source, 320, 240, to))
        assert picture.size == (320, 240)
        assert not picture.getexif()
        assert not {"exif", "icc_profile", "comment", "xmp"} & picture.info.keys()
        assert b"secret" not in convert(data, source, 320, 240, to)
    assert b"secret" not in thumbnail(data, source, 320, 240)


HALF: Final = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
HALF.paste((0, 0, 255, 255), (8, 0, 16, 16))
PALETTED: Final = HALF.convert("RGB").quantize(4)


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (saved(HALF, "PNG"), Format.PNG),
        (saved(HALF.convert("LA"), "PNG"), Format.PNG),
        (saved(HALF.convert("RGB"), "PNG", transparency=(255, 255, 255)), Format.PNG),
        (saved(HALF.convert("L"), "PNG", transparency=255), Format.PNG),
        (saved(PALETTED, "PNG", transparency=PALETTED.getpixel((0, 0))), Format.PNG),
        (saved(PALETTED, "PNG", transparency=bytes([9, 255])), Format.PNG),
        (saved(HALF, "WEBP", lossless=True, exact=True), Format.WEBP),
    ],
    ids=["RGBA", "grey and alpha", "a colour", "a grey", "a palette's colour", "a palette's alphas", "WebP"],
)
def test_transparency_is_kept_or_lies_on_black(data: bytes, source: Format) -> None:
    """PNG and WebP keep what can be seen through; in JPEG and BMP it is black, and white beneath it is not seen."""
    for to in TARGETS:
        picture = opened(convert(data, source, 16, 16, to)).convert("RGBA")
        left, right = picture.getpixel((3, 8)), picture.getpixel((12, 8))
        assert isinstance(left, tuple)
        assert isinstance(right, tuple)
        assert right[3] == 255
        if to in ("png", "webp"):
            assert left[3] < 40
        else:
            assert max(left[:3]) < 40
            assert left[3] == 255
    small = shrunk(data, source, 16, 16, (8, 8))
    assert small.mode in ("L", "RGB")
    first = small.convert("L").getpixel((1, 4))
    assert isinstance(first, int | float)
    assert first < 40


@pytest.mark.parametrize(
    ("mode", "kind", "source"),
    [
        ("1", "PNG", Format.PNG),
        ("L", "PNG", Format.PNG),
        ("P", "PNG", Format.PNG),
        ("I;16", "PNG", Format.PNG),
        ("L", "JPEG", Format.JPEG),
        ("CMYK", "JPEG", Format.JPEG),
    ],
)
def test_pictures_of_every_kind_are_shown(mode: str, kind: str, source: Format) -> None:
    """One bit, grey, a palette, 16 bits, the colours of print: all look like what FFmpeg, or the eye, sees in them."""
    image = Image.frombytes("RGB", (320, 240), rig.scene())
    if mode == "I;16":  # the upper byte of each is the grey, the lower one anything
        grey = image.convert("L").tobytes()
        image = Image.frombytes("I;16", image.size, b"".join(bytes([255 - value, value]) for value in grey))
        expected = Image.frombytes("L", image.size, grey).convert("RGB").tobytes()
    else:
        image = image.convert(mode)
        expected = image.convert("RGB").tobytes()
    data = saved(image, kind, **({"quality": 95} if kind == "JPEG" else {}))
    for to in TARGETS:
        if to != source:
            assert rig.difference(rig.seen(convert(data, source, 320, 240, to))[2], expected) < 6, to
    assert rig.seen(thumbnail(data, source, 320, 240))[:2] == (160, 120)


@pytest.mark.parametrize(("kind", "source"), [("PNG", Format.PNG), ("WEBP", Format.WEBP)])
def test_of_an_animation_the_first_image_is_shown(kind: str, source: Format) -> None:
    """What follows it does not matter."""
    first, second = Image.new("RGB", (16, 16), (255, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 255))
    data = saved(first, kind, save_all=True, append_images=[second], lossless=True)
    assert opened(convert(data, source, 16, 16, "bmp")).getpixel((8, 8)) == (255, 0, 0)


@pytest.mark.parametrize("source", PICTURES)
def test_a_picture_of_another_size_is_refused(source: Format) -> None:
    """The reason says both sizes."""
    for width, height in ((240, 320), (320, 241), (1, 1)):
        with pytest.raises(BadPicture, match=f"it has 320×240 pixels, where {width}×{height} are announced"):
            convert(PICTURES[source], source, width, height, "bmp")
        with pytest.raises(BadPicture, match="it has 320×240 pixels"):
            thumbnail(PICTURES[source], source, width, height)


def test_a_picture_of_another_format_is_refused() -> None:
    """Only the announced decoder may have it, and the reason names both formats."""
    with pytest.raises(BadPicture, match="it is a PNG picture, where JPEG is announced"):
        thumbnail(PICTURES[Format.PNG], Format.JPEG, 320, 240)
    for nothing in (b"", b"GIF89a" + bytes(100), b"BM" + bytes(100)):
        with pytest.raises(BadPicture, match="it is no WebP picture, or its header is damaged"):
            convert(nothing, Format.WEBP, 320, 240, "png")


@pytest.mark.parametrize("source", PICTURES)
@given(share=st.floats(0, 0.98))
@settings(max_examples=40)
def test_a_cut_picture_is_refused(source: Format, share: float) -> None:
    """Wherever it was cut, it is not shown half."""
    data = PICTURES[source]
    cut = data[: int(len(data) * share)]
    with pytest.raises(BadPicture, match="it is"):
        convert(cut, source, 320, 240, "bmp")
    with pytest.raises(BadPicture, match="it is"):
        thumbnail(cut, source, 320, 240)


@pytest.mark.parametrize("source", PICTURES)
@given(changes=st.lists(st.tuples(st.integers(0), st.binary(max_size=4)), min_size=1, max_size=4), near=st.booleans())
def test_a_damaged_picture_is_shown_or_refused(source: Format, changes: list[tuple[int, bytes]], near: bool) -> None:
    """Whatever bytes are changed, at the beginning or anywhere, there is a picture or a reason, and no other error."""
    data = bytearray(PICTURES[source])
    for at, piece in changes:
        at %= 200 if near else len(data)
        data[at : at + len(piece)] = piece
    try:
        made = thumbnail(bytes(data), source, 320, 240)
    except BadPicture as error:
        made = None
        reason = error.reason
    assert made is None or rig.seen(made)[:2] == (160, 120)
    assert made is not None or re.match("it (is|has) ", reason)


def test_a_picture_that_claims_to_be_vast_is_never_decoded() -> None:
    """Of a few bytes that announce billions of pixels none is allocated, whatever metadata.json says of them."""
    bomb = saved(Image.new("1", (20000, 20000)), "PNG")
    with pytest.raises(BadPicture, match="it has 20000×20000 pixels, where 320×240"):
        thumbnail(bomb, Format.PNG, 320, 240)
    with pytest.raises(BadPicture, match="20000×20000 pixels are announced; each side must be from 1 to 16384"):
        thumbnail(bomb, Format.PNG, 20000, 20000)


def test_a_webp_that_is_too_large_to_decode_is_refused_for_that() -> None:
    """Pillow has a limit of its own for WebP; the reason is not that the picture were damaged."""
    sides = (16000 - 1 | 16000 - 1 << 14).to_bytes(4, "little")
    claim = b"RIFF" + (20).to_bytes(4, "little") + b"WEBPVP8L" + (8).to_bytes(4, "little") + b"\x2f" + sides + bytes(3)
    with pytest.raises(BadPicture, match="it is a WebP picture too large to be decoded here"):
        thumbnail(claim, Format.WEBP, 16000, 16000)


def test_a_large_picture_is_shown_without_a_warning() -> None:
    """One of 100 megapixels, above which Pillow warns of bombs, is nothing special where it is announced."""
    data = saved(Image.new("L", (16384, 6104), 200), "JPEG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(thumbnail(data, Format.JPEG, 16384, 6104)).size == (160, 60)


def test_webp_has_its_own_largest_size() -> None:
    """A frame that WebP cannot hold is refused for it, with another format named."""
    with pytest.raises(BadPicture, match="16384×1 pixels are too many for WebP, whose sides end at 16383: ask for PNG"):
        convert(bytes(16384 * 3), Format.RGB888, 16384, 1, "webp")
    assert opened(convert(bytes(16383 * 3), Format.RGB888, 16383, 1, "webp")).size == (16383, 1)


@pytest.mark.parametrize("source", [Format.RGB888, *PICTURES])
def test_a_thumbnail_looks_like_the_frame(source: Format) -> None:
    """It is the frame in small, as FFmpeg makes it by averaging."""
    data = PICTURES.get(source, rig.scene())
    width, height, seen = rig.seen(thumbnail(data, source, 320, 240))
    assert (width, height) == (160, 120)
    assert rig.difference(seen, rig.shrunk(rig.scene(), 320, 240, 160, 120)) < 8


@pytest.mark.parametrize("noise", [False, True])
@given(width=st.integers(1, 90), height=st.integers(1, 90), box=st.tuples(st.integers(1, 70), st.integers(1, 70)))
@settings(max_examples=50)
def test_a_thumbnail_keeps_to_its_box_and_its_bytes(noise: bool, width: int, height: int, box: tuple[int, int]) -> None:
    """It is never larger than box, frame or bytes allow, even of noise, and its aspect is the frame's to a pixel."""
    data = (rig.made("png") * 4)[: width * height * 3] if noise else bytes(width * height * 3)
    made = thumbnail(data, Format.RGB888, width, height, box, most=1024)
    assert len(made) <= 1024
    wide, high = opened(made).size
    assert wide <= min(width, box[0])
    assert high <= min(height, box[1])
    if not noise:  # a single colour takes so few bytes that it need not be made smaller for them
        scale = min(1, box[0] / width, box[1] / height)
        assert abs(wide - max(1, width * scale)) <= 1
        assert abs(high - max(1, height * scale)) <= 1


def test_a_thumbnail_gives_up_quality_before_size() -> None:
    """The fewer bytes it may take, the fewer it takes; it becomes smaller only where quality no longer helps."""
    sizes = []
    for most in (8192, 4096, 3072, 1024):
        made = thumbnail(PICTURES[Format.PNG], Format.PNG, 320, 240, most=most)
        assert len(made) <= most
        sizes.append(opened(made).size)
    assert sizes[0] == sizes[1] == (160, 120)
    assert sizes[3] < sizes[0]
    assert sizes == sorted(sizes, reverse=True)


def test_an_impossible_thumbnail_is_a_mistake_of_the_program() -> None:
    """Too few bytes for any picture, or a box without room, are not asked of a frame."""
    with pytest.raises(ValueError, match="cannot always be brought into 1023 bytes; 1024 are the least"):
        thumbnail(bytes(3), Format.RGB888, 1, 1, most=1023)
    with pytest.raises(ValueError, match="a box of 5×0 pixels has no room"):
        thumbnail(bytes(3), Format.RGB888, 1, 1, box=(5, 0))


def test_nothing_of_pillows_is_changed() -> None:
    """Limits that hold for the whole process, and Python's warnings, are as they were; and so are Pillow's formats."""
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, list(warnings.filters))
    for source, data in PICTURES.items():
        for to in TARGETS:
            convert(data, source, 320, 240, to)
        with pytest.raises(BadPicture):
            thumbnail(data[:-99], source, 320, 240)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK, warnings.filters)


def test_many_threads_at_once_make_the_same_pictures() -> None:
    """What eight threads make side by side is what one makes alone."""
    tasks = [(data, source, to) for source, data in PICTURES.items() for to in TARGETS] * 4

    def make(task: tuple[bytes, Format, Target]) -> tuple[bytes, bytes]:
        data, source, to = task
        return convert(data, source, 320, 240, to), thumbnail(data, source, 320, 240)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(make, tasks)) == list(map(make, tasks))


MODULES: Final = """
import sys
from ferryman_server.media import contact_sheet, pictures, raw_pixels
from ferryman_server.media.frame_formats import Format
def raised(call, *args):
    try:
        call(*args)
    except pictures.PicturesMissing as error:
        return str(error)
"""


def test_pillow_is_loaded_by_the_first_use_alone() -> None:
    """Neither the modules nor a BMP of RGB565 nor a frame in its own format load it, and of its formats only those that
    are used are loaded."""
    assert run(
        MODULES
        + """
raw_pixels.to_bmp(bytes(4), Format.RGB565BE, 2, 1)
pictures.convert(b"unseen", Format.PNG, 1, 1, "png")
print("PIL" in sys.modules)
pictures.convert(bytes(4), Format.RGB565LE, 2, 1, "webp")
print("PIL" in sys.modules, "PIL.TiffImagePlugin" in sys.modules)
"""
    ).split() == ["False", "True", "False"]


def test_the_first_use_may_be_by_many_threads_at_once() -> None:
    """None of them sees half a Pillow."""
    printed = run(
        MODULES
        + """
import threading
start, made = threading.Barrier(8), []
def first(to):
    start.wait()
    made.append(pictures.convert(bytes(range(192)), Format.RGB888, 8, 8, to)[:2])
threads = [threading.Thread(target=first, args=(to,)) for to in ("png", "jpeg", "webp", "bmp") * 2]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(made))
"""
    )
    assert printed.strip() == str(sorted([b"\x89P", b"\xff\xd8", b"RI", b"BM"] * 2))


def test_without_pillow_every_picture_says_what_to_install() -> None:
    """The modules load, a BMP of RGB565 can be had, and all else names the command."""
    printed = run(
        "import sys; sys.modules['PIL'] = None"
        + MODULES
        + """
frame = bytes(4), Format.RGB565LE, 2, 1
print(len(pictures.convert(*frame, "bmp")), pictures.convert(*frame, "rgb565le") == frame[0])
for call, *args in (
    (pictures.convert, *frame, "png"),
    (pictures.convert, bytes(3), Format.RGB888, 1, 1, "bmp"),
    (pictures.thumbnail, *frame),
    (raw_pixels.to_rgb888, *frame),
    (contact_sheet.contact_sheet, [frame[0]], *frame[1:], 1),
):
    print(raised(call, *args))
"""
    ).splitlines()
    assert printed[0] == "70 True"
    assert printed[1:] == ["this server cannot make pictures, Pillow is missing: pip install ferryman[media]"] * 5
