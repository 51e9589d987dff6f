"""Frames as pictures over HTTP: every format as every other, by suffix and by Accept, small, kept, and refused."""

import asyncio
import builtins
import io
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.types import Message

from ferryman_server.media.entries import DEFLATED, STORED
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.raw_pixels import to_rgb888
from tests.server.media_api_rig import refused
from tests.server.media_rig import HEIGHT, WIDTH, Film, MediaRig, Watched, film, serving_media

FORMATS = ("rgb565le", "rgb565be", "rgb888", "png", "jpeg", "webp")
PICTURES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "bmp": "image/bmp"}
NAMES = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "bmp": "BMP"}  # Pillow's


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[MediaRig]:
    """An application whose store notes what is read of it."""
    async with serving_media(tmp_path, Watched()) as running:
        yield running


def reads(rig: MediaRig) -> list[tuple[int, int]]:
    """What has been read of its store since this was asked last."""
    assert isinstance(rig.store, Watched)
    found, rig.store.reads = rig.store.reads, []
    return found


def opened(content: bytes) -> Image.Image:
    """A picture as Pillow reads it."""
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("suffix", PICTURES)
@pytest.mark.parametrize("format", FORMATS)
async def test_every_format_as_every_picture(rig: MediaRig, format: str, suffix: str) -> None:
    """By its suffix: a picture of the right format and size; a PNG of a raw frame has its pixels exactly."""
    frames = film(format)
    medium = await rig.medium(frames.archive(DEFLATED))
    answer = await rig.get(f"/media/{medium.slug}/frames/1.{suffix}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, PICTURES[suffix])
    assert answer.headers["content-length"] == str(len(answer.content))
    with opened(answer.content) as picture:
        assert (picture.format, picture.size) == (NAMES[suffix], (WIDTH, HEIGHT))
        if format.startswith("rgb") and suffix == "png":
            assert picture.convert("RGB").tobytes() == to_rgb888(frames.contents[1], Format(format), WIDTH, HEIGHT)


async def test_the_fields_of_a_picture(rig: MediaRig) -> None:
    """It is shown in place, has a name and a tag of its own, and no ranges."""
    medium = await rig.medium(film().archive())
    own = await rig.get(f"/media/{medium.slug}/frames/1")
    answer = await rig.get(f"/media/{medium.slug}/frames/1.jpg")
    assert set(answer.headers) == {
        *("content-type", "content-disposition", "content-length", "etag", "last-modified", "cache-control"),
        *("x-content-type-options", "content-security-policy"),
    }
    assert answer.headers["content-disposition"] == 'inline; filename="frame_00001.jpg"'
    assert answer.headers["cache-control"] == "private, no-cache"
    png = await rig.get(f"/media/{medium.slug}/frames/1.png")
    assert len({each.headers["etag"] for each in (own, png, answer)}) == 3
    ranged = await rig.get(f"/media/{medium.slug}/frames/1.jpg", range="bytes=0-1")
    assert (ranged.status_code, ranged.content) == (200, answer.content)


@pytest.mark.parametrize(("format", "suffix"), [("png", "png"), ("jpeg", "jpg"), ("jpeg", "jpeg"), ("webp", "webp")])
async def test_a_pictures_own_suffix_gives_it_as_it_is(rig: MediaRig, format: str, suffix: str) -> None:
    """Byte by byte, with ranges, as without a suffix."""
    frames = film(format)
    medium = await rig.medium(frames.archive())
    answer = await rig.get(f"/media/{medium.slug}/frames/2.{suffix}", range="bytes=3-9")
    assert (answer.status_code, answer.content) == (206, frames.contents[2][3:10])
    assert answer.headers["etag"] == (await rig.get(f"/media/{medium.slug}/frames/2")).headers["etag"]


@pytest.mark.parametrize("format", ["rgb565le", "rgb565be", "rgb888"])
async def test_raw_frames_have_a_suffix_too(rig: MediaRig, format: str) -> None:
    """`.raw` is what lies in the archive, whatever Accept says."""
    frames = film(format)
    medium = await rig.medium(frames.archive())
    answer = await rig.get(f"/media/{medium.slug}/frames/2.raw", accept="image/png")
    assert (answer.status_code, answer.content) == (200, frames.contents[2])


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
async def test_pictures_are_not_had_raw(rig: MediaRig, format: str) -> None:
    """406, which names what there is."""
    medium = await rig.medium(film(format).archive())
    answer = await rig.get(f"/media/{medium.slug}/frames/2.raw")
    detail = refused(answer, 406, "not-acceptable")["detail"]
    assert detail.startswith(
        f"frame 2 of {medium.slug} is to be had as image/{format} (its own bytes, {format}), image"
    )


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/octet-stream"),
        ("*/*", "application/octet-stream"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/png"),
        ("image/webp", "image/webp"),
        ("image/jpeg;q=0.5, image/bmp;q=0.6", "image/bmp"),
    ],
)
async def test_without_a_suffix_accept_decides(rig: MediaRig, accept: str | None, media_type: str) -> None:
    """And the answer says on which fields it depends, also where nothing has changed."""
    medium = await rig.medium(film().archive())
    fields = {} if accept is None else {"accept": accept}
    answer = await rig.get(f"/media/{medium.slug}/frames/0", **fields)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    unchanged = await rig.get(f"/media/{medium.slug}/frames/0", if_none_match=answer.headers["etag"], **fields)
    assert (unchanged.status_code, unchanged.headers["vary"]) == (304, "Accept, Accept-Encoding")


