"""What a stream of events tells, and of what it begins with."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.event_hub import EventLimits
from ferryman_server.event_snapshots import LISTED
from ferryman_server.events import Event, Name
from ferryman_server.state.testing_records import new_record
from tests.server.event_rig import STRANGER, Rig, running
from tests.support.core import until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An application on an empty folder."""
    async with running(tmp_path) as made:
        yield made


async def test_a_page_needs_no_other_request(rig: Rig) -> None:
    """A stream begins with the uploads that are not over, as the list tells them, and goes on with what happens."""
    done, current = await rig.upload(b"done"), await rig.upload()
    client = await rig.listen()
    await client.hears("reset")
    (reset,) = client.heard
    assert reset.data["uploads"] == [(await rig.http.get(f"/api/uploads/{current}")).json()]
    assert reset.data["truncated"] is False
    assert done not in client.listener.view
    fresh = await rig.upload(b"fresh")
    await rig.append(current, 0, b"12345")
    await client.hears("reset", "created", "complete", "progress")
    await rig.delete(current)
    await client.hears("reset", "created", "complete", "progress", "terminated")
    assert [(heard.data["upload"], heard.id is None) for heard in client.heard[1:]] == [
        (fresh, False),
        (fresh, False),
        (current, True),
        (current, False),
    ]
    assert client["progress"][0].data["offset"] == 5
    assert client.reader.retry == 2000


async def test_every_event_has_its_form(rig: Rig) -> None:
    """JSON with a time, an upload, and, when it is stored, its number; frames are gathered."""
    client = await rig.listen()
    stored: tuple[Name, ...] = (
        "created", "complete", "published", "derived", "retracted", "failed", "terminated", "expired",
    )  # fmt: skip
    for name in stored:
        rig.tell(name, reason=f"why\n{name}")
    await client.hears("reset", *stored)
    for name, heard in zip(stored, client.heard[1:], strict=True):
        assert heard.data == {"seq": heard.id, "upload": STRANGER, "at": 1.0, "reason": f"why\n{name}"}
    for n in range(1000):
        rig.tell("frame", n=n, name=f"{n}\n.png")
    await until(lambda: bool(client["frame"]) and client["frame"][-1].data["count"] == 1000)
    assert len(client["frame"]) <= 2
    assert client["frame"][-1].data["frames"][-1] == {"n": 999, "name": "999\n.png"}
    assert all(heard.id is None for heard in client["frame"])


async def test_the_headers_keep_proxies_and_caches_from_holding_it_back(rig: Rig) -> None:
    """HEAD tells the same, and ends."""
    client = await rig.listen()
    looked = await rig.listen(method="HEAD", wait=False)
    await asyncio.wait_for(looked.task, 10)
    assert looked.over
    for headers in (client.headers, looked.headers):
        assert headers == {
            "content-type": "text/event-stream",
            "cache-control": "no-store",
            "x-accel-buffering": "no",
        }


async def test_a_silent_stream_says_that_it_is_still_there(rig: Rig) -> None:
    """Proxies close connections on which nothing happens; events come all the same."""
    rig.hub._limits = EventLimits(still=0.01)
    client = await rig.listen()
    await until(lambda: client.reader.comments[3:] == ["still here"])
    rig.tell("created")
    await client.hears("reset", "created")
    assert EventLimits().still == 15.0


async def test_of_many_uploads_the_newest_are_told(rig: Rig) -> None:
    """And that there are more."""
    records = [new_record(created_at=float(number)) for number in range(LISTED + 1)]
    over = [new_record(phase=phase, created_at=1e9) for phase in (Phase.COMPLETE, Phase.FAILED, Phase.TERMINATED)]
    await asyncio.gather(*(rig.app.house.state.create(record) for record in records + over))
    client = await rig.listen()
    await client.hears("reset")
    reset = client.heard[0].data
    assert [upload["id"] for upload in reset["uploads"]] == [record.upload.id for record in records[:0:-1]]
    assert reset["truncated"] is True


