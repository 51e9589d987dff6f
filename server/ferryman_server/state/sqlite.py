"""The default state: one SQLite file, one process, one thread that writes and one that reads.

Writes are committed in groups (:mod:`ferryman_server.state.sqlite_thread`), so that many uploads share one sync.
Reads see everything whose write has returned. With SQLite there is one server process; a second one may only read.

Leases are kept in memory (:mod:`ferryman_server.state.leases`) and granted without a commit. A write is checked against
them when it is submitted; those already queued when a newer lease is granted end before its row is read.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ferryman_protocol.model import Phase
from ferryman_server.state import sqlite_queries as queries
from ferryman_server.state.base import Lease, Notes, Page, Record, StateError
from ferryman_server.state.cursors import from_cursor, to_cursor
from ferryman_server.state.leases import Leases
from ferryman_server.state.recent import Recent
from ferryman_server.state.sqlite_access import Access
from ferryman_server.state.sqlite_archives import SqliteArchives
from ferryman_server.state.sqlite_events import SqliteEvents
from ferryman_server.state.sqlite_library import SqliteLibrary
from ferryman_server.state.sqlite_outbox import SqliteOutbox
from ferryman_server.state.sqlite_schema import StoreMismatch, check_readable
from ferryman_server.state.sqlite_sessions import ReadSession, WriteSession
from ferryman_server.state.sqlite_thread import BatchThread, Failure, Work
from ferryman_server.state.sqlite_writes import Insert, Update

IDS_A_QUERY: Final = 500  # `existing` asks in pieces, so that other reads pass in between

T = TypeVar("T")


class SqliteState:
    """State in the SQLite file at `path`, whose folder must exist.

    `store_id` is the id that the store carries; the first open records it, a later open with another one raises
    StoreMismatch. With `readonly`, the file is opened beside a running server: nothing is migrated or recorded, every
    write raises StateError, and `store_id` may be None (not compared). With `durable=False` commits are not synced:
    they survive a killed process, not a power cut; the database stays whole.
    """

    def __init__(self, path: Path, *, store_id: str | None, readonly: bool = False, durable: bool = True) -> None:
        if store_id is None and not readonly:
            raise ValueError("store_id is needed to open the state for writing")
        self._path = path
        self._store_id = store_id
        self._readonly = readonly
        self._durable = durable
        self._leases = Leases(0)
        self._recent = Recent()  # with `readonly` nothing is in it: another process writes
        self._session: WriteSession | None = None
        self._writer: BatchThread | None = None
        self._reader: BatchThread | None = None
        self.previous_boot_id: str | None = None  # the kernel's boot id that the open before this one recorded
        access = Access(self._submit, self._read)
        self.archives = SqliteArchives(access)
        self.library = SqliteLibrary(access)
        self.outbox = SqliteOutbox(access)
        self.event_rows = SqliteEvents(access)

    @property
    def batches(self) -> int:
        """How many groups of writes have been handed to the writer thread since `open`."""
        return 0 if self._writer is None else self._writer.batches

    async def open(self) -> None:
        """Connect, migrate, record this open. Earlier leases are void.

        Raises StateError; StoreMismatch, a kind of it, when the file belongs to another store.
        """
        try:
            if self._readonly:
                await self._start_readonly()
            else:
                await self._start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Commit what is queued and disconnect. Idempotent."""
        for thread in (self._reader, self._writer):  # the writer last: who closes last folds the log into the file
            if thread is not None:
                await thread.stop()
        self._recent = Recent()

    async def create(self, record: Record, *, content: bytes | None = None) -> None:
        """Insert a new upload, its parts, and the content of one that is created complete. Raises StateError when the
        id is taken."""
        _demand_complete(record, content)
        await self._write(Insert(record, content), record.upload.id, lambda recent: recent.put(record))

    async def get(self, upload_id: str) -> Record | None:
        """The last committed row, or None."""
        return self._recent.get(upload_id) or await self._fetch(upload_id)

    async def lease(self, upload_id: str) -> tuple[Record, Lease] | None:
        """Take the write lease and read the row under it; None: no such row."""
        writer = self._for_writing()
        lease = self._leases.grant(upload_id)
        if writer.busy_with(upload_id) or (self._session is not None and self._session.in_doubt):
            # Behind writes of an earlier lease that are still queued, the row is read by the same thread, after them.
            # After a failed commit too: that thread first makes sure that it cannot come back. Whoever has a lease may
            # cut or delete what the row tells of.
            record = await writer.submit(lambda connection: queries.fetch(connection, upload_id), upload_id)
        else:
            record = self._recent.get(upload_id) or await self._fetch(upload_id)
        return None if record is None else (record, lease)

    async def release(self, lease: Lease) -> None:
        """Give the lease back. Idempotent."""
        self._leases.release(lease)

    async def save(
        self, record: Record, lease: Lease, *, content: bytes | None = None, notes: Notes | None = None
    ) -> None:
        """Commit everything but id, dialect, concatenation and creation time, the content of an upload that this
        completes, and notes. Raises Fenced."""
        _demand_complete(record, content)
        if record.upload.phase is Phase.COMPLETE:
            notes = None
        if record.upload.id != lease.upload_id:
            raise ValueError(f"the lease is for the upload {lease.upload_id}, the record is of {record.upload.id}")
        self._for_writing()
        self._leases.check(lease)
        await self._write(
            Update(record, lease, content, notes), lease.upload_id, lambda recent: recent.update(record, lease.fence)
        )

    async def note(self, upload_id: str, notes: Notes, lease: Lease | None = None) -> None:
        """Commit notes alone. Raises Fenced."""
        if lease is not None:
            self._for_writing()
            self._leases.check(lease)
        chosen = dict(notes)  # the caller's may change while this waits
        await self._for_writing().submit(lambda connection: queries.take_notes(connection, upload_id, chosen, lease))

    async def notes(self, upload_id: str) -> Mapping[str, str]:
        """The notes of an upload, as last committed."""
        return await self._read(lambda connection: queries.fetch_notes(connection, upload_id))

    async def delete(self, upload_id: str, lease: Lease) -> None:
        """Remove the row, its parts and its notes. Raises Fenced."""
        self._for_writing()
        self._leases.check(lease)
        await self._write(
            lambda connection: queries.remove(connection, lease), upload_id, lambda recent: recent.drop(upload_id)
        )
        self._leases.release(lease)

    async def redo(self, limit: int) -> Sequence[tuple[str, bytes]]:
        """Contents of complete uploads that only the database holds, the oldest first."""
        return await self._read(lambda connection: queries.fetch_redo(connection, limit))

    async def drop_redo(self, ids: Sequence[str]) -> None:
        """Forget these uploads' contents, all in one commit."""
        chosen = list(ids)  # the caller's may change while this waits
        if chosen:
            await self._for_writing().submit(lambda connection: queries.drop_redo(connection, chosen))

    async def page(self, *, limit: int, cursor: str | None = None) -> Page:
        """List uploads, newest first. Raises ValueError for a cursor that is not ours."""
        after = None if cursor is None else from_cursor(cursor)
        records = await self._read(lambda connection: queries.fetch_page(connection, limit + 1, after))
        told = records[:limit]
        more = len(records) > limit and bool(told)
        return Page(records=told, next=to_cursor((told[-1].created_at, told[-1].upload.id)) if more else None)

    async def due(self, now: float, limit: int) -> Sequence[Record]:
        """Unpublished uploads with expires_at up to `now`, and expired or terminated ones; the longest due first."""
        return await self._read(lambda connection: queries.fetch_due(connection, now, limit))

    async def in_phases(self, phases: Sequence[str]) -> Sequence[Record]:
        """Every upload in one of these phases, oldest first."""
        return await self._read(lambda connection: queries.fetch_in_phases(connection, phases))

    async def waiting_on(self, partial_id: str) -> Sequence[Record]:
        """Final uploads in phase WAITING that name this partial, oldest first."""
        return await self._read(lambda connection: queries.fetch_waiting_on(connection, partial_id))

    async def existing(self, ids: Sequence[str]) -> frozenset[str]:
        """Which of these ids have a row."""
        found: set[str] = set()
        for start in range(0, len(ids), IDS_A_QUERY):
            found.update(await self._read(_existing(ids[start : start + IDS_A_QUERY])))
        return frozenset(found)

    async def counts(self) -> dict[str, int]:
        """How many uploads are in each phase; every phase is there."""
        return await self._read(queries.count_phases)

    async def _start(self) -> None:
        assert self._store_id is not None
        self._session = session = WriteSession(self._path, self._store_id, durable=self._durable)
        self._writer = BatchThread(session, name="ferryman-state-writer")
        await self._writer.start()
        assert session.opening is not None
        self.previous_boot_id = session.opening.previous_boot_id
        self._leases = Leases(session.opening.term)
        self._reader = BatchThread(ReadSession(self._path), name="ferryman-state-reader")
        await self._reader.start()

    async def _start_readonly(self) -> None:
        if not self._path.exists():
            raise StateError(f"There is no database {self._path}: no server has run on this data folder yet.")
        session = ReadSession(
            self._path, mode="ro", check=lambda connection: check_readable(connection, self._path, self._store_id)
        )
        self._reader = BatchThread(session, name="ferryman-state-reader")
        await self._reader.start()

    async def _write(self, work: Work[None], upload_id: str, succeeded: Callable[[Recent], None]) -> None:
        """Write to one row; `succeeded` says what is then known about it."""
        writer, recent = self._for_writing(), self._recent

        def told(outcome: object) -> None:
            if isinstance(outcome, Failure):
                recent.drop(upload_id)
            else:
                succeeded(recent)

        recent.writing(upload_id)
        await writer.submit(work, upload_id, told)

    async def _fetch(self, upload_id: str) -> Record | None:
        """A row from the database. Taken into the recent ones unless somebody writes it meanwhile."""
        recent = self._recent
        if self._writer is None or self._writer.busy_with(upload_id):
            return await self._read(lambda connection: queries.fetch(connection, upload_id))
        right = recent.reading(upload_id)

        def told(outcome: object) -> None:
            recent.take_in(right, upload_id, outcome if isinstance(outcome, Record) else None)

        return await self._for_reading().submit(lambda connection: queries.fetch(connection, upload_id), told=told)

    async def _submit(self, work: Work[T]) -> T:
        return await self._for_writing().submit(work)

    async def _read(self, work: Work[T]) -> T:
        return await self._for_reading().submit(work)

    def _for_writing(self) -> BatchThread:
        if self._readonly:
            raise StateError(f"The database {self._path} was opened for reading only.")
        if self._writer is None:
            raise StateError("The state is not open yet.")
        return self._writer

    def _for_reading(self) -> BatchThread:
        if self._reader is None:
            raise StateError("The state is not open yet.")
        return self._reader


def _demand_complete(record: Record, content: bytes | None) -> None:
    if content is not None and record.upload.phase is not Phase.COMPLETE:
        raise ValueError(f"content is kept for complete uploads only, and {record.upload.id} is {record.upload.phase}")


def _existing(ids: Sequence[str]) -> Work[list[str]]:
    def work(connection: sqlite3.Connection) -> list[str]:
        return queries.fetch_existing(connection, ids)

    return work


__all__ = ["SqliteState", "StoreMismatch"]