async def test_when_nothing_fits_the_answer_says_what_there_is(rig: MediaRig) -> None:
    """406 with every form, its media type and its suffix."""
    medium = await rig.medium(film().archive())
    answer = await rig.get(f"/media/{medium.slug}/frames/0", accept="text/html, image/gif")
    assert refused(answer, 406, "not-acceptable")["detail"] == (
        "frame 0 of film is to be had as application/octet-stream (its own bytes, rgb565le, .raw), image/png (.png), "
        "image/jpeg (.jpg), image/webp (.webp) and image/bmp (.bmp)"
    )


async def test_conditions_are_answered_before_anything_is_made(rig: MediaRig) -> None:
    """Nothing is read for a client that has the picture already, in this process or from an earlier one."""
    medium = await rig.medium(film().archive())
    url = f"/media/{medium.slug}/frames/1.png"
    etag = (await rig.get(url)).headers["etag"]
    again = await rig.medium(film().archive(), "again.zip")  # the same frames, of which no picture has been made
    reads(rig)
    unchanged = await rig.get(f"/media/{again.slug}/frames/1.png", if_none_match=etag)
    failed = await rig.get(f"/media/{again.slug}/frames/1.png", if_match='"other"')
    assert (unchanged.status_code, unchanged.headers["etag"]) == (304, etag)
    assert failed.status_code == 412
    assert reads(rig) == []


async def test_the_tag_tells_what_the_pixels_mean(rig: MediaRig) -> None:
    """The same bytes with another width, or another order of bytes, are another picture."""
    one = film("rgb565le", 2)
    turned = Film("rgb565le", one.contents, one.height, one.width)
    swapped = Film("rgb565be", one.contents)
    tags = set[str]()
    for n, frames in enumerate((one, turned, swapped)):
        medium = await rig.medium(frames.archive(), f"{n}.zip")
        tags.add((await rig.get(f"/media/{medium.slug}/frames/1.png")).headers["etag"])
    assert len(tags) == 3


async def test_a_picture_is_made_once(rig: MediaRig) -> None:
    """Asked for again, by GET or HEAD, it is there."""
    medium = await rig.medium(film().archive())
    reads(rig)
    url = f"/media/{medium.slug}/frames/1.webp"
    answers = [await rig.get(url) for _ in range(3)]
    told = await rig.get(url, "HEAD")
    assert len({answer.content for answer in answers}) == 1
    assert (told.status_code, told.content, told.headers) == (200, b"", answers[0].headers)
    assert len(reads(rig)) == 1


async def test_head_of_a_picture_that_was_not_made_yet(rig: MediaRig) -> None:
    """It is made for its length."""
    medium = await rig.medium(film().archive())
    told = await rig.get(f"/media/{medium.slug}/frames/1.png", "HEAD")
    answer = await rig.get(f"/media/{medium.slug}/frames/1.png")
    assert (told.status_code, told.content, told.headers) == (200, b"", answer.headers)


async def test_head_has_no_content(rig: MediaRig) -> None:
    """Not even for a server that would send it."""
    medium = await rig.medium(film().archive())
    sent = list[Message]()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: Message) -> None:
        sent.append(message)

    fields = [(b"host", b"127.0.0.1")]
    for name in ("frames/1", "frames/1.png", "frames/0-1.raw", "thumbs/1.jpg"):
        path = f"/media/{medium.slug}/{name}"
        scope = {"type": "http", "method": "HEAD", "path": path, "query_string": b"", "headers": fields}
        await rig.app(scope, receive, send)
    assert [message["status"] for message in sent if "status" in message] == [200] * 4
    assert [message["body"] for message in sent if message.get("body")] == []


async def test_many_at_once_all_get_theirs(rig: MediaRig) -> None:
    """Sixty requests for twenty pictures, each of its own frame."""
    frames = film(count=20)
    medium = await rig.medium(frames.archive(DEFLATED))
    urls = [f"/media/{medium.slug}/frames/{n % 20}.bmp" for n in range(60)]
    answers = await asyncio.gather(*(rig.get(url) for url in urls))
    for n, answer in enumerate(answers):
        assert answer.content.endswith(frames.contents[n % 20])  # a BMP holds RGB565 as it is


