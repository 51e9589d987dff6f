"""A data folder whose bytes are in a bucket of a real MinIO: what a server leaves behind, made in a few lines."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.backends import open_backends, opened
from ferryman_server.digests import combine, crc64
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import Mark
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_signing import Keys
from ferryman_server.storage.s3_sums import summed
from ferryman_server.storage.s3_writer import S3Writer
from tests.minio import Minio

PREFIX = "library"


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """State and store, open."""

    state: SqliteState
    store: S3Store

    async def add(self, record: Record, content: bytes | None = None) -> str:
        """Store the row, and the bytes when there are some: the object of a complete upload, a tail of another one.
        Returns the id."""
        upload = record.upload
        record = replace(record, target=self.store.target(upload, record.created_at))
        if content is None:
            await self.state.create(record)
        else:
            await self.state.create(replace(record, upload=replace(upload, phase=Phase.EMPTY, offset=0), crc64=0))
            await self._append(record, content, 0)
        return upload.id

    async def append(self, upload_id: str, content: bytes, phase: Phase = Phase.RECEIVING) -> None:
        """A request with some more bytes."""
        record = await self.state.get(upload_id)
        assert record is not None
        offset = record.upload.offset
        upload = replace(record.upload, phase=phase, offset=offset + len(content))
        crc = combine(record.crc64, crc64([content]), len(content))
        await self._append(replace(record, upload=upload, crc64=crc), content, offset)

    async def _append(self, record: Record, content: bytes, offset: int) -> None:
        held = await self.state.lease(record.upload.id)
        assert held is not None
        writer = await asyncio.to_thread(self._written, record, held[1].fence, content, offset)
        noted = writer.noted()
        assert noted.mark == Mark(record.upload.offset, record.crc64)
        await self.state.save(record, held[1], notes=noted.notes)
        writer.committed()
        await asyncio.to_thread(writer.close)
        await self.state.release(held[1])

    def _written(self, record: Record, fence: int, content: bytes, offset: int) -> S3Writer:
        writer = self.store.noting_writer(record.upload.id, offset, fence, lambda: None)
        writer.write(memoryview(content))
        if record.upload.phase is Phase.COMPLETE:
            assert writer.complete()
        else:
            writer.sync()
        return writer

    async def phase(self, upload_id: str) -> Phase | None:
        """The phase in the row; None: no row."""
        record = await self.state.get(upload_id)
        return None if record is None else record.upload.phase

    async def leave_tail(self, upload_id: str, content: bytes = b"left") -> str:
        """Store a tail that no notes speak of, as an upload's deletion leaves it that failed; returns its key."""
        key = self.store._names.new_tail(upload_id, 0)
        await asyncio.to_thread(s3_calls.put, self.store._client, key, content, len(content), summed([content]), {})
        return key


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of its own on the shared MinIO, its folder, and what the settings say of both."""

    minio: Minio
    name: str
    data: Path
    endpoint: str

    @property
    def settings(self) -> Settings:
        """What a server is given."""
        return Settings(data=self.data, store=f"s3://{self.name}/{PREFIX}", s3_endpoint=self.endpoint, durability="os")

    @property
    def environment(self) -> Mapping[str, str]:
        """The same for a command, as variables."""
        return {
            "FERRYMAN_DATA": str(self.data),
            "FERRYMAN_STORE": self.settings.store,
            "FERRYMAN_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.minio.access_key,
            "AWS_SECRET_ACCESS_KEY": self.minio.secret_key,
        }

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[BucketFolder]:
        """Make or open it as a server does, without its lock."""
        backends = await asyncio.to_thread(open_backends, self.settings)
        async with opened(backends):
            yield BucketFolder(cast(SqliteState, backends.state), cast(S3Store, backends.store))

    def objects(self) -> list[str]:
        """Every key below the prefix, but for the store's own id."""
        found = self.minio.client().list_objects(self.name, prefix=f"{PREFIX}/", recursive=True)
        keys = [item.object_name for item in found if item.object_name is not None]
        return [key for key in keys if not key.endswith("/store.toml")]

    @contextmanager
    def client(self) -> Iterator[S3Client]:
        """A client of the server's own, with root's keys, straight to MinIO."""
        keys = Keys(access=self.minio.access_key, secret=self.minio.secret_key)
        client = S3Client(self.minio.endpoint, self.name, keys, "us-east-1")
        try:
            yield client
        finally:
            client.close()


def use(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """Have commands find this bucket's settings in the environment."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
