"""The library over HTTP: one medium, its views, what the player shows, who is asked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.state.media import Derived
from tests.server.media_api_rig import Rig, archive, refused, running


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


async def test_a_medium_tells_what_it_is_and_where(rig: Rig) -> None:
    """Shape, size, times, marks, and URLs with the generation in them."""
    upload_id = await rig.upload(archive(12))
    assert (await rig.processing(upload_id))["slug"] == "film"
    answer = await rig.client.get("/api/media/film")
    assert answer.headers["cache-control"] == "no-store"
    medium = answer.json()
    times = [medium.pop(name) for name in ("created_at", "published_at", "updated_at")]
    assert times[0] <= times[1] <= times[2]
    assert medium == {
        "slug": "film",
        "url": "/media/film",
        "title": "film",
        "name": "film.zip",
        "kind": "frames",
        "generation": 1,
        "upload": upload_id,
        "upload_url": f"/files/{upload_id}",
        "size": len(archive(12)),
        "content_type": "application/zip",
        "width": 4,
        "height": 3,
        "format": "rgb565le",
        "fps": 10.0,
        "frames": 12,
        "duration": 1.2,
        "frame_url": "/media/film/frames/{n}?g=1",
        "thumb_url": "/media/film/thumbs/{n}.jpg?size=160&g=1",
        "derived": {},
        "tags": [],
        "favourite": False,
        "rating": 0,
        "views": 0,
        "ready": [],
        "processing": [],
    }


async def test_a_medium_without_frames_has_no_urls_of_any(rig: Rig) -> None:
    """A picture is one file."""
    medium = await rig.medium("moon.png", b"no matter what")
    assert (medium["kind"], medium["frames"], medium["frame_url"], medium["thumb_url"]) == ("image", None, None, None)


async def test_what_is_made_of_a_medium_is_told_with_reasons(rig: Rig) -> None:
    """What is wanted, ready or failed; a listing tells what is ready."""
    medium = await rig.medium()
    upload_id = medium["upload"]
    poster = Derived(upload_id=upload_id, kind="poster", state="ready", place="p", size=7, content_type="image/jpeg")
    preview = Derived(upload_id=upload_id, kind="preview", state="failed", reason="no codec", updated_at=5.0)
    await rig.house.state.library.put_derived(medium["generation"], [poster, preview])
    medium = await rig.get("/api/media/film")
    assert medium["ready"] == ["poster"]
    assert medium["processing"] == [
        {
            "kind": "poster",
            "state": "ready",
            "size": 7,
            "content_type": "image/jpeg",
            "reason": None,
            "updated_at": 0.0,
        },
        {
            "kind": "preview",
            "state": "failed",
            "size": None,
            "content_type": None,
            "reason": "no codec",
            "updated_at": 5.0,
        },
    ]
    (listed,) = (await rig.get("/api/media"))["media"]
    assert listed == {name: value for name, value in medium.items() if name != "processing"}


@pytest.mark.parametrize("slug", ["none", "Film", "a--b", "17", "%2e%2e", "%ff", "x" * 200])
async def test_what_is_not_there_is_told_so(rig: Rig, slug: str) -> None:
    """404 for every method, whatever stands in the URL."""
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/view"), ("POST", "/reprocess")):
        refused(await rig.client.request(method, f"/api/media/{slug}{path}"), 404, "no-such-medium")
    refused(await rig.client.patch(f"/api/media/{slug}", json={}), 404, "no-such-medium")


async def test_methods_that_do_nothing_are_named(rig: Rig) -> None:
    """405, and Allow has all of those that do."""
    answer = await rig.client.put("/api/media/film", json={})
    refused(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE"}


async def test_views_are_counted(rig: Rig) -> None:
    """Each POST is one, and that is no change of the medium."""
    before = await rig.medium()
    assert (await rig.client.post("/api/media/film/view")).json() == {"views": 1}
    assert (await rig.client.post("/api/media/film/view")).json() == {"views": 2}
    assert await rig.get("/api/media/film") == {**before, "views": 2}


async def test_one_medium_is_shown_by_the_player(rig: Rig) -> None:
    """It is chosen, exchanged, and taken back; what is deleted is shown no more."""
    refused(await rig.client.get("/api/media/active"), 404, "no-such-medium")
    one, two = await rig.medium("one.zip"), await rig.medium("two.zip")
    assert (await rig.client.put("/api/media/active", json={"slug": "one"})).json() == one
    assert (await rig.client.put("/api/media/active", json={"slug": "two"})).json() == two
    assert await rig.get("/api/media/active") == two
    refused(await rig.client.put("/api/media/active", json={"slug": "three"}), 404, "no-such-medium")
    assert await rig.get("/api/media/active") == two
    await rig.client.delete("/api/media/two")
    refused(await rig.client.get("/api/media/active"), 404, "no-such-medium")
    await rig.client.put("/api/media/active", json={"slug": "one"})
    answer = await rig.client.put("/api/media/active", json={"slug": None})
    assert (answer.status_code, answer.content) == (204, b"")
    refused(await rig.client.get("/api/media/active"), 404, "no-such-medium")


@pytest.mark.parametrize("fields", [{}, {"slug": 5}, {"slug": "film", "title": "x"}, {"slgu": "film"}])
async def test_a_choice_says_a_slug_or_null_and_nothing_else(rig: Rig, fields: dict[str, Any]) -> None:
    """Anything else is refused by its name."""
    await rig.medium()
    assert refused(await rig.client.put("/api/media/active", json=fields), 422, "invalid-content")["field"]
    refused(await rig.client.get("/api/media/active"), 404, "no-such-medium")


async def test_the_guard_is_asked_about_everything() -> None:
    """About each medium with the upload that it shows; and what it refuses is not done."""
    asked: list[tuple[Action, str | None]] = []
    refusing = False

    async def guard(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
        asked.append((action, upload.id if upload else None))
        return Refuse(problem=Problem(kind=problems.FORBIDDEN, detail="not you")) if refusing else Allow()

    async with running(guard=guard) as rig:
        medium = await rig.medium()
        mine = medium["upload"]
        await rig.client.put("/api/media/active", json={"slug": "film"})
        before = await rig.get("/api/media/film")
        refusing = True
        for method, path, content, action, upload_id in (
            ("GET", "media", None, Action.LIST, None),
            ("GET", "tags", None, Action.LIST, None),
            ("GET", "media/active", None, Action.INSPECT, mine),
            ("PUT", "media/active", {"slug": "film"}, Action.EDIT, mine),
            ("PUT", "media/active", {"slug": None}, Action.EDIT, None),
            ("GET", "media/film", None, Action.INSPECT, mine),
            ("PATCH", "media/film", {"rating": 5}, Action.EDIT, mine),
            ("POST", "media/film/view", None, Action.DOWNLOAD, mine),
            ("POST", "media/film/reprocess", None, Action.EDIT, mine),
            ("DELETE", "media/film", None, Action.TERMINATE, mine),
            ("GET", f"uploads/{mine}/frames", None, Action.INSPECT, mine),
            ("POST", f"uploads/{mine}/reprocess", None, Action.EDIT, mine),
        ):
            asked.clear()
            refused(await rig.client.request(method, f"/api/{path}", json=content), 403, "forbidden")
            assert asked == [(action, upload_id)], (method, path)
        refusing = False
        assert await rig.get("/api/media/film") == before
        assert await rig.get("/api/media/active") == before


@pytest.mark.parametrize("path", ["/api/media", "/api/media/film", "/api/tags", "/api/media/active"])
async def test_no_other_origin_reads_the_library(rig: Rig, path: str) -> None:
    """An answer carries no leave for another site's page, and a preflight is no success."""
    await rig.medium()
    origin = {"Origin": "http://localhost:3000"}
    assert "access-control-allow-origin" not in (await rig.client.get(path, headers=origin)).headers
    preflight = {**origin, "Access-Control-Request-Method": "PATCH"}
    answer = await rig.client.options(path, headers=preflight)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
