"""The ways in which a whole upload, held in memory, is made durable and complete.

Both reserve room first, so that what is in memory is bounded. `commit` gives it back in the end, or hands it on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Protocol

from ferryman_protocol.model import Phase
from ferryman_server.completion import completed
from ferryman_server.digests import crc64
from ferryman_server.house import House
from ferryman_server.state.base import Lease, Record
from ferryman_server.storage.base import SyncFailed
from ferryman_server.storage.ledger import PutsWhole
from ferryman_server.together import MOST, ROOM


class Way(Protocol):
    """One of them."""

    in_steps: bool  # it takes several, and whoever waits for it may be cancelled between them
    needs_row: bool  # an upload has its row before its content goes this way

    async def reserve(self, size: int) -> bool:
        """Reserve room for a content of so many bytes; False: there is none. To be followed by `release` or
        `commit`."""

    def release(self, size: int) -> None:
        """The content does not come, or is refused."""

    async def commit(self, record: Record, chunks: Sequence[bytes], lease: Lease | None) -> Record:
        """Make content and record durable, the record complete; without a lease the upload is new. Returns the record.
        Raises StoreError, StateError or Fenced."""


class InItsRow:
    """The content rides in its row's transaction; the settler makes the file later."""

    in_steps = needs_row = False

    def __init__(self, house: House) -> None:
        self._house = house
        self._looking: set[asyncio.Task[None]] = set()

    async def reserve(self, size: int) -> bool:
        """Where contents are being written out, wait a moment for room."""
        settler = self._house.settler
        if not settler.takes and not await settler.room():
            return False
        settler.reserve(size)
        return True

    def release(self, size: int) -> None:
        """It is not kept."""
        self._house.settler.release(size)

    async def commit(self, record: Record, chunks: Sequence[bytes], lease: Lease | None) -> Record:
        """Commit record and content together."""
        house, upload_id = self._house, record.upload.id
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        done = _completed(house, record, len(data), crc64([data]))
        began = perf_counter()
        house.settler.keep(upload_id, data)
        try:
            if lease is None:
                await house.state.create(done, content=data)
            else:
                await house.state.save(done, lease, content=data)
        except asyncio.CancelledError:
            await asyncio.shield(self._find_out(upload_id))
            raise
        except BaseException:
            house.settler.let_go(upload_id)
            raise
        house.settler.committed(upload_id)
        house.metrics.commit_seconds.observe(perf_counter() - began)
        return done

    def _find_out(self, upload_id: str) -> "asyncio.Task[None]":
        """Whoever waited for a commit was cancelled; the commit is carried out all the same, or fails."""

        async def look() -> None:
            held = await self._house.state.lease(upload_id)  # reads behind that commit
            if held is not None and held[0].upload.phase is Phase.COMPLETE:
                self._house.settler.committed(upload_id)
            else:
                self._house.settler.let_go(upload_id)

        task = asyncio.create_task(look())
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        return task


class InAFile:
    """The content is made a file with others, and then its row is committed."""

    in_steps, needs_row = True, False

    def __init__(self, house: House) -> None:
        self._house = house

    async def reserve(self, size: int) -> bool:
        """Never waits: the ordinary way is not much longer."""
        if not self._house.together.takes(size):
            return False
        self._house.together.reserve(size)
        return True

    def release(self, size: int) -> None:
        """It is not in memory any more."""
        self._house.together.release(size)

    async def commit(self, record: Record, chunks: Sequence[bytes], lease: Lease | None) -> Record:
        """Bytes first, then the row: a crash between leaves a file without a row, or one that is adopted."""
        house, upload_id, size = self._house, record.upload.id, sum(map(len, chunks))
        began = perf_counter()
        try:
            value = await house.together.store(upload_id, chunks)
        except SyncFailed:
            if lease is not None and record.adoptable:  # what the kernel gave up must not be found again by a start
                await house.state.save(replace(record, adoptable=False), lease)
            raise
        finally:
            house.together.release(size)
        synced = perf_counter()
        house.metrics.sync_seconds.observe(synced - began)
        done = _completed(house, record, size, value)
        if lease is None:
            await house.state.create(done)
        else:
            await house.state.save(done, lease)
        house.metrics.commit_seconds.observe(perf_counter() - synced)
        house.mover.move_later(upload_id, size)
        return done


class InAnObject:
    """The content is published by one request to the store, and then its row is committed. The row is there before, so
    that an object that was made without being recorded is found and freed."""

    in_steps = needs_row = True

    def __init__(self, house: House, store: PutsWhole) -> None:
        self._house = house
        self._store = store
        self._reserved = 0  # bytes

    async def reserve(self, size: int) -> bool:
        """Never waits."""
        if size > MOST or self._reserved + size > ROOM:
            return False
        self._reserved += size
        return True

    def release(self, size: int) -> None:
        """It is not in memory any more."""
        self._reserved -= size

    async def commit(self, record: Record, chunks: Sequence[bytes], lease: Lease | None) -> Record:
        """The object first, then the row."""
        house, size = self._house, sum(map(len, chunks))
        assert lease is not None
        assert record.target is not None
        began = perf_counter()
        try:
            value = await self._store.put_whole(record.upload, record.target, chunks, lease.fence)
        finally:
            self.release(size)
        synced = perf_counter()
        house.metrics.sync_seconds.observe(synced - began)
        done = _completed(house, record, size, value)
        await house.state.save(done, lease)
        house.metrics.commit_seconds.observe(perf_counter() - synced)
        return done


def _completed(house: House, record: Record, length: int, crc: int) -> Record:
    now = house.pace.clock()
    expires_at = now + house.pace.upload_ttl if length else record.upload.expires_at
    return completed(record, offset=length, crc64=crc, expires_at=expires_at, now=now)
