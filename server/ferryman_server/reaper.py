"""Clearing away: what expired, what was deleted, what a crash left behind.

An unfinished upload whose time is over goes through three steps, each of which may be repeated after a crash: its row
becomes `expired` (clients read 410 from then on), its data are freed, and after a grace the row is removed. A deleted
upload takes the last two. What is being published (`finishing`) does not expire, and a complete upload does only as a
partial one that no final upload is being assembled from.

Data without a row are freed when they are unpublished and older than the TTL. **A published file without a row is never
deleted here**: it is reported, and a person decides (`ferryman gc --adopt` or `--delete-published`). Data of a complete
upload that were not moved to where published data lie (the server was stopped in between) are moved. Pieces that an
upload does not consist of any more are freed after an hour, in a store that can tell (:class:`Tidies`).

An upload somebody is at work on is left alone. Whoever comes while it is being reaped is safe too: the newer lease
fences the reaper's write, or reads `expired`.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_protocol.transitions import advance
from ferryman_server.events import Event, Events
from ferryman_server.humane import human_size, printable
from ferryman_server.moving import settle_quietly
from ferryman_server.settings import Settings
from ferryman_server.state.base import Fenced, Record, State, StateFull
from ferryman_server.storage.base import Settles, Store, StoreError, Stray
from ferryman_server.storage.ledger import Tidies
from ferryman_server.threads import in_thread

BATCH: Final = 500  # rows or files looked at in one go
SPARED: Final = 3600.0  # seconds for which a piece is left alone that seems to be no use
DAY: Final = 86_400.0  # seconds: the whole store is walked at start-up and then once a day, or once a TTL if shorter
_OVER: Final = (Phase.EXPIRED, Phase.TERMINATED)

log = structlog.get_logger("ferryman.reaper")


@dataclass(slots=True)
class Report:
    """What was done, or in a dry run would be. `lines` say it for people."""

    expired: int = 0  # uploads whose time was over
    orphans: int = 0  # unpublished data without a row
    leftovers: int = 0  # pieces that an upload does not consist of any more
    forgotten: int = 0  # rows removed after their grace
    freed: int = 0  # bytes
    busy: int = 0  # due, but somebody is at work on them
    failed: int = 0  # could not be freed; tried again next time
    unclaimed: list[Stray] = field(default_factory=list)  # published files without a row: never touched
    lines: list[str] = field(default_factory=list)

    @property
    def quiet(self) -> bool:
        """Whether there was nothing to do."""
        done = self.expired or self.orphans or self.leftovers or self.forgotten
        return not (done or self.failed or self.unclaimed)


async def reap(
    state: State,
    store: Store,
    *,
    now: float,
    orphan_ttl: float,
    dry_run: bool = False,
    busy: Callable[[str], bool] = lambda upload_id: False,
    events: Events | None = None,
    look_around: bool = True,
) -> Report:
    """Clear away once. `orphan_ttl` (seconds) is also the grace for rows; `look_around` walks the whole store too.

    A dry run reads only. Raises StateError, and StoreError when the store cannot be listed.
    """
    run = _Run(state, store, now=now, ttl=orphan_ttl, dry_run=dry_run, busy=busy, events=events)
    await run.rows()
    if look_around:
        await run.strays()
    return run.report


async def run_reaper(
    state: State,
    store: Store,
    settings: Settings,
    busy: Callable[[str], bool],
    events: Events,
    clock: Callable[[], float] = time.time,
) -> None:
    """Clear away at once and then every `reap_interval`, until cancelled. Failures are logged and tried again."""
    look_at = clock()
    while True:
        now = clock()
        try:
            report = await reap(
                state,
                store,
                now=now,
                orphan_ttl=settings.upload_ttl,
                busy=busy,
                events=events,
                look_around=now >= look_at,
            )
            _log(report)
            if now >= look_at:
                look_at = now + min(DAY, settings.upload_ttl)
        except Exception as failure:  # the state or the store is away: the next round may find it back
            log.warning("clearing away failed, it is tried again", error=str(failure))
        await asyncio.sleep(settings.reap_interval)


def _log(report: Report) -> None:
    if report.unclaimed:
        log.warning("published files without a row, see ferryman gc --dry-run", files=len(report.unclaimed))
    if not report.quiet:
        log.info(
            "cleared away",
            expired=report.expired,
            orphans=report.orphans,
            leftovers=report.leftovers,
            forgotten=report.forgotten,
            freed=human_size(report.freed),
            failed=report.failed,
        )


class _Run:
    """One round."""

    def __init__(
        self,
        state: State,
        store: Store,
        *,
        now: float,
        ttl: float,
        dry_run: bool,
        busy: Callable[[str], bool],
        events: Events | None,
    ) -> None:
        self.report = Report()
        self._state = state
        self._store = store
        self._settles = store if isinstance(store, Settles) else None
        self._tidies = store if isinstance(store, Tidies) else None
        self._now = now
        self._ttl = ttl
        self._dry = dry_run
        self._busy = busy
        self._events = events

    async def rows(self) -> None:
        """Everything that is due."""
        assembling = {part for final in await self._state.in_phases((Phase.FINISHING,)) for part in final.upload.parts}
        async for batch in self._due():
            over: list[tuple[Record, int]] = []
            for record in batch:
                if self._busy(record.upload.id):
                    self.report.busy += 1
                elif record.upload.phase in _OVER:
                    over.append((record, 0))
                elif self._expires(record) and record.upload.id not in assembling:
                    expired = await self._expire(record)
                    published = record.upload.offset if record.upload.phase is Phase.COMPLETE else 0
                    over += [(expired, published)] if expired is not None else []
            for record in await in_thread(self._free, over):
                await self._forget(record)

    async def strays(self) -> None:
        """Data that no row speaks of."""
        walk = self._store.strays()
        while batch := await in_thread(lambda: list(itertools.islice(walk, BATCH))):
            known = await self._state.existing([stray.upload_id for stray in batch])
            unknown = [stray for stray in batch if stray.upload_id not in known and not self._busy(stray.upload_id)]
            await in_thread(self._free_strays, unknown)
            ours = [stray for stray in batch if stray.upload_id in known]
            if self._tidies is not None:
                idle = [stray for stray in ours if not self._busy(stray.upload_id)]
                await in_thread(self._tidy, self._tidies, idle)
            if self._settles is not None and not self._dry:
                await self._settle(self._settles, ours)

    async def _settle(self, store: Settles, strays: Sequence[Stray]) -> None:
        """Move what is complete to where it belongs. A transfer under way does so by itself."""
        complete = []
        for stray in strays:
            if not stray.published and not self._busy(stray.upload_id):
                record = await self._state.get(stray.upload_id)
                if record is not None and record.upload.phase is Phase.COMPLETE:
                    complete.append(record.upload)
        if complete:
            await in_thread(_settle_all, store, complete)

    async def _due(self) -> AsyncIterator[Sequence[Record]]:
        """Batches of rows that are due, each once. Rows in their grace stay due: the window grows past them."""
        seen: set[str] = set()
        limit = BATCH
        while True:
            found = await self._state.due(self._now, limit)
            fresh = [record for record in found if record.upload.id not in seen]
            seen.update(record.upload.id for record in fresh)
            if fresh:
                yield fresh
            if len(found) < limit:
                return
            limit *= 2

    def _expires(self, record: Record) -> bool:
        upload = record.upload
        if upload.expires_at is None or upload.expires_at > self._now:
            return False
        return upload.phase is not Phase.FINISHING and (
            upload.phase is not Phase.COMPLETE or upload.concat is Concat.PARTIAL
        )

    async def _expire(self, record: Record) -> Record | None:
        """Commit `expired` and say so; None when the upload turned out to be alive."""
        upload_id = record.upload.id
        if not self._dry:
            held = await self._state.lease(upload_id)
            if held is None or not self._expires(held[0]):
                return None
            record, lease = held
            record = replace(record, upload=advance(record.upload, Phase.EXPIRED), updated_at=self._now)
            try:
                await self._state.save(record, lease)
            except StateFull:
                # a disk full to its last block takes no commit either: what has expired makes the room for it
                await in_thread(self._store.discard, upload_id, published=record.upload.concat is Concat.PARTIAL)
                await self._state.save(record, lease)
            except Fenced:  # somebody came for it in this very moment
                return None
            finally:
                await self._state.release(lease)
            if self._events is not None:
                data = {"offset": record.upload.offset, "length": record.upload.length}
                self._events.publish(Event("expired", upload_id, self._now, data))
        self.report.expired += 1
        name = f" ({printable(record.upload.filename)})" if record.upload.filename else ""
        self._say(f"{upload_id}{name}: expired", f"{upload_id}{name}: would expire")
        return record

    def _free(self, over: Sequence[tuple[Record, int]]) -> list[Record]:
        """Free the data of uploads that are over; the records whose data are gone. Runs in a worker thread.

        With each record comes the size of its published data (bytes), if they are known to be there.
        """
        cleared = []
        for record, size in over:
            upload = record.upload
            published = upload.phase is Phase.TERMINATED or upload.concat is Concat.PARTIAL
            try:
                size += max(self._store.tail(upload.id, 0), 0)
                if not self._dry:
                    self._store.discard(upload.id, published=published)
            except StoreError as failure:
                self._fail(upload.id, failure)
                continue
            self._freed(upload.id, size)
            cleared.append(record)
        return cleared

    async def _forget(self, record: Record) -> None:
        """Remove the row of an upload that has been over for a whole TTL."""
        if record.upload.phase not in _OVER or record.updated_at + self._ttl > self._now:
            return
        if not self._dry:
            held = await self._state.lease(record.upload.id)
            if held is None:
                return
            try:
                await self._state.delete(record.upload.id, held[1])
            except Fenced:
                return
        self.report.forgotten += 1
        self._say(f"{record.upload.id}: its row removed", f"{record.upload.id}: its row would be removed")

    def _free_strays(self, unknown: Sequence[Stray]) -> None:
        for stray in unknown:
            if stray.published:
                self.report.unclaimed.append(stray)
            elif stray.modified_at + self._ttl <= self._now:
                self._free_orphan(stray)

    def _free_orphan(self, stray: Stray) -> None:
        try:
            if not self._dry:
                self._store.discard(stray.upload_id)
        except StoreError as failure:
            self._fail(stray.upload_id, failure)
            return
        self.report.orphans += 1
        self.report.lines.append(f"{stray.upload_id}: data without a row")
        self._freed(stray.upload_id, stray.size)

    def _freed(self, upload_id: str, size: int) -> None:
        if size:
            self.report.freed += size
            what = human_size(size)
            self._say(f"{upload_id}: {what} freed", f"{upload_id}: {what} would be freed")

    def _tidy(self, store: Tidies, strays: Sequence[Stray]) -> None:
        old = [stray for stray in strays if not stray.published and stray.modified_at + SPARED <= self._now]
        for upload_id, pieces in itertools.groupby(old, lambda stray: stray.upload_id):
            try:
                for piece in store.leftovers(upload_id, list(pieces)):
                    self._remove(store, piece)
            except StoreError as failure:
                self._fail(upload_id, failure)

    def _remove(self, store: Tidies, piece: Stray) -> None:
        if not self._dry:
            store.remove(piece)
        self.report.leftovers += 1
        self.report.lines.append(f"{piece.upload_id}: a piece that it does not consist of any more")
        self._freed(piece.upload_id, piece.size)

    def _fail(self, upload_id: str, failure: StoreError) -> None:
        self.report.failed += 1
        self.report.lines.append(f"{upload_id}: could not be freed: {failure}")

    def _say(self, done: str, would: str) -> None:
        self.report.lines.append(would if self._dry else done)


def _settle_all(store: Settles, uploads: Sequence[Upload]) -> None:
    for upload in uploads:
        settle_quietly(store, upload.id, upload.offset)
