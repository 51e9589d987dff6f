"""What `/media/…` means: media and generations, for ever or for now, for whom, and what is none of it."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.media.entries import DEFLATED
from ferryman_server.media.urls import frame_url, thumb_url
from ferryman_server.media_endpoint import FOR_EVER
from ferryman_server.state.media import Medium, Thumb
from tests.server.media_api_rig import TUS, metadata, refused, until
from tests.server.media_rig import Film, MediaRig, Watched, film, serving_media

FOR_NOW = "private, no-cache"
SOUND = bytes(range(256)) * 30


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[MediaRig]:
    """An application whose store notes what is read of it."""
    async with serving_media(tmp_path, Watched()) as running:
        yield running


def urls(medium: Medium) -> list[str]:
    """One of each kind, of a medium with raw frames, without a generation."""
    names = ("frames/1", "frames/1.raw", "frames/1.png", "frames/0-1.raw", "thumbs/1.jpg")
    return [f"/media/{medium.slug}", *(f"/media/{medium.slug}/{name}" for name in names)]


# -- a medium itself ---------------------------------------------------------------------------------------------------


async def test_a_medium_is_served_as_its_upload_is(rig: MediaRig) -> None:
    """The same bytes and the same fields as at `/files/{id}`, with ranges and conditions."""
    medium = await rig.medium(SOUND, "tone.wav", filetype="audio/wav")
    assert medium.kind == "audio"
    by_slug, by_id = f"/media/{medium.slug}", f"/files/{medium.upload_id}"
    asked: list[dict[str, str]] = [{}, {"range": "bytes=5-99"}, {"range": "bytes=99999-"}, {"if_match": '"other"'}]
    for fields in asked:
        ours, theirs = await rig.get(by_slug, **fields), await rig.get(by_id, **fields)
        del theirs.headers["vary"]  # other origins may ask for uploads
        assert (ours.status_code, ours.content, ours.headers) == (theirs.status_code, theirs.content, theirs.headers)
    unchanged = await rig.get(by_slug, if_none_match=ours.headers["etag"])
    assert unchanged.status_code == 304
    told = await rig.get(by_slug, "HEAD")
    assert (told.status_code, told.content, told.headers["content-length"]) == (200, b"", str(len(SOUND)))


async def test_the_archive_of_frames_is_a_medium_too(rig: MediaRig) -> None:
    """As it was uploaded."""
    data = film().archive(DEFLATED)
    medium = await rig.medium(data)
    answer = await rig.get(f"/media/{medium.slug}", accept_encoding="gzip")
    assert (answer.status_code, answer.content == data) == (200, True)


class Linking(Watched):
    """A store that sends clients elsewhere."""

    def link(self, target: str) -> str | None:
        """A link that holds for a while."""
        return f"https://bucket.invalid/{target}?signed"

    def target(self, upload: Upload, created_at: float) -> str:
        """Where an upload is published."""
        return upload.id


async def test_a_store_with_links_sends_people_there(tmp_path: Path) -> None:
    """For whole media; the link holds for a while, and is not kept for ever. Frames come through the server."""
    frames = film()
    async with serving_media(tmp_path, Linking()) as rig:
        medium = await rig.medium(frames.archive())
        state = rig.app.house.state
        leased = await state.lease(medium.upload_id)
        assert leased is not None
        await state.save(replace(leased[0], target="place"), leased[1])
        for query in ("", f"?g={medium.generation}"):
            answer = await rig.get(f"/media/{medium.slug}{query}")
            assert (answer.status_code, answer.headers["cache-control"]) == (307, FOR_NOW)
            assert answer.headers["location"] == "https://bucket.invalid/place?signed"
        assert (await rig.get(f"/media/{medium.slug}/frames/1")).content == frames.contents[1]


# -- generations -------------------------------------------------------------------------------------------------------


async def test_with_a_generation_an_answer_holds_for_ever(rig: MediaRig) -> None:
    """Whole, in part or not changed; without one it is asked for again each time."""
    medium = await rig.medium(film().archive())
    for url in urls(medium):
        now = await rig.get(url)
        ever = await rig.get(f"{url}?g={medium.generation}")
        assert (now.status_code, ever.status_code) == (200, 200), url
        assert (now.headers["cache-control"], ever.headers["cache-control"]) == (FOR_NOW, FOR_EVER)
        assert now.content == ever.content
        unchanged = await rig.get(f"{url}?g={medium.generation}", if_none_match=ever.headers["etag"])
        assert (unchanged.status_code, unchanged.headers["cache-control"]) == (304, FOR_EVER)
        failed = await rig.get(f"{url}?g={medium.generation}", if_match='"other"')
        assert (failed.status_code, failed.headers["cache-control"]) == (412, FOR_NOW)
    part = await rig.get(f"/media/{medium.slug}/frames/1?g={medium.generation}", range="bytes=0-1")
    beyond = await rig.get(f"/media/{medium.slug}/frames/1?g={medium.generation}", range="bytes=99999-")
    assert (part.status_code, part.headers["cache-control"]) == (206, FOR_EVER)
    assert (beyond.status_code, beyond.headers["cache-control"]) == (416, FOR_NOW)


async def test_the_urls_of_the_json_api_hold_for_ever(rig: MediaRig) -> None:
    """They name a generation."""
    medium = await rig.medium(film().archive())
    told = [frame_url(medium.slug, medium.generation, 1, suffix) for suffix in ("", "png", "raw", "jpeg")]
    told += [thumb_url(medium.slug, medium.generation, 1, size) for size in (80, 160, 320)]
    for url in told:
        answer = await rig.get(url)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOR_EVER), url


async def test_a_new_upload_is_shown_at_once_and_the_old_one_stays_what_it_was(rig: MediaRig) -> None:
    """Without a generation the new frames come, and tags of old ones do not hold; with the old one, the old frames."""
    before = film(count=3)
    after = Film("rgb888", film("rgb888", 4).contents)
    first = await rig.medium(before.archive())
    url = f"/media/{first.slug}/frames/1"
    old = {name: await rig.get(f"{url}{name}?g={first.generation}") for name in ("", ".png")}
    second = await rig.medium(after.archive(DEFLATED))
    assert (second.slug, second.generation > first.generation) == (first.slug, True)

    assert (await rig.get(url, if_none_match=old[""].headers["etag"])).content == after.contents[1]
    assert (await rig.get(f"{url}?g={second.generation}")).content == after.contents[1]
    for name, answer in old.items():
        again = await rig.get(f"{url}{name}?g={first.generation}")
        assert (again.status_code, again.headers, again.content) == (200, answer.headers, answer.content)
    row = await rig.get(f"/media/{first.slug}/frames/0-2.raw?g={first.generation}")
    assert row.content == b"".join(before.contents)
    refused(await rig.get(f"/media/{first.slug}/frames/3?g={first.generation}"), 404, "no-such-medium")


async def test_an_old_generation_goes_with_its_upload(rig: MediaRig) -> None:
    """What was deleted is not served, whoever has its URL."""
    first = await rig.medium(film().archive())
    url = f"/media/{first.slug}/frames/1?g={first.generation}"
    await rig.get(url)
    await rig.medium(film().archive())
    assert (await rig.get(url)).status_code == 200
    assert (await rig.client.delete(f"/files/{first.upload_id}", headers=TUS)).status_code == 204
    refused(await rig.get(url), 404, "no-such-medium")


async def test_while_an_archive_is_indexed_anew_it_has_no_frames(rig: MediaRig) -> None:
    """And says so."""
    medium = await rig.medium(film().archive())
    url = f"/media/{medium.slug}/frames/1"
    await rig.app.house.state.archives.rewind(medium.upload_id, 1.0)
    for asked in (url, f"{url}?g={medium.generation}", f"/media/{medium.slug}/thumbs/1.jpg"):
        document = refused(await rig.get(asked), 404, "no-such-medium")
        assert document["detail"] == "film has no frame 1 any more: its archive was indexed anew, or is about to be"


async def test_frames_that_were_indexed_anew_are_another_generation(rig: MediaRig) -> None:
    """The old number names them no more, since they may be others."""
    frames = film()
    medium = await rig.medium(frames.archive())
    url, library = f"/media/{medium.slug}/frames/1", rig.app.house.state.library
    await rig.get(f"{url}?g={medium.generation}")
    assert (await rig.client.post(f"/api/media/{medium.slug}/reprocess")).status_code == 202

    async def another() -> Medium | None:
        shown = await library.get(medium.slug)
        return shown if shown is not None and shown.generation != medium.generation else None

    anew = await until(another)
    assert anew.upload_id == medium.upload_id
    assert (await rig.get(f"{url}?g={anew.generation}")).content == frames.contents[1]
    refused(await rig.get(f"{url}?g={medium.generation}"), 404, "no-such-medium")


@pytest.mark.parametrize("number", ["", "x", "-1", "01", "1.0", "1e3", "9" * 10, "9" * 5000, "٣"])
async def test_a_generation_that_is_no_number(rig: MediaRig, number: str) -> None:
    """400, in words."""
    medium = await rig.medium(film().archive())
    for url in urls(medium):
        document = refused(await rig.get(f"{url}?g={number}"), 400, "bad-request")
        assert document["detail"].startswith("g is the number of a generation, not '")
        assert len(document["detail"]) < 200


# -- what is none of it ------------------------------------------------------------------------------------------------


async def test_what_is_not_there(rig: MediaRig) -> None:
    """404 in our words: which medium, which generation, which frame, and what there is."""
    medium = await rig.medium(film().archive())
    other = await rig.medium(SOUND, "tone.wav", filetype="audio/wav")
    for url, detail in (
        ("/media/none", "there is no medium 'none'"),
        ("/media/none/frames/0", "there is no medium 'none'"),
        ("/media/film?g=99", "there is no medium 'film' with generation 99; without g the active one is to be had"),
        ("/media/film/frames/3", "film has no frame 3: its frames are 0 to 2"),
        ("/media/film/frames/3.png", "film has no frame 3: its frames are 0 to 2"),
        ("/media/film/thumbs/999999999.jpg", "film has no frame 999999999: its frames are 0 to 2"),
        (f"/media/{other.slug}/frames/0", "tone holds no frames"),
        (f"/media/{other.slug}/frames/0-1.raw", "tone holds no frames"),
        (f"/media/{other.slug}/thumbs/0.jpg", "tone holds no frames"),
        (f"/media/film?g={other.generation}", f"there is no medium 'film' with generation {other.generation}; "),
    ):
        assert refused(await rig.get(url), 404, "no-such-medium")["detail"].startswith(detail), url
    assert medium.slug == "film"


@pytest.mark.parametrize(
    "path",
    [
        *("frames/01", "frames/-1", "frames/1000000000", "frames/1.gif", "frames/1.PNG", "frames/x", "frames/1-2.png"),
        *("frames/1%0a", "frames/1%00", "thumbs/01.jpg", "thumbs/x.jpg", "thumbs/-1.jpg", "thumbs/1000000000.jpg"),
    ],
)
async def test_addresses_that_can_be_none(rig: MediaRig, path: str) -> None:
    """They are refused before the library is asked, and say where the first one is."""
    detail = refused(await rig.get(f"/media/nobody-looks/{path}"), 404, "no-such-medium")["detail"]
    assert detail.endswith(("/0 is the first one", "/0.jpg is the first one"))


@pytest.mark.parametrize(
    "slug", ["Film", "fi_lm", "a" * 5000, "1234", "active", "..", "%2e%2e", "%00", "ä", "film%0a", "-film"]
)
async def test_names_that_no_medium_has(rig: MediaRig, slug: str) -> None:
    """Whatever stands there, it is told in a readable answer."""
    answer = await rig.get(f"/media/{slug}/frames/0")
    assert answer.status_code == 404
    assert answer.json()["type"].startswith("urn:ferryman:problem:no")
    assert answer.json()["detail"].isprintable()
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize(
    "path", ["/media/film/thumbs/0", "/media/film/thumbs/0.png", "/media/film/frames", "/media/", "/media"]
)
async def test_other_addresses(rig: MediaRig, path: str) -> None:
    """404 in the house's form, never a redirect."""
    await rig.medium(film().archive())
    refused(await rig.get(path), 404, "not-found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_changed_here(rig: MediaRig, method: str) -> None:
    """405 for everything but GET and HEAD."""
    medium = await rig.medium(film().archive())
    for url in urls(medium):
        answer = await rig.get(url, method)
        assert refused(answer, 405, "method-not-allowed")
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


# -- the guard ---------------------------------------------------------------------------------------------------------


class Doorman:
    """Lets everything pass but what a test forbids, and notes what it was asked."""

    def __init__(self) -> None:
        self.forbidden: Action | None = None
        self.asked: list[tuple[Action, str | None]] = []

    async def __call__(self, caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
        """The guard."""
        self.asked.append((action, None if upload is None else upload.id))
        if action is self.forbidden:
            return Refuse(problem=Problem(kind=problems.FORBIDDEN, detail="not for you"))
        return Allow()


async def test_the_guard_is_asked_about_the_upload(tmp_path: Path) -> None:
    """For every answer, with the upload that the bytes are of; what it forbids is not told, be it there or not."""
    doorman = Doorman()
    async with serving_media(tmp_path, Watched(), doorman) as rig:
        medium = await rig.medium(film().archive())
        missing = [f"/media/{medium.slug}/frames/99", f"/media/{medium.slug}/frames/99.png?g={medium.generation}"]
        for url in urls(medium):
            doorman.asked.clear()
            assert (await rig.get(url)).status_code == 200
            assert doorman.asked == [(Action.DOWNLOAD, medium.upload_id)]
        doorman.forbidden = Action.DOWNLOAD
        for url in [*urls(medium), *missing]:
            refused(await rig.get(url), 403, "forbidden")


# -- the filmstrip of a running upload ---------------------------------------------------------------------------------


async def running_upload(rig: MediaRig) -> str:
    """An upload that has begun, with two small pictures of what came."""
    fields = {**TUS, "Upload-Length": "1000", "Upload-Metadata": metadata({"filename": "film.zip"})}
    created = await rig.client.post("/files/", headers=fields)
    upload_id = created.headers["location"].rpartition("/")[2]
    out = io.BytesIO()
    Image.new("RGB", (16, 9)).save(out, "JPEG")
    archives = rig.app.house.state.archives
    await archives.begin(upload_id, 1.0)
    thumbs = [Thumb(number, out.getvalue() + bytes([number])) for number in (0, 7)]
    await archives.advance(upload_id, offset=10, checkpoint="{}", now=2.0, thumbs=thumbs)
    return upload_id


async def test_small_pictures_of_a_running_upload(rig: MediaRig) -> None:
    """As JPEG, by the entry's number, with a tag; they may be others later, so they are asked for again."""
    upload_id = await running_upload(rig)
    url = f"/api/uploads/{upload_id}/thumbs/7.jpg"
    answer = await rig.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content.endswith(bytes([7]))
    assert answer.headers["cache-control"] == FOR_NOW
    assert answer.headers["content-disposition"] == 'inline; filename="7.jpg"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await rig.get(url, if_none_match=answer.headers["etag"])).status_code == 304
    told = await rig.get(url, "HEAD")
    assert (told.content, told.headers) == (b"", answer.headers)
    assert answer.headers["etag"] != (await rig.get(url.replace("7.jpg", "0.jpg"))).headers["etag"]


async def test_small_pictures_that_are_not_there(rig: MediaRig) -> None:
    """No such upload, no such number, none of that entry."""
    upload_id = await running_upload(rig)
    for other in ("a" * 26, "nonsense", "A" * 26):
        refused(await rig.get(f"/api/uploads/{other}/thumbs/0.jpg"), 404, "not-found")
    for number in ("1", "01", "x", "-1", "9" * 10):
        refused(await rig.get(f"/api/uploads/{upload_id}/thumbs/{number}.jpg"), 404, "no-such-medium")


async def test_the_guard_is_asked_before_an_upload_is_looked_into(tmp_path: Path) -> None:
    """As for everything else that is told of an upload."""
    doorman = Doorman()
    async with serving_media(tmp_path, Watched(), doorman) as rig:
        upload_id = await running_upload(rig)
        doorman.asked.clear()
        assert (await rig.get(f"/api/uploads/{upload_id}/thumbs/0.jpg")).status_code == 200
        assert doorman.asked == [(Action.INSPECT, upload_id)]
        doorman.forbidden = Action.INSPECT
        for number in (0, 1):
            refused(await rig.get(f"/api/uploads/{upload_id}/thumbs/{number}.jpg"), 403, "forbidden")


# -- state -------------------------------------------------------------------------------------------------------------


async def test_a_state_that_is_away(rig: MediaRig) -> None:
    """503 for everything that has to be looked up."""
    medium = await rig.medium(film().archive())
    await rig.app.house.state.close()
    answers: list[httpx.Response] = await asyncio.gather(*(rig.get(url) for url in urls(medium)))
    for answer in answers:
        refused(answer, 503, "storage-unavailable")
