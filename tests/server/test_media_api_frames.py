"""What is told of an upload that is an archive: how far it is, its frames so far, and why there are none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ferryman_protocol.ids import new_id
from ferryman_server.media import filmstrip, indexing
from ferryman_server.state.media import IndexedEntry, Waiting
from tests.server.media.frame_archives import entry
from tests.server.media_api_rig import SIZE, Rig, archive, ordinary, refused, running, until

NOTHING: dict[str, Any] = {
    "reason": None,
    "provisional": False,
    "count": 0,
    "entries": 0,
    "frames": [],
    "next": None,
    "group": None,
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


@pytest.mark.parametrize("count", [40, 1300])
async def test_frames_of_a_running_upload_are_told_as_they_come(
    rig: Rig, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In natural order, page by page, provisionally, before anything is kept; few entries or many."""
    monkeypatch.setattr(indexing, "KEEP", 1e9)
    monkeypatch.setattr(filmstrip, "MOST_THUMBS", 0)
    upload_id, rest = await rig.half_sent(count)
    told = await rig.get(f"/api/uploads/{upload_id}/frames?limit=500")
    assert (told["phase"], told["provisional"], told["reason"], told["group"]) == ("indexing", True, None, None)
    assert count // 3 < told["count"] == told["entries"] - 1 < count
    assert [frame["name"] for frame in told["frames"]] == [f"frames/{n}.rgb" for n in range(min(500, told["count"]))]
    assert [(frame["n"], frame["number"], frame["size"]) for frame in told["frames"][:3]] == [
        (0, 1, SIZE),
        (1, 2, SIZE),
        (2, 3, SIZE),
    ]
    page = await rig.get(f"/api/uploads/{upload_id}/frames?start=3&limit=2")
    assert ([frame["n"] for frame in page["frames"]], page["next"]) == ([3, 4], 5)
    beyond = await rig.get(f"/api/uploads/{upload_id}/frames?start={count}")
    assert (beyond["frames"], beyond["next"], beyond["count"]) == ([], None, told["count"])
    processing = (await rig.get(f"/api/uploads/{upload_id}"))["processing"]
    assert processing == {"phase": "indexing", "reason": None, "frames": told["count"], "slug": None}
    await rig.sent(upload_id, len(archive(count)) - len(rest), rest)
    assert await rig.processing(upload_id) == {"phase": "ready", "reason": None, "frames": count, "slug": "film"}


