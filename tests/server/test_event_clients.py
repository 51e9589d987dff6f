"""Who may listen to events; listeners that stall, leave or are too many; a server that stops under them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem
from ferryman_server.app import create_app
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.event_hub import LISTENERS
from ferryman_server.event_log import KEPT
from ferryman_server.events import Event
from ferryman_server.settings import Settings
from ferryman_server.state.base import StateError
from ferryman_server.wire import Protocol, protocol_class
from tests.server.event_rig import STRANGER, Rig, running
from tests.support.core import until
from tests.support.raw_http import RawClient, head
from tests.support.serving import Serving


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An application on an empty folder."""
    async with running(tmp_path) as made:
        yield made


async def test_the_guard_is_asked_as_for_the_list_and_for_one(tmp_path: Path) -> None:
    """Whom it refuses is told why, and takes no place."""
    asked: list[tuple[Action, str | None]] = []

    async def guard(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
        asked.append((action, upload.id if upload else None))
        if action in (Action.LIST, Action.INSPECT) and "authorization" not in caller.headers:
            return Refuse(problem=Problem(kind=problems.FORBIDDEN, detail="not you"))
        return Allow()

    async with running(tmp_path, guard) as rig:
        upload_id = await rig.upload()
        asked.clear()
        for path, action in (("/api/events", Action.LIST), (f"/api/uploads/{upload_id}/events", Action.INSPECT)):
            for method in ("GET", "HEAD"):
                refused = await rig.listen(path, method=method, wait=False)
                await asyncio.wait_for(refused.task, 10)
                assert refused.status == 403
            allowed = await rig.listen(path, {"Authorization": "me"})
            assert allowed.status == 200
            assert {each for each, _ in asked} == {action}
            asked.clear()


async def test_other_origins_and_names_hear_nothing(rig: Rig) -> None:
    """No answer allows another site's page to read it, and a foreign name is refused as for the list."""
    client = await rig.listen(fields={"Origin": "http://localhost:9"})
    assert client.status == 200
    assert not [name for name in client.headers if name.startswith("access-control")]
    for path in ("/api/events", f"/api/uploads/{STRANGER}/events"):
        foreign = await rig.listen(path, {"Host": "evil.example"})
        await asyncio.wait_for(foreign.task, 10)
        assert foreign.status == 421


async def test_there_is_room_for_so_many_listeners(rig: Rig) -> None:
    """One more is asked to come later; who leaves makes room."""
    clients = [await rig.listen(wait=False) for _ in range(LISTENERS)]
    await until(lambda: all(client.heard for client in clients))
    refused = await rig.listen()
    await asyncio.wait_for(refused.task, 10)
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    assert b"256 listeners" in refused.problem
    await clients[100].leave()
    await (await rig.listen()).hears("reset")


async def test_a_client_that_takes_nothing_holds_nobody_up_and_costs_next_to_nothing(rig: Rig) -> None:
    """It is sent no more until it takes that; then it is told how things stand."""
    stuck, quick = await rig.listen(), await rig.listen()
    await stuck.hears("reset")
    stuck.takes.clear()
    for number in range(3 * KEPT):
        rig.tell("created", number=number)
        if number % 500 == 499:
            await until(lambda: bool(quick["created"]) and quick["created"][-1].data["number"] == number)  # noqa: B023
    assert quick.names == ["reset", *["created"] * (3 * KEPT)]
    assert stuck.sent < 200_000  # of some five million bytes
    stuck.takes.set()
    await until(lambda: bool(stuck["reset"][1:]))
    assert stuck.heard[-1].id == quick.heard[-1].id
    rig.tell("complete")
    await until(lambda: stuck.names[-1] == "complete")


async def test_progress_that_nobody_took_in_time_is_made_good(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more uploads than are kept in mind, a stuck client hears by looking anew."""
    monkeypatch.setattr(rig.hub._gathering, "_most", 10)
    stuck, quick = await rig.listen(), await rig.listen()
    await stuck.hears("reset")
    stuck.takes.clear()
    uploads = [await rig.upload() for _ in range(12)]
    await until(lambda: len(quick["created"]) == 12)
    for upload_id in uploads:
        await rig.append(upload_id, 0, b"12345")
        await until(lambda: quick.listener.view[upload_id]["offset"] == 5)  # noqa: B023
    stuck.takes.set()
    await until(lambda: [upload["offset"] for upload in stuck.listener.view.values()] == [5] * 12)
    assert len(stuck["reset"]) == 2


async def test_a_client_that_leaves_is_forgotten(rig: Rig) -> None:
    """Also in the middle of being sent something; with the last one goes what was kept for them all."""
    hub = rig.hub
    quiet, stuck = await rig.listen(), await rig.listen()
    stuck.takes.clear()
    rig.tell("created")
    rig.tell("progress", offset=1)
    await until(lambda: len(hub._gathering) == 1)
    for client in (quiet, stuck):
        assert client.task in asyncio.all_tasks()
        await client.leave()
    assert not hub._followers
    assert len(hub._gathering) == 0
    rig.tell("progress", offset=2)
    assert len(hub._gathering) == 0


async def test_streams_end_when_the_server_stops(rig: Rig) -> None:
    """Each comes to a proper end; one that is asked for now begins and ends."""
    one = await rig.upload()
    clients = [await rig.listen(), await rig.listen(f"/api/uploads/{one}/events")]
    rig.app.stopping()
    clients.append(await rig.listen())
    for client in clients:
        await asyncio.wait_for(client.task, 10)
        assert client.over


def test_a_client_that_takes_nothing_does_not_keep_a_server_from_stopping(tmp_path: Path) -> None:
    """Its connection is cut, for there is no end to what it does not take."""
    app = create_app(Settings(data=tmp_path, durability="os"))
    loops: list[asyncio.AbstractEventLoop] = []

    async def observed(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await app(scope, receive, send)

    async def publish_until_stuck() -> None:
        (connection,) = server.server.server_state.connections
        assert isinstance(connection, Protocol)
        while not connection.flow.write_paused:
            for number in range(200):
                padding = Event("created", STRANGER, 1.0, {"padding": "x" * 1000, "number": number})
                app.house.events.publish(padding)
            await asyncio.sleep(0.01)
        app.stopping()

    server = Serving(observed, http=protocol_class(), lifespan="on")
    with RawClient(server.port) as stuck:
        stuck.send(head("GET", "/api/events", host="127.0.0.1"))
        assert stuck.socket.recv(1000).startswith(b"HTTP/1.1 200 ")
        asyncio.run_coroutine_threadsafe(publish_until_stuck(), loops[-1]).result(60)
        server.close()  # waits for every connection


async def test_without_its_database_a_stream_does_not_begin(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """503; and one that has begun ends, so that its client comes again."""
    client = await rig.listen()

    async def fails(limit: int) -> Any:
        raise StateError("the disk is gone")

    monkeypatch.setattr(rig.hub._snapshots._rows, "current", fails)
    refused = await rig.listen()
    assert refused.status == 503
    assert b"storage-unavailable" in refused.problem
    client.takes.clear()
    before = client.sent
    rig.tell("created")
    await until(lambda: client.sent > before)
    for _ in range(2 * KEPT):
        rig.tell("created")
    client.takes.set()
    await asyncio.wait_for(client.task, 10)
    assert client.over
    assert client.names == ["reset", "created"]