@pytest.mark.parametrize("name", ["frames/1.webp", "thumbs/1.jpg"])
async def test_a_damaged_frame_is_named(rig: MediaRig, name: str) -> None:
    """422 says which frame it is and what is wrong with it; its own bytes are to be had all the same."""
    good, half, _ = film("png").contents
    medium = await rig.medium(Film("png", [good, half[:100], good]).archive())
    detail = refused(await rig.get(f"/media/{medium.slug}/{name}"), 422, "unusable-frame")["detail"]
    assert detail.startswith("frame 1 (frame_00001.png): it is a PNG picture ")
    assert (await rig.get(f"/media/{medium.slug}/frames/1.png")).content == half[:100]
    assert (await rig.get(f"/media/{medium.slug}/frames/0.webp")).status_code == 200


async def test_without_pillow_only_what_needs_none(rig: MediaRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """501 says what is missing; own bytes and BMP of RGB565 are served all the same."""
    medium = await rig.medium(film().archive())
    real = builtins.__import__

    def without_pillow(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *rest, **more)

    with monkeypatch.context() as patched:
        for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
            patched.delitem(sys.modules, name)
        patched.setattr(builtins, "__import__", without_pillow)
        for name in ("frames/1.png", "thumbs/1.jpg"):
            answer = await rig.get(f"/media/{medium.slug}/{name}")
            assert "pip install ferryman[media]" in refused(answer, 501, "pictures-unavailable")["detail"]
        for name in ("frames/1", "frames/1.raw", "frames/1.bmp"):
            assert (await rig.get(f"/media/{medium.slug}/{name}")).status_code == 200


class Gated(Watched):
    """A store that hands nothing out before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.gate = threading.Event(), threading.Event()

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """As the store in memory does it, after a while."""
        for piece in super().read(upload_id, start, stop, published=published):
            if start:  # not while the archive is indexed
                self.begun.set()
                self.gate.wait(20)
            yield piece


async def test_a_client_that_leaves_gives_its_picture_up(tmp_path: Path) -> None:
    """It is sent nothing, nothing stays open, and the next one is served."""
    store, sent = Gated(), list[Message]()
    async with serving_media(tmp_path, store) as rig:
        medium = await rig.medium(film().archive())
        path = f"/media/{medium.slug}/frames/1.png"

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        fields = [(b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": fields}
        asked = asyncio.create_task(rig.app(scope, receive, send))
        await asyncio.to_thread(store.begun.wait, 20)
        store.gate.set()
        await asked
        assert sent == []
        assert store.open_reads == 0
        assert (await rig.get(path)).status_code == 200


async def test_a_store_that_fails(rig: MediaRig) -> None:
    """503 with a time to try again, and nothing of it is kept."""
    medium = await rig.medium(film().archive())
    assert isinstance(rig.store, Watched)
    rig.store.fails = True
    answer = await rig.get(f"/media/{medium.slug}/frames/1.png")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    rig.store.fails = False
    assert (await rig.get(f"/media/{medium.slug}/frames/1.png")).status_code == 200
    assert rig.store.open_reads == 0


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [None, 80, 160, 320])
async def test_small_pictures(rig: MediaRig, format: str, size: int | None) -> None:
    """A JPEG with no side above the size that is asked for, 160 if none is, in the shape of the frame."""
    medium = await rig.medium(film(format, 2, 640, 480).archive(STORED))
    query = "" if size is None else f"?size={size}"
    answer = await rig.get(f"/media/{medium.slug}/thumbs/1.jpg{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    side = size or 160
    with opened(answer.content) as picture:
        assert (picture.format, picture.size) == ("JPEG", (side, side * 3 // 4))
    assert len(answer.content) <= (8192 if side < 320 else 32768)
    unchanged = await rig.get(f"/media/{medium.slug}/thumbs/1.jpg{query}", if_none_match=answer.headers["etag"])
    assert unchanged.status_code == 304


async def test_sizes_have_tags_of_their_own(rig: MediaRig) -> None:
    """And other sizes are not made."""
    medium = await rig.medium(film("rgb888", 2, 640, 480).archive())
    url = f"/media/{medium.slug}/thumbs/1.jpg"
    tags = {(await rig.get(f"{url}?size={size}")).headers["etag"] for size in (80, 160, 320)}
    assert len(tags) == 3
    for size in ("0", "81", "1000000", "0160", "", "big", "1" * 5000):
        document = refused(await rig.get(f"{url}?size={size}"), 400, "bad-request")
        assert document["detail"].startswith("size is one of 80, 160 and 320, not '")
        assert len(document["detail"]) < 200
