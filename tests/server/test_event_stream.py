"""Streams of events as clients see them: the whole application, and those that listen, stall, leave or are too many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.model import Phase, Upload
from ferryman_protocol.problems import Problem
from ferryman_server.app import Application, create_app
from ferryman_server.auth import Action, Allow, Caller, Guard, Refuse, allow_everyone
from ferryman_server.event_hub import LISTENERS, EventLimits
from ferryman_server.event_log import KEPT
from ferryman_server.event_snapshots import LISTED
from ferryman_server.events import Event, Name
from ferryman_server.settings import Settings
from ferryman_server.state.base import StateError
from ferryman_server.state.testing_records import new_record
from ferryman_server.wire import Protocol, protocol_class
from tests.support.core import until
from tests.support.listening import Heard, Listener, Reader
from tests.support.raw_http import RawClient, head
from tests.support.serving import Serving

STRANGER = "z" * 26
TUS = {"Tus-Resumable": "1.0.0"}
STREAM = {"Content-Type": "application/offset+octet-stream"}


class Client:
    """A connection to an application in this process, on which one stream is asked for."""

    def __init__(self, app: Application, path: str, fields: dict[str, str], method: str, query: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.heard: list[Heard] = []
        self.reader = Reader()
        self.listener = Listener()
        self.over = False  # the answer came to its end
        self.problem = b""
        self.takes = asyncio.Event()  # cleared: the client takes nothing of what it is sent
        self.takes.set()
        self.sent = 0  # bytes handed over, taken or not …
        self.largest = 0  # … and the most at once
        self._left = asyncio.Event()
        self._asked = False
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 1080),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    def __getitem__(self, name: str) -> list[Heard]:
        """The events of this name."""
        return [heard for heard in self.heard if heard.name == name]

    @property
    def names(self) -> list[str]:
        """The names of all events, in order."""
        return [heard.name for heard in self.heard]

    async def hears(self, *names: str) -> None:
        """Wait until these are all that was heard."""
        with suppress(AssertionError):
            await until(lambda: self.names == list(names))
        assert self.names == list(names)

    async def leave(self) -> None:
        """Close the connection; the answer must end by that."""
        self._left.set()
        await asyncio.wait_for(self.task, 10)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        body = message.get("body", b"")
        self.sent += len(body)
        self.largest = max(self.largest, len(body))
        await self.takes.wait()
        if self.headers.get("content-type") != "text/event-stream":
            self.problem += body
        for heard in self.reader.feed(body) if not self.problem else ():
            self.heard.append(heard)
            self.listener.hear(heard)
        self.over = not message.get("more_body", False)


class Rig:
    """An application that runs, and who talks to it."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
        self.clients: list[Client] = []

    async def listen(
        self,
        path: str = "/api/events",
        fields: dict[str, str] | None = None,
        *,
        method: str = "GET",
        query: str = "",
        wait: bool = True,
        listener: Listener | None = None,
    ) -> Client:
        """Ask for a stream, and wait until it begins. `listener`: who comes back."""
        client = Client(self.app, path, {"Host": "127.0.0.1", **(fields or {})}, method, query)
        client.listener = listener or client.listener
        self.clients.append(client)
        if wait:
            await until(lambda: client.status != 0 and (client.sent > 0 or client.task.done()))
        return client

    async def upload(self, content: bytes | None = None, length: int = 100, name: str | None = None) -> str:
        """Create an upload, with its content or without; its id."""
        fields = {**TUS, "Upload-Length": str(length if content is None else len(content))}
        if content is not None:
            fields |= STREAM
        answer = await self.http.post("/files/", headers=fields, content=content)
        assert answer.status_code == 201
        return str(answer.headers["location"].rpartition("/")[2])

    async def append(self, upload_id: str, offset: int, content: bytes) -> None:
        """Send some of an upload."""
        fields = {**TUS, **STREAM, "Upload-Offset": str(offset)}
        assert (await self.http.patch(f"/files/{upload_id}", headers=fields, content=content)).status_code == 204

    async def delete(self, upload_id: str) -> None:
        """Delete an upload."""
        assert (await self.http.delete(f"/files/{upload_id}", headers=TUS)).status_code == 204

    def tell(self, event: Name, **data: object) -> None:
        """Something happens to an upload."""
        self.app.house.events.publish(Event(event, STRANGER, 1.0, data))


