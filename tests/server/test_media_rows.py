"""Raw frames in a row over HTTP: one answer, one read, no more than is good."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman_server.media.entries import DEFLATED, STORED
from tests.server.media_api_rig import refused
from tests.server.media_rig import METHODS, Film, MediaRig, Watched, film, serving_media

COUNT = 12


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


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("format", ["rgb565le", "rgb565be", "rgb888"])
async def test_frames_in_a_row(tmp_path: Path, format: str, method: int) -> None:
    """From a folder, however they are packed: their bytes one behind the other, the last one included."""
    frames = film(format, COUNT)
    async with serving_media(tmp_path) as rig:
        medium = await rig.medium(frames.archive(method))
        for first, last in ((0, 0), (0, COUNT - 1), (3, 7), (COUNT - 1, COUNT - 1)):
            answer = await rig.get(f"/media/{medium.slug}/frames/{first}-{last}.raw", accept_encoding="gzip")
            row = b"".join(frames.contents[first : last + 1])
            assert (answer.status_code, answer.content == row) == (200, True)
            assert answer.headers["content-length"] == str(len(row))
            assert "content-encoding" not in answer.headers


async def test_the_fields_of_a_row(rig: MediaRig) -> None:
    """It is saved under the medium's name, and has a tag that each of its frames changes."""
    medium = await rig.medium(film(count=COUNT).archive())
    tags = list[str]()
    for first, last in ((0, 3), (0, 4), (1, 4)):
        answer = await rig.get(f"/media/{medium.slug}/frames/{first}-{last}.raw")
        assert answer.headers["content-disposition"] == f'attachment; filename="film-{first}-{last}.raw"'
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "private, no-cache"
        tags.append(answer.headers["etag"])
    assert len(set(tags)) == 3


@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
async def test_it_is_one_read(rig: MediaRig, method: int) -> None:
    """From the first byte of the first frame to the last of the last."""
    frames = film(count=COUNT)
    medium = await rig.medium(frames.archive(method))
    rows = await rig.app.house.state.library.frames_of(medium.upload_id, 2, 6)
    reads(rig)
    await rig.get(f"/media/{medium.slug}/frames/2-5.raw")
    first, last = rows[0].indexed.entry, rows[-1].indexed.entry
    assert reads(rig) == [(first.data, last.data + last.packed)]


async def test_frames_that_lie_in_another_order(rig: MediaRig) -> None:
    """They come in the order of the frames, not in that of the archive."""
    frames = film(count=5)
    order = [frames.named(n) for n in (3, 1, 4, 0, 2)]
    medium = await rig.medium(Film(frames.format, frames.contents, fields={"frames": order}).archive())
    answer = await rig.get(f"/media/{medium.slug}/frames/0-4.raw")
    assert answer.content == b"".join(frames.contents[n] for n in (3, 1, 4, 0, 2))


@pytest.mark.parametrize("method", [STORED, DEFLATED], ids=["stored", "deflated"])
async def test_ranges_of_a_row(rig: MediaRig, method: int) -> None:
    """A download that broke off is gone on with, and frames before the range are not read."""
    frames = film(count=COUNT)
    medium = await rig.medium(frames.archive(method))
    row, size = b"".join(frames.contents), len(frames.contents[0])
    rows = await rig.app.house.state.library.frames_of(medium.upload_id, 0, COUNT)
    url = f"/media/{medium.slug}/frames/0-{COUNT - 1}.raw"
    reads(rig)
    start = 4 * size + 100
    answer = await rig.get(url, range=f"bytes={start}-")
    assert (answer.status_code, answer.content == row[start:]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {start}-{len(row) - 1}/{len(row)}"
    assert reads(rig)[0][0] == rows[4].indexed.entry.data


async def test_conditions_and_head_read_nothing(rig: MediaRig) -> None:
    """What a client has already is not read again."""
    medium = await rig.medium(film(count=COUNT).archive())
    url = f"/media/{medium.slug}/frames/2-9.raw"
    answer = await rig.get(url)
    reads(rig)
    told = await rig.get(url, "HEAD")
    unchanged = await rig.get(url, if_none_match=answer.headers["etag"])
    assert (told.status_code, told.content, told.headers) == (200, b"", answer.headers)
    assert unchanged.status_code == 304
    assert reads(rig) == []


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
async def test_pictures_are_had_one_by_one(rig: MediaRig, format: str) -> None:
    """406: pictures behind each other would be no file of any kind."""
    medium = await rig.medium(film(format).archive())
    detail = refused(await rig.get(f"/media/{medium.slug}/frames/0-1.raw"), 406, "not-acceptable")["detail"]
    assert detail == f"the frames of film are {format} pictures, which are to be had one by one"


async def test_frames_that_are_not_there(rig: MediaRig) -> None:
    """A row that ends behind the last frame, or before its first, is none; there are no shorter answers."""
    medium = await rig.medium(film(count=COUNT).archive())
    for name, detail in (
        ("10-12", "film has no frames 10 to 12: its frames are 0 to 11"),
        ("12-12", "film has no frame 12: its frames are 0 to 11"),
        ("5-4", "frame 4 does not come after frame 5"),
    ):
        answer = await rig.get(f"/media/{medium.slug}/frames/{name}.raw")
        assert refused(answer, 404, "no-such-medium")["detail"] == detail


@pytest.mark.parametrize(
    ("width", "height", "most"),
    [(1000, 1000, 33), (1, 1, 10_000), (16384, 2048, 1), (16384, 2049, 0)],
)
async def test_no_more_than_64_mib(rig: MediaRig, width: int, height: int, most: int) -> None:
    """413 says how many frames fit, whether they are there or not."""
    frames = [bytes(width * height * 2)]
    medium = await rig.medium(Film("rgb565le", frames, width, height).archive(DEFLATED))
    answer = await rig.get(f"/media/{medium.slug}/frames/0-{most}.raw")
    document = refused(answer, 413, "too-many-frames")
    assert document["most-frames"] == most
    detail: str = document["detail"]
    assert detail.startswith(f"{most + 1} frames of {width * height * 2} bytes are asked for, and ")
    assert detail.endswith(f"{most} of them fit into one answer" if most else "ask for it by its number")
    if most > 1:
        refused(await rig.get(f"/media/{medium.slug}/frames/0-{most - 1}.raw"), 404, "no-such-medium")
