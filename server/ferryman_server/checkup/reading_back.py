"""Is every complete upload what it was? Each is read back, and held against its row."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ferryman_protocol.model import Phase
from ferryman_server.checkup.findings import Finding, ok, wrong
from ferryman_server.commands.looking import newest
from ferryman_server.humane import human_size, printable
from ferryman_server.state.base import Record, State
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.ledger import KeepsNoBooks
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.threads import in_thread

AT_ONCE: Final = 4  # uploads read at once where they come over a network; a disk reads best one after the other
SHOWN: Final = 20  # uploads told one by one; when so many could not be read, the others are not tried


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why an upload is not what its row says."""

    text: str
    unread: bool = False  # the store did not answer: the upload may well be whole


@dataclass(slots=True)
class _Tally:
    """What has been seen."""

    uploads: int = 0
    size: int = 0  # bytes
    suspects: list[tuple[Record, _Trouble]] = field(default_factory=list)

    @property
    def unread(self) -> int:
        """How many could not be read."""
        return sum(trouble.unread for _, trouble in self.suspects)


async def verified(state: State, store: Store) -> list[Finding]:
    """Read every complete upload back and hold its length and CRC64/NVME against its row."""
    try:
        first = await _read(store, _complete(state), await _sizes(state, store))
        again = _Tally()
        if first.suspects:  # a server beside us may have been about to write them, or to delete them
            again = await _read(store, _still_complete(state, first), await _sizes(state, store))
    except StoreError as error:
        return [wrong(f"the uploads cannot be read back: {error}", "mend that first, then verify again")]
    findings = [_finding(record, trouble) for record, trouble in again.suspects[:SHOWN]]
    if len(again.suspects) > SHOWN:
        findings.append(wrong(f"{len(again.suspects) - SHOWN} more uploads are damaged", "see the ones above"))
    if again.unread >= SHOWN:
        findings.append(wrong("the other uploads were not tried", "see that the store answers, then verify again"))
    summary = f"read back {first.uploads} complete uploads, {human_size(first.size)}"
    return findings or [ok(f"{summary}: every length and CRC64/NVME is right")]


def _finding(record: Record, trouble: _Trouble) -> Finding:
    name = f" ({printable(record.upload.filename)})" if record.upload.filename else ""
    upload = f"upload {record.upload.id}{name}"
    if trouble.unread:
        return wrong(
            f"{upload} could not be read: {trouble.text}", "it may well be whole: see that the store answers, try again"
        )
    return wrong(
        f"{upload}: {trouble.text}", "restore its file from a backup, or delete the upload and have it sent again"
    )


async def _read(store: Store, records: AsyncIterator[Record], sizes: Mapping[str, int]) -> _Tally:
    """Read these back, a few at once."""
    tally = _Tally()
    room = asyncio.Semaphore(AT_ONCE if isinstance(store, KeepsNoBooks) else 1)

    async def look(record: Record) -> None:
        try:
            trouble = await in_thread(_trouble, store, record, sizes.get(_place(record)))
        finally:
            room.release()
        tally.uploads += 1
        tally.size += record.upload.offset
        if trouble is not None:
            tally.suspects.append((record, trouble))

    async with asyncio.TaskGroup() as group:
        async for record in records:
            await room.acquire()
            if tally.unread >= SHOWN:
                break
            group.create_task(look(record))
    return tally


async def _sizes(state: State, store: Store) -> dict[str, int]:
    """The sizes of all files, but not of small uploads that are still to be written to theirs: those are recalled."""
    from ferryman_server.settling import recall  # here, since the server's packages may be missing

    recalled = await recall(state, store)
    strays = await in_thread(lambda: [stray for stray in store.strays() if stray.published])
    return {stray.place or stray.upload_id: stray.size for stray in strays if stray.upload_id not in recalled}


def _place(record: Record) -> str:
    """How the store's walk names where it lies."""
    return record.target or record.upload.id


async def _complete(state: State) -> AsyncIterator[Record]:
    async for record in newest(state):
        if record.upload.phase is Phase.COMPLETE:
            yield record


async def _still_complete(state: State, tally: _Tally) -> AsyncIterator[Record]:
    """The suspects, but for those that were deleted while they were read."""
    for record, _ in tally.suspects:
        now = await state.get(record.upload.id)
        if now is not None and now.upload.phase is Phase.COMPLETE:
            yield record


def _trouble(store: Store, record: Record, size: int | None) -> _Trouble | None:
    from ferryman_server.unclaimed import crc64_of  # here, since the digests' package may be missing

    length = record.upload.offset
    if size is not None and size != length:
        return _Trouble(f"its file has {size} bytes, its row says {length}")
    if size is None and not length and isinstance(store, KeepsNoBooks):
        return _Trouble(f"the object {record.target} is missing")  # to read none of its bytes asks nobody
    try:
        crc64 = crc64_of(store, record.upload.id, length)
    except S3Error as error:
        return _Trouble(str(error), unread=True)
    except StoreError as error:
        return _Trouble(str(error))
    if crc64 != record.crc64:
        return _Trouble(f"its CRC64/NVME is {crc64:016x}, its row says {record.crc64:016x}: bytes have changed")
    return None
