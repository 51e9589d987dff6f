"""Deleting a medium over HTTP: everything it consisted of goes, at once, or as soon as it can."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ferryman_protocol.ids import new_id
from ferryman_protocol.model import Phase
from ferryman_server import media_leftovers, turns
from ferryman_server.claims import Intent
from ferryman_server.events import Event
from ferryman_server.media_leftovers import free_leftovers, free_uploads
from ferryman_server.settings import Settings
from ferryman_server.storage.base import StoreError
from ferryman_server.uploads import Uploads
from tests.server.media_api_rig import CONTENT, Rig, archive, metadata, refused, running, until
from tests.support.process import eventually
from tests.support.small_disk import can_mount, fill, on_small_disk, seen_by


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


async def phase(rig: Rig, upload_id: str) -> str:
    """Where an upload is."""
    found: str = (await rig.get(f"/api/uploads/{upload_id}"))["phase"]
    return found


def held(rig: Rig, *upload_ids: str) -> set[str]:
    """Of these uploads those whose bytes the store has."""
    found = set()
    for upload_id in upload_ids:
        with contextlib.suppress(StoreError):
            assert list(rig.house.store.read(upload_id, 0, 4)) == [b"PK\3\4"]
            found.add(upload_id)
    return found


async def test_a_deleted_medium_leaves_nothing(rig: Rig) -> None:
    """Neither its generations' uploads nor their bytes; another medium is not touched."""
    first = (await rig.medium())["upload"]
    second = (await rig.medium(data=archive(5)))["upload"]
    other = (await rig.medium("other.zip"))["upload"]
    events: list[Event] = []
    rig.house.events.subscribe(events.append)
    answer = await rig.client.delete("/api/media/film")
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
    refused(await rig.client.get("/api/media/film"), 404, "no-such-medium")
    refused(await rig.client.delete("/api/media/film"), 404, "no-such-medium")
    assert [medium["slug"] for medium in (await rig.get("/api/media"))["media"]] == ["other"]
    assert [(event.name, event.upload_id) for event in events] == [("terminated", first), ("terminated", second)]
    for upload_id in (first, second):
        assert (await rig.client.get(f"/files/{upload_id}")).status_code == 410
        assert (await rig.get(f"/api/uploads/{upload_id}"))["processing"] is None
    assert (await rig.client.get(f"/files/{other}")).content == archive(3)
    assert held(rig, first, second, other) == {other}
    assert not (await rig.house.state.library.leftovers(10)).uploads


async def test_whoever_is_at_work_on_an_upload_ends_before_it_is_freed(rig: Rig) -> None:
    """The medium is gone at once; its upload is when its holder has let go, and then the client is told."""
    upload_id = (await rig.medium())["upload"]
    async with rig.house.claims.take(upload_id, Intent.LOOK) as claim:
        deleting = asyncio.create_task(rig.client.delete("/api/media/film"))
        superseded = asyncio.Event()
        claim.on_superseded(superseded.set)
        await superseded.wait()
        assert await rig.house.state.library.get("film") is None
        assert not deleting.done()
        assert await phase(rig, upload_id) == Phase.COMPLETE
    assert (await deleting).status_code == 204
    assert await phase(rig, upload_id) == Phase.TERMINATED


async def test_what_cannot_be_freed_now_holds_up_nothing_and_is_freed_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that does not let go in time keeps its upload until the next round, and the others go."""
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    first = (await rig.medium())["upload"]
    second = (await rig.medium(data=archive(5)))["upload"]
    async with rig.house.claims.take(first, Intent.LOOK):
        assert (await rig.client.delete("/api/media/film")).status_code == 204
        assert (await phase(rig, first), await phase(rig, second)) == (Phase.COMPLETE, Phase.TERMINATED)
        assert (await rig.house.state.library.leftovers(10)).uploads == (first,)
    await free_leftovers(rig.house, Uploads(rig.house))
    assert await phase(rig, first) == Phase.TERMINATED
    assert not held(rig, first, second)


async def test_what_is_gone_already_is_no_failure(rig: Rig) -> None:
    """Somebody else was quicker, or it never was; what stands behind it is freed all the same."""
    gone, there = await rig.upload(archive(1), "gone.zip"), await rig.upload(archive(1), "there.zip")
    uploads = Uploads(rig.house)
    assert held(rig, gone, there) == {gone, there}
    await uploads.end(gone)
    await free_uploads(uploads, [gone, new_id(bytes(16)), there])
    assert not held(rig, gone, there)


async def test_an_end_in_between_is_made_up_for_at_the_next_start(tmp_path: Path) -> None:
    """The medium was deleted, and the server ended before it freed a byte."""
    settings = Settings(data=tmp_path / "data")
    async with running(settings) as rig:
        upload_id = (await rig.medium())["upload"]
        assert await rig.house.state.library.delete("film") == [upload_id]
    async with running(settings) as rig:

        async def freed() -> bool:
            return await phase(rig, upload_id) == Phase.TERMINATED and not held(rig, upload_id)

        assert await until(freed)


async def test_leftovers_are_looked_for_again_and_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a round has failed."""
    monkeypatch.setattr(media_leftovers, "_LOOK_AGAIN", 0.01)
    upload_id = (await rig.medium())["upload"]
    task = asyncio.create_task(media_leftovers.run_leftovers(rig.house, Uploads(rig.house)))
    await asyncio.sleep(0.05)
    await rig.house.state.library.delete("film")

    async def freed() -> bool:
        return await phase(rig, upload_id) == Phase.TERMINATED

    assert await until(freed)
    await rig.house.state.close()
    await asyncio.sleep(0.05)
    assert not task.done()
    await rig.house.state.open()
    task.cancel()


@pytest.mark.parametrize("_", ["small disk"] if can_mount() else [])
def test_a_medium_can_be_deleted_on_a_full_disk(_: str, tmp_path: Path) -> None:
    """The database takes no commit there: the unwanted bytes make the room for it."""
    content = b"\x89PNG" * 250_000
    server = on_small_disk(tmp_path / "data", 8 << 20)
    try:
        server.start()
        fields = {
            **CONTENT,
            "Upload-Length": str(len(content)),
            "Upload-Metadata": metadata({"filename": "moon.png"}),
        }
        assert httpx.post(server.files, content=content, headers=fields).status_code == 201
        eventually(lambda: httpx.get(f"{server.url}/api/media/moon").status_code == 200)
        fill(seen_by(server))
        assert httpx.patch(f"{server.url}/api/media/moon", json={"title": "x" * 200}).status_code == 503
        assert httpx.delete(f"{server.url}/api/media/moon").status_code == 204
        assert httpx.get(f"{server.url}/api/media").json()["media"] == []
        assert not [path for path in (seen_by(server) / "files").rglob("*") if path.is_file()]
    finally:
        server.close()
