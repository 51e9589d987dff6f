"""The whole application in the test's own loop, asked over ASGI, and archives of frames to send it."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from ferryman_server.app import Application, create_app
from ferryman_server.auth import Guard, allow_everyone
from ferryman_server.house import House
from ferryman_server.settings import Settings

T = TypeVar("T")

WIDTH, HEIGHT = 4, 3
SIZE = WIDTH * HEIGHT * 2  # bytes of a frame
TUS = {"Tus-Resumable": "1.0.0"}
CONTENT = {**TUS, "Content-Type": "application/offset+octet-stream"}


def archive(count: int, *, first: int = 0, said: dict[str, Any] | None = None) -> bytes:
    """A stored archive of so many raw frames, always the same bytes; `said` replaces fields of its metadata.json."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as files:
        described = {"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": 10, **(said or {})}
        files.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(described))
        for n in range(first, first + count):
            files.writestr(zipfile.ZipInfo(f"frames/{n}.rgb"), bytes([n % 256]) * SIZE)
    return out.getvalue()


def ordinary() -> bytes:
    """An archive that nobody takes for frames."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as files:
        files.writestr("report.txt", "all is well")
    return out.getvalue()


def metadata(values: dict[str, str]) -> str:
    """Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


@dataclass(frozen=True)
class Rig:
    """A running application and its client."""

    app: Application
    client: httpx.AsyncClient

    @property
    def house(self) -> House:
        """The rooms behind it."""
        return self.app.house

    async def get(self, url: str) -> Any:
        """The document at this URL."""
        answer = await self.client.get(url)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def begun(self, length: int, name: str = "film.zip", **more: str) -> str:
        """An upload of which nothing is there yet; its id."""
        fields = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata({"filename": name, **more})}
        answer = await self.client.post("/files/", headers=fields)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].rpartition("/")[2]

    async def sent(self, upload_id: str, offset: int, data: bytes) -> None:
        """More of it."""
        fields = {**CONTENT, "Upload-Offset": str(offset)}
        answer = await self.client.patch(f"/files/{upload_id}", content=data, headers=fields)
        assert answer.status_code == 204, answer.text

    async def upload(self, data: bytes, name: str = "film.zip", **more: str) -> str:
        """A whole upload; its id."""
        upload_id = await self.begun(len(data), name, **more)
        await self.sent(upload_id, 0, data)
        return upload_id

    async def half_sent(self, count: int) -> tuple[str, bytes]:
        """A running upload of an archive whose first half is there and indexed; what is missing."""
        data = archive(count)
        half = len(data) // 2
        with zipfile.ZipFile(io.BytesIO(data)) as files:
            ends = [each.header_offset + 30 + len(each.filename) + each.file_size for each in files.infolist()]
        upload_id = await self.begun(len(data))
        await self.sent(upload_id, 0, data[:half])

        async def indexed() -> bool:
            told = await self.get(f"/api/uploads/{upload_id}/frames")
            return bool(told["entries"] == sum(end <= half for end in ends))

        await until(indexed)
        return upload_id, data[half:]

    async def processing(self, upload_id: str) -> dict[str, Any]:
        """What has become of an archive, once it is not being indexed any more."""

        async def look() -> Any:
            told = (await self.get(f"/api/uploads/{upload_id}"))["processing"]
            return told if told is not None and told["phase"] != "indexing" else None

        found: dict[str, Any] = await until(look)
        return found

    async def medium(self, name: str = "film.zip", data: bytes | None = None) -> dict[str, Any]:
        """A medium made of an upload: of three frames, if not of these data."""
        upload_id = await self.upload(archive(3) if data is None else data, name)
        medium = await until(lambda: self.house.state.library.by_upload(upload_id))
        found: dict[str, Any] = await self.get(f"/api/media/{medium.slug}")
        return found


@asynccontextmanager
async def running(settings: Settings | None = None, guard: Guard = allow_everyone) -> AsyncIterator[Rig]:
    """Everything in memory, if the settings do not say otherwise."""
    app = create_app(settings or Settings(store="memory"), guard=guard)
    transport = httpx.ASGITransport(app)
    async with app.running(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield Rig(app, client)


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until there is something; that."""
    for _ in range(4000):
        if found := await look():
            return found
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:ferryman:problem:{code}", document
    return document
