"""Frames over HTTP: every format out of every packing, byte by byte as in the archive; ranges, conditions, gzip."""

import asyncio
import gzip
import io
import zipfile
import zlib
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from starlette.types import Message

from ferryman_server.media.entries import DEFLATED, STORED, ZSTD
from tests.server.media_rig import METHODS, MediaRig, Watched, film, serving_media

FORMATS = ("rgb565le", "rgb565be", "rgb888", "png", "jpeg", "webp")
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
GZIP = "gzip, deflate, br"
by_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[MediaRig]:
    """An application whose store notes what is read of it."""
    async with serving_media(tmp_path, Watched()) as running:
        yield running


def watched(rig: MediaRig) -> Watched:
    """Its store, with the notes so far forgotten."""
    assert isinstance(rig.store, Watched)
    rig.store.reads.clear()
    return rig.store


@by_method
@pytest.mark.parametrize("format", FORMATS)
async def test_a_frame_is_what_lies_in_the_archive(tmp_path: Path, format: str, method: int) -> None:
    """Each frame's own bytes come out of a folder as they went into the archive, in whatever way it is packed."""
    frames = film(format)
    async with serving_media(tmp_path) as rig:
        medium = await rig.medium(frames.archive(method))
        for n, content in enumerate(frames.contents):
            answer = await rig.get(f"/media/{medium.slug}/frames/{n}")
            assert (answer.status_code, answer.content == content) == (200, True)
            assert answer.headers["content-length"] == str(len(content))
            assert answer.headers["content-type"] == TYPES.get(format, "application/octet-stream")
            assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
async def test_what_python_has_packed_comes_out_as_python_reads_it(rig: MediaRig, method: int) -> None:
    """Every frame of an archive that zipfile has written is what zipfile reads from it, plain and as gzip."""
    out, frames = io.BytesIO(), film(count=20)
    with zipfile.ZipFile(out, "w", method) as files:
        for n, content in enumerate(frames.contents):
            files.writestr(f"frames/{n}.rgb", content)
        files.writestr("metadata.json", '{"width": 32, "height": 24, "format": "rgb565le", "fps": 25}')
    medium = await rig.medium(out.getvalue())
    with zipfile.ZipFile(out) as files:
        for n in range(20):
            content = files.read(f"frames/{n}.rgb")
            assert (await rig.get(f"/media/{medium.slug}/frames/{n}.raw")).content == content
            coded = await rig.get(f"/media/{medium.slug}/frames/{n}.raw", accept_encoding="gzip")
            assert (gzip.decompress(coded.content) if method else coded.content) == content


async def test_the_fields_of_a_frame(rig: MediaRig) -> None:
    """What it is, that it may be kept only if it is asked for again, and that it runs nothing."""
    frames = film()
    medium = await rig.medium(frames.archive(DEFLATED))
    answer = await rig.get(f"/media/{medium.slug}/frames/1")
    content = frames.contents[1]
    assert dict(answer.headers) == {
        "content-type": "application/octet-stream",
        "content-disposition": 'attachment; filename="frame_00001.raw"',
        "content-length": str(len(content)),
        "accept-ranges": "bytes",
        "etag": f'"{zlib.crc32(content):08x}-{len(content):x}"',
        "last-modified": formatdate(int(medium.published_at), usegmt=True),
        "cache-control": "private, no-cache",
        "vary": "Accept, Accept-Encoding",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }


async def test_pictures_are_shown_in_place_and_raw_frames_are_not(rig: MediaRig) -> None:
    """A browser shows what it can show, under the name that the file has in the archive."""
    medium = await rig.medium(film("png").archive())
    answer = await rig.get(f"/media/{medium.slug}/frames/1.png")
    assert answer.headers["content-disposition"] == 'inline; filename="frame_00001.png"'
    assert "vary" not in answer.headers


