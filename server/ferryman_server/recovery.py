"""What a start does about the end before it: adopt tails, finish what was half-way, give up what lost bytes.

If only processes died since the last commit (the kernel is still the same boot), everything a killed server had
written is in the page cache or on the disk. The tail of each unfinished file beyond its committed offset is then
synced, its CRC continued, and adopted, so that a client sends (almost) nothing again. After a reboot what lies beyond
the row's offset is not known to be right, but as far as a mark beside the data proves it: what is read then comes from
the disk. (As long as the kernel is the same, a page whose sync failed may still read well: marks prove nothing then.)

Small uploads that are complete, and whose content is only in the database yet, are read into memory first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from ferryman_protocol.model import Concat, Phase
from ferryman_protocol.transitions import advance
from ferryman_server.digests import Crc64
from ferryman_server.house import House
from ferryman_server.state.base import Lease, Record
from ferryman_server.storage.base import KeepsMarks, Mark, Store, StoreError, SyncFailed
from ferryman_server.storage.ledger import KeepsNoBooks
from ferryman_server.tasks import cancel
from ferryman_server.threads import in_thread

log = structlog.get_logger("ferryman.recovery")

AT_ONCE: Final = 32  # uploads that are looked at: as many as there are threads for file work

_OPEN: Final = (Phase.EMPTY, Phase.RECEIVING)
_LOST: Final = -1  # in the place of a number of bytes


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found."""

    adopted: int = 0  # uploads whose tail was adopted
    adopted_bytes: int = 0
    lost: int = 0  # uploads that have fewer bytes than were acknowledged
    pending: Sequence[Record] = ()  # uploads in FINISHING and WAITING, to be gone on with
    replayed: int = 0  # small uploads whose content was still in the database only


async def recover(house: House, *, same_boot: bool | None) -> Recovered:
    """Look at every unfinished upload once, before the first request is taken. `same_boot` says whether the kernel is
    still the one that the process before this one ran under; None: nobody knows."""
    replayed = await house.settler.replay()
    gained = await _each(await house.state.in_phases(_OPEN), lambda record: _take_up(house, record, same_boot))
    finishing = [record for record in await house.state.in_phases((Phase.FINISHING,)) if not is_final(record)]
    gained += await _each(finishing, lambda record: _check_finishing(house, record))
    adopted, adopted_bytes = sum(size > 0 for size in gained), sum(size for size in gained if size > 0)
    lost = gained.count(_LOST)
    pending = await house.state.in_phases((Phase.FINISHING, Phase.WAITING))
    if adopted or lost or pending or replayed:
        log.info(
            "recovered",
            adopted=adopted,
            adopted_bytes=adopted_bytes,
            lost=lost,
            pending=len(pending),
            replayed=replayed,
        )
    return Recovered(adopted, adopted_bytes, lost, pending, replayed)


async def _each(records: Sequence[Record], look: Callable[[Record], Awaitable[int]]) -> list[int]:
    """What `look` says of each, many at a time: they share commits, and wait for the disk together."""
    left, said = iter(records), list[int]()

    async def work() -> None:
        for record in left:
            said.append(await look(record))

    workers = [asyncio.create_task(work()) for _ in range(min(AT_ONCE, len(records)))]
    try:
        await asyncio.gather(*workers)
    finally:  # nobody goes on behind a failure
        await cancel(workers)
    return said


async def _take_up(house: House, record: Record, same_boot: bool | None) -> int:
    """Put an unfinished upload in order. Returns how many bytes were adopted, or _LOST."""
    tail = await in_thread(house.store.tail, record.upload.id, record.upload.offset)
    if max(tail, 0) < record.upload.offset:
        await _give_up(house, record, tail)
        return _LOST
    if _is_whole(record):
        await _finish(house, record)
    elif tail > record.upload.offset and (same_boot is False or (same_boot and record.adoptable)):
        return await _adopt(house, record, tail, trusted=same_boot)
    return 0


