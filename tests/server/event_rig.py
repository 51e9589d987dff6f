"""A whole application in the test's own loop, and clients of its streams that listen, stall or leave as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx

from ferryman_server.app import Application, create_app
from ferryman_server.auth import Guard, allow_everyone
from ferryman_server.event_hub import EventHub
from ferryman_server.events import Event, Name
from ferryman_server.settings import Settings
from tests.support.core import until
from tests.support.listening import Heard, Listener, Reader

STRANGER: Final = "z" * 26  # no upload
TUS: Final = {"Tus-Resumable": "1.0.0"}
STREAM: Final = {"Content-Type": "application/offset+octet-stream"}


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

    @property
    def hub(self) -> EventHub:
        """What its streams come from."""
        return self.app._api.streams

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
        assert not rig.hub._followers