@by_method
async def test_ranges(rig: MediaRig, method: int) -> None:
    """Any range of a frame is that slice of it, with its place, and never coded."""
    frames = film()
    medium = await rig.medium(frames.archive(method))
    url, content = f"/media/{medium.slug}/frames/2", frames.contents[2]
    size = len(content)
    for wanted, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, size),
        ("bytes=700-1100", 700, 1101),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=-5", size - 5, size),
        ("bytes=1000-99999", 1000, size),
    ):
        answer = await rig.get(url, range=wanted, accept_encoding=GZIP)
        assert (answer.status_code, answer.content == content[start:stop]) == (206, True), wanted
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert answer.headers["content-length"] == str(stop - start)
        assert "content-encoding" not in answer.headers
    beyond = await rig.get(url, range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    several = await rig.get(url, range="bytes=0-1,5-6")
    assert (several.status_code, several.content == content) == (200, True)


async def test_of_a_stored_frame_only_what_is_asked_for_is_read(rig: MediaRig) -> None:
    """Straight out of the archive, one read of the store."""
    frames = film()
    data = frames.archive(STORED)
    medium = await rig.medium(data)
    begin = data.index(frames.contents[1])
    store = watched(rig)
    await rig.get(f"/media/{medium.slug}/frames/1")
    await rig.get(f"/media/{medium.slug}/frames/1", range="bytes=10-19")
    assert store.reads == [(begin, begin + len(frames.contents[1])), (begin + 10, begin + 20)]


async def test_a_deflated_frame_goes_out_as_gzip(rig: MediaRig) -> None:
    """With its own tag, its own length, no ranges; the bytes of the archive are in it as they are."""
    frames = film()
    data = frames.archive(DEFLATED)
    medium = await rig.medium(data)
    url = f"/media/{medium.slug}/frames/1"
    plain = await rig.get(url)
    coded = await rig.get(url, accept_encoding=GZIP)
    assert (coded.status_code, coded.headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(coded.content) == plain.content == frames.contents[1]
    assert coded.content[10:-8] in data
    assert coded.headers["content-length"] == str(len(coded.content))
    assert coded.headers["etag"] != plain.headers["etag"]
    assert coded.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding"
    assert "accept-ranges" not in coded.headers
    assert coded.headers["content-type"] == plain.headers["content-type"]


async def test_what_an_answer_depends_on_is_said_by_each_of_its_forms(rig: MediaRig) -> None:
    """A cache that has one form of a deflated frame must not take it for the others; of a stored one there is one."""
    deflated = await rig.medium(film().archive(DEFLATED), "deflated.zip")
    stored = await rig.medium(film().archive(STORED), "stored.zip")
    for fields in ({}, {"accept_encoding": GZIP}, {"range": "bytes=0-1"}):
        answer = await rig.get(f"/media/{deflated.slug}/frames/1.raw", **fields)
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
        assert "vary" not in (await rig.get(f"/media/{stored.slug}/frames/1.raw", **fields)).headers


@pytest.mark.parametrize("method", [STORED, ZSTD], ids=["stored", "zstd"])
async def test_other_frames_are_not_coded(rig: MediaRig, method: int) -> None:
    """Only what lies there as deflate costs nothing as gzip."""
    frames = film()
    medium = await rig.medium(frames.archive(method))
    answer = await rig.get(f"/media/{medium.slug}/frames/1", accept_encoding=GZIP)
    assert "content-encoding" not in answer.headers
    assert answer.content == frames.contents[1]


async def test_a_browser_sees_nothing_of_the_coding(rig: MediaRig) -> None:
    """A client that undoes codings by itself gets the frame."""
    frames = film()
    medium = await rig.medium(frames.archive(DEFLATED))
    answer = await rig.client.get(f"/media/{medium.slug}/frames/0", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == frames.contents[0]


@pytest.mark.parametrize("accept_encoding", ["identity", GZIP], ids=["plain", "gzip"])
async def test_conditions(rig: MediaRig, accept_encoding: str) -> None:
    """Each form has a tag that is found again, by it or by its date; then nothing is read."""
    medium = await rig.medium(film().archive(DEFLATED))
    url = f"/media/{medium.slug}/frames/1"
    answer = await rig.get(url, accept_encoding=accept_encoding)
    etag, modified = answer.headers["etag"], answer.headers["last-modified"]
    store = watched(rig)

    async def asked(**fields: str) -> httpx.Response:
        return await rig.get(url, accept_encoding=accept_encoding, **fields)

    for unchanged in (await asked(if_none_match=etag), await asked(if_modified_since=modified)):
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == etag
        assert unchanged.headers["vary"] == "Accept, Accept-Encoding"
    failed = await asked(if_match='"other"')
    assert (failed.status_code, failed.json()["type"]) == (412, "urn:ferryman:problem:precondition-failed")
    assert store.reads == []
    for changed in (await asked(if_none_match='"other"'), await asked(if_match=etag)):
        assert (changed.status_code, changed.content) == (200, answer.content)


async def test_the_tags_of_two_forms_are_not_taken_for_each_other(rig: MediaRig) -> None:
    """Who has the plain bytes and asks for gzip does not hear that nothing has changed, nor the other way round."""
    medium = await rig.medium(film().archive(DEFLATED))
    url = f"/media/{medium.slug}/frames/1"
    plain, coded = await rig.get(url), await rig.get(url, accept_encoding="gzip")
    assert (await rig.get(url, accept_encoding="gzip", if_none_match=plain.headers["etag"])).status_code == 200
    assert (await rig.get(url, if_none_match=coded.headers["etag"])).status_code == 200
    part = await rig.get(url, range="bytes=0-1", if_range=coded.headers["etag"])
    assert part.status_code == 200
    assert (await rig.get(url, range="bytes=0-1", if_range=plain.headers["etag"])).status_code == 206


@by_method
@pytest.mark.parametrize("accept_encoding", ["identity", GZIP], ids=["plain", "gzip"])
async def test_head_tells_what_get_tells(rig: MediaRig, method: int, accept_encoding: str) -> None:
    """The same fields, without reading anything."""
    medium = await rig.medium(film().archive(method))
    url = f"/media/{medium.slug}/frames/1"
    answer = await rig.get(url, accept_encoding=accept_encoding)
    store = watched(rig)
    told = await rig.get(url, "HEAD", accept_encoding=accept_encoding, range="bytes=0-1")
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers == answer.headers
    assert store.reads == []


@by_method
async def test_a_store_that_fails_at_once_answers_503(rig: MediaRig, method: int) -> None:
    """Whatever the packing: with a time to try again, and nothing left open."""
    medium = await rig.medium(film().archive(method))
    store = watched(rig)
    store.fails = True
    for fields in ({}, {"accept_encoding": GZIP}, {"range": "bytes=5-9"}):
        answer = await rig.get(f"/media/{medium.slug}/frames/1", **fields)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "urn:ferryman:problem:storage-unavailable"
    assert store.open_reads == 0


async def test_bytes_that_are_not_what_was_indexed_are_not_sent(rig: MediaRig) -> None:
    """Where the packed bytes are others now, the client does not take what comes of them for the frame."""
    frames = film()
    medium = await rig.medium(frames.archive(DEFLATED))
    data = frames.archive(DEFLATED)
    begin = data.index(b"frame_00001.raw") + 15
    store = watched(rig)
    store.discard(medium.upload_id, published=True)
    writer = store.writer(medium.upload_id, 0)
    writer.write(memoryview(data[:begin] + bytes(len(data) - begin)))
    writer.sync()
    writer.close()
    store.publish(medium.upload_id, len(data))
    answer = await rig.get(f"/media/{medium.slug}/frames/1")
    assert answer.status_code == 503


async def driven(rig: MediaRig, path: str, *, leaves: bool) -> list[Message]:
    """What a server is given to send; the client leaves after the first bytes, or stays."""
    left, sent = asyncio.Event(), list[Message]()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if leaves and message.get("body"):
            left.set()
            await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"127.0.0.1")]}
    await rig.app(scope, receive, send)
    return sent