@asynccontextmanager
async def running(data: Path, guard: Guard = allow_everyone, **settings: Any) -> AsyncIterator[Rig]:
    """An application for the length of the `async with`."""
    app = create_app(Settings(data=data, durability="os", **settings), guard=guard)
    async with app.running():
        rig = Rig(app)
        yield rig
        await rig.http.aclose()
        for client in rig.clients:
            await client.leave()
        assert not rig.app._api.streams._followers


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An application on an empty folder."""
    async with running(tmp_path) as made:
        yield made


# what is told


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
        "created", "complete", "published", "retracted", "failed", "terminated", "expired",
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
    rig.app._api.streams._limits = EventLimits(still=0.01)
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
    rows, looks, gate = rig.app._api.streams._snapshots._rows, 0, asyncio.Event()
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


# coming back


@pytest.mark.parametrize("by", ["field", "query", "both"])
async def test_a_listener_goes_on_where_it_was(rig: Rig, by: str) -> None:
    """By the field, which browsers send when they come back, or by the URL; the field counts more."""
    client = await rig.listen()
    for number in range(5):
        rig.tell("created", number=number)
    await until(lambda: len(client.heard) == 6)
    ids = [heard.id for heard in client.heard]
    await client.leave()
    rig.tell("created", number=5)
    last, early = str(ids[3]), str(ids[1])
    fields = {} if by == "query" else {"Last-Event-ID": last}
    query = "" if by == "field" else urlencode({"last_event_id": last if by == "query" else early})
    back = await rig.listen(fields=fields, query=query)
    rig.tell("created", number=6)
    await until(lambda: len(back.heard) == 4)
    assert [heard.data["number"] for heard in back.heard] == [3, 4, 5, 6]


async def test_a_listener_that_missed_nothing_hears_nothing(rig: Rig) -> None:
    """Its stream begins all the same."""
    client = await rig.listen()
    await client.hears("reset")
    back = await rig.listen(fields={"Last-Event-ID": str(client.heard[0].id)})
    assert (back.status, back.reader.retry, back.heard) == (200, 2000, [])
    rig.tell("created")
    await back.hears("created")


async def test_a_listener_that_comes_back_hears_how_far_uploads_are(rig: Rig) -> None:
    """As far as others have been told it meanwhile."""
    other, client = await rig.listen(), await rig.listen()
    upload_id = await rig.upload()
    await client.hears("reset", "created")
    await client.leave()
    await rig.append(upload_id, 0, b"12345")
    await other.hears("reset", "created", "progress")
    back = await rig.listen(fields={"Last-Event-ID": str(client.heard[-1].id)}, listener=client.listener)
    await back.hears("progress")
    assert back.listener.view[upload_id]["offset"] == 5


@pytest.mark.parametrize("last", ["0", "1", "9" * 16, "9" * 40, "-1", "x", "%00", "1.5", "\u0661"])
@pytest.mark.parametrize("by", ["field", "query"])
async def test_an_id_that_is_not_known_begins_anew(rig: Rig, last: str, by: str) -> None:
    """Too old, of another database, or no number at all."""
    rig.tell("created")
    fields = {"Last-Event-ID": last} if by == "field" else {}
    client = await rig.listen(fields=fields, query="" if by == "field" else urlencode({"last_event_id": last}))
    await client.hears("reset")


async def test_a_new_process_goes_on_with_what_it_finds(tmp_path: Path) -> None:
    """After a graceful end listeners have missed nothing but what they are told now."""
    async with running(tmp_path) as rig:
        client = await rig.listen()
        one = await rig.upload(b"one")
        await client.hears("reset", "created", "complete")
        await client.leave()
        two = await rig.upload()
    async with running(tmp_path) as rig:
        back = await rig.listen(fields={"Last-Event-ID": str(client["created"][0].id)})
        await rig.append(two, 0, b"x" * 100)
        await back.hears("complete", "created", "complete")
        assert [heard.data["upload"] for heard in back.heard] == [one, two, two]


# one upload


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


# who may listen


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


# slow clients, clients that leave, a server that stops


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
    monkeypatch.setattr(rig.app._api.streams._gathering, "_most", 10)
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
    hub = rig.app._api.streams
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


# a state that fails


async def test_without_its_database_a_stream_does_not_begin(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """503; and one that has begun ends, so that its client comes again."""
    client = await rig.listen()

    async def fails(limit: int) -> Any:
        raise StateError("the disk is gone")

    monkeypatch.setattr(rig.app._api.streams._snapshots._rows, "current", fails)
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