async def test_many_who_ask_at_once_hear_the_same(rig: Rig) -> None:
    """And who goes away in the middle takes it from nobody."""
    upload_id, _ = await rig.half_sent(1300)
    url = f"/api/uploads/{upload_id}/frames?limit=500"
    asking = [asyncio.create_task(rig.get(url)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking[0].cancel()
    told = await asyncio.gather(*asking[1:])
    assert all(each == told[0] for each in told)
    assert len(told[0]["frames"]) == 500


async def test_small_pictures_are_told_where_there_are_some(rig: Rig) -> None:
    """Each has a URL as soon as it is kept, and there is a picture behind each."""
    upload_id, _ = await rig.half_sent(40)

    async def pictured() -> Any:
        frames = (await rig.get(f"/api/uploads/{upload_id}/frames"))["frames"]
        return [frame for frame in frames if frame["thumb"] is not None]

    for frame in await until(pictured):
        assert frame["thumb"] == f"/api/uploads/{upload_id}/thumbs/{frame['number']}.jpg"
        jpeg = await rig.house.state.archives.thumb(upload_id, frame["number"])
        assert jpeg is not None
        assert jpeg.startswith(b"\xff\xd8")


async def test_frames_of_a_published_upload_are_the_mediums(rig: Rig) -> None:
    """As it plays them, with the pictures that the library has of each."""
    upload_id = (await rig.medium(data=archive(12)))["upload"]
    told = await rig.get(f"/api/uploads/{upload_id}/frames?start=9&limit=2")
    assert told == {
        **NOTHING,
        "phase": "ready",
        "count": 12,
        "entries": 13,
        "frames": [
            {
                "n": n,
                "name": f"frames/{n}.rgb",
                "size": SIZE,
                "number": n + 1,
                "thumb": f"/media/film/thumbs/{n}.jpg?size=160&g=1",
            }
            for n in (9, 10)
        ],
        "next": 11,
    }
    rest = await rig.get(f"/api/uploads/{upload_id}/frames?start=11")
    assert ([frame["n"] for frame in rest["frames"]], rest["next"]) == ([11], None)


async def test_an_older_generation_tells_its_own_frames(rig: Rig) -> None:
    """They are there, though the medium shows others."""
    older = (await rig.medium(data=archive(12)))["upload"]
    newer = (await rig.medium(data=archive(3)))["upload"]
    told = await rig.get(f"/api/uploads/{older}/frames?limit=1")
    assert (told["phase"], told["count"], told["next"]) == ("ready", 12, 1)
    assert told["frames"][0]["thumb"] is None
    uploads = {each["id"]: each["processing"] for each in (await rig.get("/api/uploads"))["uploads"]}
    assert uploads == {
        older: {"phase": "ready", "reason": None, "frames": None, "slug": "film"},
        newer: {"phase": "ready", "reason": None, "frames": 3, "slug": "film"},
    }


async def test_an_ordinary_archive_says_why_it_holds_no_frames(rig: Rig) -> None:
    """What stands against it, and what would make frames of it."""
    upload_id = await rig.upload(ordinary())
    told = await rig.processing(upload_id)
    assert (told["phase"], told["frames"], told["slug"]) == ("not-frames", None, None)
    assert told["reason"].startswith("There is no metadata.json")
    frames = await rig.get(f"/api/uploads/{upload_id}/frames")
    assert frames == {**NOTHING, "phase": "not-frames", "reason": told["reason"]}


async def test_an_archive_that_breaks_a_rule_says_which(rig: Rig) -> None:
    """With the field at fault."""
    upload_id = await rig.upload(archive(3, said={"fps": 0}))
    told = await rig.processing(upload_id)
    assert told == {
        "phase": "failed",
        "reason": "metadata.json: fps is 0; a number above 0, up to 1000 is expected",
        "frames": None,
        "slug": None,
    }
    frames = await rig.get(f"/api/uploads/{upload_id}/frames")
    assert frames == {**NOTHING, "phase": "failed", "reason": told["reason"]}


async def test_a_plain_upload_has_nothing_to_tell(rig: Rig) -> None:
    """Nor has one that is there but for its bytes, nor one whose client wants no more than a file."""
    for upload_id in (
        await rig.upload(b"plain", "notes.txt"),
        await rig.begun(5, "notes.txt"),
        await rig.upload(archive(3), process="none"),
    ):
        assert await rig.get(f"/api/uploads/{upload_id}/frames") == {**NOTHING, "phase": "none"}
        assert (await rig.get(f"/api/uploads/{upload_id}"))["processing"] is None


async def test_uploads_of_a_group_wait_for_each_other(rig: Rig) -> None:
    """The frames are known meanwhile, and the group with how many of it are there."""
    group = {"group": "take 7", "group_size": "2"}
    film = await rig.upload(archive(12), **group)
    waits = {"phase": "waiting", "reason": None, "frames": None, "slug": None}
    assert await rig.processing(film) == waits
    told = await rig.get(f"/api/uploads/{film}/frames?start=9&limit=2")
    assert (told["phase"], told["provisional"], told["count"], told["next"]) == ("waiting", True, 12, 11)
    assert [frame["name"] for frame in told["frames"]] == ["frames/9.rgb", "frames/10.rgb"]
    assert told["group"] == {"name": "take 7", "size": 2, "arrived": 1}
    sound = await rig.upload(b"RIFF", "sound.wav", **group)
    assert (await until(lambda: rig.house.state.library.by_upload(sound))).kind == "audio"
    assert await rig.processing(film) == {**waits, "phase": "ready", "frames": 12, "slug": "film"}
    assert (await rig.get(f"/api/uploads/{film}/frames"))["group"] is None
    assert (await rig.get(f"/api/uploads/{sound}/frames"))["phase"] == "none"


async def test_what_is_published_while_it_is_looked_for_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not published when that was asked, and waits no more when that is."""
    group = {"group": "take 7", "group_size": "2"}
    film = await rig.upload(archive(12), **group)
    assert (await rig.processing(film))["phase"] == "waiting"
    library = rig.house.state.library
    pending = library.pending

    async def late(upload_id: str) -> Waiting | None:
        monkeypatch.undo()
        sound = await rig.upload(b"RIFF", "sound.wav", **group)
        await until(lambda: library.by_upload(sound))
        return await pending(upload_id)

    monkeypatch.setattr(library, "pending", late)
    processing = (await rig.get(f"/api/uploads/{film}"))["processing"]
    assert processing == {"phase": "ready", "reason": None, "frames": 12, "slug": "film"}


async def test_what_is_no_archive_waits_for_its_group_too(rig: Rig) -> None:
    """It says so where its frames would be."""
    sound = await rig.upload(b"RIFF", "sound.wav", group="g", group_size="3")
    await until(lambda: rig.house.state.library.pending(sound))
    told = await rig.get(f"/api/uploads/{sound}/frames")
    assert told == {**NOTHING, "phase": "waiting", "group": {"name": "g", "size": 3, "arrived": 1}}


async def test_an_index_that_nobody_works_on_just_now_tells_what_was_kept(rig: Rig) -> None:
    """As between two attempts, or before a start goes on with it."""
    upload_id = await rig.begun(10_000)
    archives = rig.house.state.archives
    await archives.begin(upload_id, 1.0)
    names = ["metadata.json", *(f"frames/{n}.rgb" for n in range(7000))]
    entries = [IndexedEntry(entry(number, name)) for number, name in enumerate(names)]
    await archives.advance(upload_id, offset=5000, checkpoint="{}", now=2.0, entries=entries)
    told = await rig.get(f"/api/uploads/{upload_id}/frames?start=6999")
    assert (told["phase"], told["provisional"], told["count"], told["entries"]) == ("indexing", True, 7000, 7001)
    assert [frame["name"] for frame in told["frames"]] == ["frames/6999.rgb"]
    processing = (await rig.get(f"/api/uploads/{upload_id}"))["processing"]
    assert processing == {"phase": "indexing", "reason": None, "frames": None, "slug": None}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("start=-1", "start"), ("start=1e3", "start"), ("limit=501", "limit"), ("stop=3", "stop"), ("start=", "start")],
)
async def test_a_part_that_cannot_be_is_named(rig: Rig, query: str, parameter: str) -> None:
    """400, with what is expected."""
    upload_id = await rig.begun(5)
    document = refused(await rig.client.get(f"/api/uploads/{upload_id}/frames?{query}"), 400, "bad-request")
    assert document["parameter"] == parameter


@pytest.mark.parametrize("upload_id", [new_id(bytes(16)), "film", "%2e%2e"])
async def test_an_upload_that_is_not_there_has_no_frames(rig: Rig, upload_id: str) -> None:
    """404."""
    refused(await rig.client.get(f"/api/uploads/{upload_id}/frames"), 404, "not-found")
    refused(await rig.client.post(f"/api/uploads/{upload_id}/reprocess"), 404, "not-found")