@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("name", ["1.raw", "0-2.raw"])
async def test_a_client_that_leaves_ends_the_reading(rig: MediaRig, name: str, method: int) -> None:
    """Once the server knows that it is gone, nothing more is read or unpacked, and nothing stays open."""
    frames = film("rgb888", 3, 3000, 1000)
    medium = await rig.medium(frames.archive(method))
    store = watched(rig)
    sent = await driven(rig, f"/media/{medium.slug}/frames/{name}", leaves=True)
    assert 0 < sum(len(message.get("body", b"")) for message in sent) < len(frames.contents[0])
    assert store.open_reads == 0


@pytest.mark.parametrize("name", ["1.raw", "0-2.raw"])
async def test_a_store_that_fails_later_leaves_the_answer_short(rig: MediaRig, name: str) -> None:
    """The answer never says that it is whole, and nothing stays open."""
    frames = film("rgb888", 3, 3000, 1000)
    data = frames.archive(STORED)
    medium = await rig.medium(data)
    store = watched(rig)
    store.fails_at = data.index(frames.contents[1]) + (5 << 20)
    sent = await driven(rig, f"/media/{medium.slug}/frames/{name}", leaves=False)
    assert sent[0]["status"] == 200
    assert len(sent) > 3
    assert all(message["more_body"] for message in sent[1:])
    assert store.open_reads == 0
