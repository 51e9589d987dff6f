"""Indexing an archive anew over HTTP: of a medium, of an upload that failed, once at a time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman_server.settings import Settings
from ferryman_server.state.media import Archive
from tests.server.media_api_rig import Rig, archive, refused, running


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


async def test_a_medium_is_indexed_anew(rig: Rig) -> None:
    """It keeps its slug and marks, and gets a new generation, however often it was asked for meanwhile."""
    medium = await rig.medium()
    await rig.client.patch("/api/media/film", json={"rating": 4})
    answers = await asyncio.gather(
        *(rig.client.post("/api/media/film/reprocess") for _ in range(4)),
        *(rig.client.post(f"/api/uploads/{medium['upload']}/reprocess") for _ in range(4)),
    )
    assert {answer.status_code for answer in answers} == {202}
    told = [answer.json() for answer in answers]
    assert {each["upload"] for each in told} == {medium["upload"]}
    assert {each["processing"]["phase"] for each in told} <= {"indexing", "ready"}
    assert (await rig.processing(medium["upload"]))["phase"] == "ready"
    after = await rig.get("/api/media/film")
    assert (after["rating"], after["frames"], after["upload"]) == (4, 3, medium["upload"])
    assert after["generation"] > medium["generation"]
    assert len(await rig.house.state.library.frames("film", 0, 100)) == 3


async def test_two_wishes_for_a_new_index_are_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second must not forget what the first one's walk has found."""
    upload_id = (await rig.medium())["upload"]
    archives, go_on, rewinds = rig.house.state.archives, asyncio.Event(), 0
    rewind = archives.rewind

    async def held(upload_id: str, now: float) -> Archive | None:
        nonlocal rewinds
        rewinds += 1
        await go_on.wait()
        return await rewind(upload_id, now)

    monkeypatch.setattr(archives, "rewind", held)
    first = asyncio.create_task(rig.client.post("/api/media/film/reprocess"))
    second = asyncio.create_task(rig.client.post(f"/api/uploads/{upload_id}/reprocess"))
    done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().status_code for task in done] == [202]
    go_on.set()
    assert {(await first).status_code, (await second).status_code} == {202}
    assert rewinds == 1
    assert (await rig.processing(upload_id))["frames"] == 3


async def test_a_failed_archive_is_indexed_anew_under_other_limits(tmp_path: Path) -> None:
    """A person has raised what stood against it."""
    async with running(Settings(data=tmp_path / "data", zip_entries=5)) as rig:
        upload_id = await rig.upload(archive(12))
        assert (await rig.processing(upload_id))["phase"] == "failed"
    async with running(Settings(data=tmp_path / "data")) as rig:
        assert (await rig.client.post(f"/api/uploads/{upload_id}/reprocess")).status_code == 202
        assert await rig.processing(upload_id) == {"phase": "ready", "reason": None, "frames": 12, "slug": "film"}


async def test_only_complete_archives_are_indexed_anew(rig: Rig) -> None:
    """409 in words for what is no archive, and for what is not complete."""
    medium = await rig.medium("moon.png", b"no matter what")
    for url in ("/api/media/moon", f"/api/uploads/{medium['upload']}"):
        document = refused(await rig.client.post(f"{url}/reprocess"), 409, "nothing-to-process")
        assert "has no index: it is no archive, or was not to be processed" in document["detail"]
    upload_id, _ = await rig.half_sent(40)
    document = refused(await rig.client.post(f"/api/uploads/{upload_id}/reprocess"), 409, "nothing-to-process")
    assert document["detail"] == f"The upload {upload_id} is receiving, not complete."
    assert await rig.get("/api/media/moon") == medium