async def _check_finishing(house: House, record: Record) -> int:
    """Give one that was being finished up if its bytes are not there: then _LOST, else 0."""
    if isinstance(house.store, KeepsNoBooks):
        return 0  # they cannot be read yet
    if await in_thread(_has_all, house.store, record):
        return 0
    await _give_up(house, record, await in_thread(house.store.tail, record.upload.id, 0))
    return _LOST


async def _adopt(house: House, record: Record, tail: int, *, trusted: bool) -> int:
    """Adopt the tail: all of it if it is `trusted`, else as far as a mark proves it. Returns how many bytes it was."""
    upload = record.upload
    if upload.length is not None:
        tail = min(tail, upload.length)
    try:
        reach = await in_thread(_secure, house.store, record, tail, trusted=trusted)
    except StoreError as failure:
        log.warning("a tail could not be adopted, the committed offset stands", upload_id=upload.id, error=str(failure))
        return 0
    held = await house.state.lease(upload.id) if reach.offset > upload.offset else None
    if held is None:
        return 0
    # a tus upload is complete when its bytes are: nobody will send anything that could complete it later
    whole = reach.offset == upload.length and upload.dialect == "tus"
    moved = advance(upload, Phase.FINISHING if whole else Phase.RECEIVING, offset=reach.offset)
    await _save(house, replace(record, upload=moved, crc64=reach.crc64), held[1])
    return reach.offset - upload.offset


def _secure(store: Store, record: Record, tail: int, *, trusted: bool) -> Mark:
    """How far the tail can be adopted; so far it is synced. Raises StoreError."""
    upload, running = record.upload, Crc64(record.crc64)
    marks = () if trusted or not isinstance(store, KeepsMarks) else store.marks(upload.id)
    reached = proven = Mark(upload.offset, record.crc64)
    for stop in [tail] if trusted else sorted({mark.offset for mark in marks}):
        if upload.offset < stop <= tail:
            for piece in store.read(upload.id, reached.offset, stop, published=False):
                running.update(piece)
            reached = Mark(stop, running.value)
            if trusted or reached in marks:
                proven = reached
    if proven.offset > upload.offset:
        _sync(store, upload.id, upload.offset, proven.offset)
    return proven


def _sync(store: Store, upload_id: str, start: int, stop: int) -> None:
    writer = store.writer(upload_id, stop)
    try:
        writer.sync()
    except SyncFailed:
        store.writer(upload_id, start).close()  # cut it off: what the kernel may have dropped is not to be found again
        raise
    finally:
        writer.close()


def _has_all(store: Store, record: Record) -> bool:
    """Whether the last byte of an upload that is being finished is there, published or not yet."""
    end = record.upload.offset
    try:
        return end == 0 or sum(map(len, store.read(record.upload.id, end - 1, end, published=False))) == 1
    except StoreError:
        return False


async def _give_up(house: House, record: Record, tail: int) -> None:
    held = await house.state.lease(record.upload.id)
    if held is None:
        return
    reason = f"the server lost bytes of this upload: {record.upload.offset} were confirmed, {max(tail, 0)} are left"
    log.error("acknowledged bytes are missing", upload_id=record.upload.id, reason=reason)
    await _save(house, replace(record, upload=advance(record.upload, Phase.FAILED, reason=reason)), held[1])


async def _finish(house: House, record: Record) -> None:
    """Nobody will send anything to an upload that has all its bytes: it is published with the others that are due."""
    held = await house.state.lease(record.upload.id)
    if held is not None:
        await _save(house, replace(record, upload=advance(record.upload, Phase.FINISHING)), held[1])


def _is_whole(record: Record) -> bool:
    """Whether a tus client would take an unfinished upload for complete: an empty one whose creation was cut short."""
    return record.upload.dialect == "tus" and record.upload.offset == record.upload.length


async def _save(house: House, record: Record, lease: Lease) -> None:
    await house.state.save(replace(record, updated_at=house.pace.clock()), lease)


def is_final(record: Record) -> bool:
    """Whether the assembler, not the finisher, goes on with this upload."""
    return record.upload.concat is Concat.FINAL