async def test_a_crowd_that_comes_at_once_shares_a_look(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come while somebody is being shown how things stand, one more look does; it is not older than they
    are."""
    rows, looks, gate = rig.hub._snapshots._rows, 0, asyncio.Event()
    current = rows.current

    async def held_up(limit: int) -> Any:
        nonlocal looks
        looks += 1
        found = await current(limit)
        await gate.wait()
        return found

    monkeypatch.setattr(rows, "current", held_up)
    first = await rig.listen(wait=False)
    await until(lambda: looks == 1)
    upload_id = await rig.upload()
    others = []
    for _ in range(50):
        others.append(await rig.listen(wait=False))
        await asyncio.sleep(0.001)
    gate.set()
    await until(lambda: all(client.heard for client in (first, *others)))
    assert looks == 2
    assert upload_id not in {upload["id"] for upload in first.heard[0].data["uploads"]}
    assert all(upload_id in client.listener.view for client in (first, *others))


async def test_the_progress_of_very_many_uploads_comes_in_pieces(rig: Rig) -> None:
    """So that no client is sent all of it at once; nothing of it is lost."""
    stuck = await rig.listen()
    await stuck.hears("reset")
    stuck.takes.clear()
    uploads = [new_record().upload.id for _ in range(1000)]
    for upload_id in uploads:
        rig.app.house.events.publish(Event("created", upload_id, 1.0))
        rig.app.house.events.publish(Event("progress", upload_id, 1.0, {"offset": 7, "padding": "x" * 200}))
    await until(lambda: stuck.sent > 10_000)
    assert stuck.sent < 100_000
    stuck.takes.set()
    await until(lambda: len(stuck["progress"]) == 1000)
    assert [heard.data["upload"] for heard in stuck["progress"]] == uploads
    assert stuck.largest < 150_000


async def test_a_stream_of_one_upload_tells_of_that_alone(rig: Rig) -> None:
    """And ends with it; whoever comes back then is told to stay away."""
    other, one = await rig.upload(), await rig.upload()
    client = await rig.listen(f"/api/uploads/{one}/events")
    await client.hears("reset")
    assert [upload["id"] for upload in client.heard[0].data["uploads"]] == [one]
    await rig.append(other, 0, b"1")
    await rig.append(one, 0, b"12")
    await rig.delete(other)
    await client.hears("reset", "progress")
    await rig.delete(one)
    await client.hears("reset", "progress", "terminated")
    await asyncio.wait_for(client.task, 10)
    assert client.over
    back = await rig.listen(f"/api/uploads/{one}/events", {"Last-Event-ID": str(client.heard[-1].id)})
    assert (back.status, back.heard) == (204, [])
    late = await rig.listen(f"/api/uploads/{one}/events", {"Last-Event-ID": str(client.heard[0].id)})
    await asyncio.wait_for(late.task, 10)
    assert late.names == ["terminated"]


async def test_an_upload_that_is_gone_is_told_so_once(rig: Rig) -> None:
    """A listener that knows nothing of it hears its phase, and the stream ends."""
    upload_id = await rig.upload()
    await rig.delete(upload_id)
    client = await rig.listen(f"/api/uploads/{upload_id}/events")
    await asyncio.wait_for(client.task, 10)
    assert client.names == ["reset"]
    assert client.heard[0].data["uploads"][0]["phase"] == "terminated"
    back = await rig.listen(f"/api/uploads/{upload_id}/events", {"Last-Event-ID": str(client.heard[0].id)})
    assert back.status == 204


@pytest.mark.parametrize("upload_id", [STRANGER, "nothing", "a" * 25, "A" * 26])
async def test_what_is_no_upload_has_no_stream(rig: Rig, upload_id: str) -> None:
    """404, as its description has."""
    client = await rig.listen(f"/api/uploads/{upload_id}/events", wait=False)
    await asyncio.wait_for(client.task, 10)
    assert client.status == 404
    assert b"urn:ferryman:problem:not-found" in client.problem
