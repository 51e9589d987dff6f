"""The whole application in the test's own loop, with archives of frames in all formats and packings to ask it for."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from ferryman_server.app import Application, create_app
from ferryman_server.auth import Guard, allow_everyone
from ferryman_server.backends import Backends
from ferryman_server.media.entries import DEFLATED, DEFLATED64, STORED, ZSTD
from ferryman_server.media.frame_formats import Format
from ferryman_server.settings import Settings
from ferryman_server.state.media import Medium
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore
from tests.server.media.picture_rig import as_rgb565, made, scene
from tests.server.media_api_rig import CONTENT, TUS, metadata, until
from tests.zips.build import Archive, Member

WIDTH, HEIGHT = 32, 24
METHODS: Final = {"stored": STORED, "deflated": DEFLATED, "Deflate64": DEFLATED64, "zstd": ZSTD}
ENDINGS: Final = {"png": "png", "jpeg": "jpg", "webp": "webp"}  # of pictures; raw frames end in .rgb565 or so
CODECS: Final = {"png": "png", "jpeg": "mjpeg", "webp": "libwebp"}


@dataclass(frozen=True)
class Film:
    """Frames that are to be uploaded."""

    format: str
    contents: Sequence[bytes]
    width: int = WIDTH
    height: int = HEIGHT
    fields: dict[str, Any] = field(default_factory=dict)

    def named(self, n: int) -> str:
        """The name of a frame's entry."""
        return f"frames/frame_{n:05}.{ENDINGS.get(self.format, 'raw')}"

    def archive(self, method: int = STORED, *, first: Sequence[Member] = ()) -> bytes:
        """The ZIP; `first`: what lies before its frames."""
        said = {"width": self.width, "height": self.height, "format": self.format, "fps": 12, **self.fields}
        described = Member(b"metadata.json", json.dumps(said).encode())
        frames = [Member(self.named(n).encode(), content, method) for n, content in enumerate(self.contents)]
        return Archive([described, *first, *frames]).to_bytes()


def film(format: str = "rgb565le", count: int = 3, width: int = WIDTH, height: int = HEIGHT) -> Film:
    """Frames that are all different (the last pixels of raw ones are); pictures are made by FFmpeg."""
    if format in CODECS:
        pixels = "yuvj420p" if format == "jpeg" else "rgb24" if format == "png" else "yuv420p"
        one = made(CODECS[format], width, height, pixels)
        return Film(
            format, [one + bytes([n]) for n in range(count)], width, height
        )  # what follows a picture is no matter
    rows = scene(width, height)
    one = rows if format == Format.RGB888 else as_rgb565(rows, width, height, format)
    return Film(format, [one[:-4] + n.to_bytes(4, "little") for n in range(count)], width, height)


class Watched(MemoryStore):
    """A store in memory that notes what is read of it, and can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []
        self.open_reads = 0
        self.fails_at: int | None = None  # a byte of an upload
        self.fails = False

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """As the store in memory does it."""
        self.reads.append((start, stop))
        return self._watched(super().read(upload_id, start, stop, published=published), start)

    def _watched(self, pieces: Iterator[memoryview], at: int) -> Iterator[memoryview]:
        self.open_reads += 1
        try:
            for piece in pieces:
                if self.fails or (self.fails_at is not None and at + len(piece) > self.fails_at):
                    raise StoreError("the disk is gone")
                yield piece
                at += len(piece)
        finally:
            self.open_reads -= 1


@dataclass(frozen=True)
class MediaRig:
    """A running application, its store and its client."""

    app: Application
    store: Store
    client: httpx.AsyncClient

    async def medium(self, data: bytes, name: str = "film.zip", **more: str) -> Medium:
        """What an upload of these bytes is made."""
        told = metadata({"filename": name, **more})
        fields = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": told}
        created = await self.client.post("/files/", headers=fields)
        assert created.status_code == 201, created.text
        location = created.headers["location"]
        sent = await self.client.patch(location, content=data, headers={**CONTENT, "Upload-Offset": "0"})
        assert sent.status_code == 204, sent.text
        library = self.app.house.state.library
        return await until(lambda: library.by_upload(location.rpartition("/")[2]))

    async def get(self, url: str, method: str = "GET", **fields: str) -> httpx.Response:
        """The answer to a request with these fields and none of a client's own; content codings are left alone."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        async with self.client.stream(method, url, headers=headers) as answer:
            content = b"".join([piece async for piece in answer.aiter_raw()])
        kept = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        whole = httpx.Response(answer.status_code, headers=kept, content=content)
        whole.headers = answer.headers
        return whole


@asynccontextmanager
async def serving_media(
    folder: Path, store: Store | None = None, guard: Guard = allow_everyone
) -> AsyncIterator[MediaRig]:
    """An application on real state in this folder, and on this store or a local one."""
    store = LocalStore(folder, durability="os") if store is None else store
    store.open()
    state = SqliteState(folder / "state.db", store_id=store.store_id, durable=False)
    app = create_app(Settings(data=folder), backends=Backends(state=state, store=store), guard=guard)
    transport = httpx.ASGITransport(app)
    async with app.running(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for name in list(client.headers):  # accept, accept-encoding…
            del client.headers[name]
        yield MediaRig(app, store, client)
