"""A real data folder with uploads in chosen phases: what a server leaves behind, made in a few lines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ferryman_protocol.ids import new_id
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.digests import Crc64
from ferryman_server.state.base import Record
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.local import LocalStore


def id_of(number: int) -> str:
    """The upload id made of a number."""
    return new_id(number.to_bytes(16))


def record_of(
    number: int,
    phase: Phase,
    content: bytes = b"",
    *,
    length: int | None = None,
    at: float = 0.0,
    expires_at: float | None = None,
    concat: Concat | None = None,
    parts: tuple[int, ...] = (),
    filename: str | None = None,
) -> Record:
    """A row for these bytes; `at` is when it was made, changed and, if it is, completed (seconds)."""
    crc = Crc64()
    crc.update(memoryview(content))
    upload = Upload(
        id=id_of(number),
        phase=phase,
        offset=len(content),
        length=len(content) if phase is Phase.COMPLETE else length,
        expires_at=expires_at,
        concat=concat,
        parts=tuple(map(id_of, parts)),
        filename=filename,
    )
    completed_at = at if phase is Phase.COMPLETE else None
    return Record(upload=upload, crc64=crc.value, created_at=at, updated_at=at, completed_at=completed_at)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """State and store, open."""

    path: Path
    state: SqliteState
    store: LocalStore

    async def add(self, record: Record, content: bytes | None = None) -> str:
        """Store the row, and the bytes when there are some: published for a complete upload. Returns the id."""
        if content is not None:
            self.put(record.upload.id, content, published=record.upload.phase is Phase.COMPLETE)
        await self.state.create(record)
        return record.upload.id

    def put(self, upload_id: str, content: bytes, *, published: bool = False) -> None:
        """Store bytes without a row."""
        writer = self.store.writer(upload_id, 0)
        writer.write(memoryview(content))
        writer.sync()
        writer.close()
        if published:
            self.store.publish(upload_id, len(content))

    def files(self) -> dict[str, bool]:
        """The ids that have a file → whether it is published."""
        return {stray.upload_id: stray.published for stray in self.store.strays()}

    async def phase(self, upload_id: str) -> Phase | None:
        """The phase in the row; None: no row."""
        record = await self.state.get(upload_id)
        return None if record is None else record.upload.phase


@asynccontextmanager
async def data_folder(path: Path) -> AsyncIterator[DataFolder]:
    """Make or open a data folder as a server does, without its lock."""
    store = LocalStore(path, durability="os")
    store.open()
    state = SqliteState(path / "state.db", store_id=store.store_id)
    await state.open()
    try:
        yield DataFolder(path, state, store)
    finally:
        await state.close()
        store.close()
