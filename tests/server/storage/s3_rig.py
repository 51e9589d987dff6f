"""The S3 store on a real MinIO, with books that the tests keep."""

import time
from collections.abc import Callable
from dataclasses import replace

from ferryman_protocol.model import Phase, Upload
from ferryman_server.storage.base import StoreError, Writer
from ferryman_server.storage.ledger import Entry, Noted, Notes
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_signing import Keys
from ferryman_server.storage.s3_sums import CRC32C, Algorithm
from ferryman_server.storage.s3_writer import S3Writer
from tests.minio import Minio

MIB = 1 << 20
CREATED_AT = 1_795_000_000.0  # seconds since the epoch


class Shelf:
    """A ledger in memory: what the state does, for tests. `fence`: of the newest lease, of each upload."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.fences: dict[str, int] = {}

    def look_up(self, upload_id: str) -> Entry | None:
        """An upload, with its notes."""
        return self.entries.get(upload_id)

    def note(self, upload_id: str, notes: Notes, fence: int | None) -> None:
        """Write notes."""
        if fence is not None and fence < self.fences.get(upload_id, 0):
            raise StoreError("the lease was passed on")
        entry = self.entries.get(upload_id)
        if entry is not None:
            self.entries[upload_id] = replace(entry, notes=_changed(entry, notes))

    def commit(self, upload_id: str, noted: Noted, phase: Phase | None = None) -> None:
        """What a transfer's commit does."""
        entry = self.entries[upload_id]
        upload = replace(entry.upload, offset=noted.mark.offset, phase=phase or Phase.RECEIVING)
        notes = {} if phase is Phase.COMPLETE else _changed(entry, noted.notes)
        self.entries[upload_id] = replace(entry, upload=upload, crc64=noted.mark.crc64, notes=notes)


def _changed(entry: Entry, notes: Notes) -> dict[str, str]:
    return {name: value for name, value in {**entry.notes, **notes}.items() if value is not None}


class Place:
    """A bucket on a MinIO, and the books of what is in it; processes open and leave it."""

    def __init__(self, minio: Minio, bucket: str, *, endpoint: str | None = None, memory: int = 64 << 20) -> None:
        self.minio = minio
        self.bucket = bucket
        self.names = Names("library")
        self.shelf = Shelf()
        self.memory = memory
        self._endpoint = endpoint or minio.endpoint
        self.opened: list[S3Store] = []

    def store(self, algorithm: Algorithm = CRC32C) -> S3Store:
        """The store as a new process opens it, with this setting."""
        keys = Keys(access=self.minio.access_key, secret=self.minio.secret_key)
        client = S3Client(self._endpoint, self.bucket, keys, "us-east-1", algorithm)
        store = S3Store(client, self.names, self.shelf, memory=self.memory)
        self.opened.append(store)
        store.open()
        return store

    def close(self) -> None:
        """Close everything that was opened."""
        for store in self.opened:
            store.close()

    def create(self, upload_id: str, **fields: object) -> Upload:
        """Make an upload's row."""
        upload = Upload(id=upload_id, phase=Phase.EMPTY, **fields)  # type: ignore[arg-type]
        self.shelf.entries[upload_id] = Entry(upload=upload, target=self.names.target(upload, CREATED_AT))
        return upload

    def keys(self, prefix: str = "") -> list[str]:
        """Every key in the bucket below a prefix of it, but for the store's own id."""
        found = self.minio.client().list_objects(self.bucket, prefix=f"library/{prefix}", recursive=True)
        return [item.object_name for item in found if item.object_name and not item.object_name.endswith("store.toml")]

    def keys_at_rest(self, count: int) -> list[str]:
        """Every key once there are no more than so many: what was replaced is deleted in the background."""
        over = time.monotonic() + 20
        while len(found := self.keys()) > count and time.monotonic() < over:
            time.sleep(0.02)
        return found

    def content(self, upload_id: str) -> bytes:
        """A finished upload's object."""
        target = self.shelf.entries[upload_id].target
        assert target is not None
        response = self.minio.client().get_object(self.bucket, target)
        try:
            return response.data
        finally:
            response.close()
            response.release_conn()


def opened(
    place: Place,
    store: S3Store,
    upload_id: str,
    *,
    fence: int = 0,
    told: Callable[[], None] = lambda: None,
    ends_at: int | None = None,
) -> S3Writer:
    """A writer where the upload's row says that it goes on."""
    entry = place.shelf.entries[upload_id]
    return store.noting_writer(upload_id, entry.upload.offset, fence, told, ends_at)


def write(writer: Writer, content: bytes, step: int = MIB) -> None:
    """Write it in pieces, as a body brings them."""
    for start in range(0, len(content), step):
        writer.write(memoryview(content)[start : start + step])


def fill(writer: S3Writer, content: bytes | memoryview) -> None:
    """Put it right into the writer's memory, as the pump does with a body that flows."""
    rest = memoryview(content)
    while rest:
        space = writer.space()
        count = min(len(space), len(rest))
        space[:count] = rest[:count]
        writer.filled(count)
        rest = rest[count:]


def checkpoint(place: Place, writer: S3Writer, upload_id: str, phase: Phase | None = None) -> Noted:
    """Make durable and commit what was written."""
    writer.sync()
    return committed(place, writer, upload_id, phase)


def committed(place: Place, writer: S3Writer, upload_id: str, phase: Phase | None = None) -> Noted:
    """Commit what is durable."""
    noted = writer.noted()
    place.shelf.commit(upload_id, noted, phase)
    writer.committed()
    return noted


def finished(place: Place, store: S3Store, writer: S3Writer, upload_id: str) -> None:
    """What a transfer and the finisher do with the last byte."""
    published = writer.complete()
    noted = committed(place, writer, upload_id, Phase.COMPLETE if published else Phase.FINISHING)
    writer.close()
    if not published:
        store.publish(upload_id, noted.mark.offset)
        place.shelf.commit(upload_id, noted, Phase.COMPLETE)
