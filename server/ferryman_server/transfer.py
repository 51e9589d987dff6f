"""One request's bytes on their way into the store: poured, checkpointed, settled.

Rules (DESIGN §4):

- An offset is told to a client only after its bytes are durable and its row is committed: `record` is always what the
  last commit said, and every answer is made from it.
- A plain transfer checkpoints while it runs: each `checkpoint_size` bytes and each `checkpoint_interval` seconds.
- A body with a coding or a digest is not checkpointed. Before its first byte the row says that a tail left by a killed
  process must not be adopted. A digest is all or nothing; a coding that breaks off keeps what was decoded; a corrupt
  one keeps nothing.
- An upload whose last bytes this request brought is complete with the commit that tells them, if the store can read
  them where they are and no digest of the whole has to be compared; else that commit says FINISHING.
- After a failed sync nothing is retried on that writer: the last offset that was made durable stands.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from ferryman_protocol.commands import Admission, Content
from ferryman_protocol.model import Phase
from ferryman_protocol.transitions import advance
from ferryman_server import pacing
from ferryman_server.body import Body, End
from ferryman_server.claims import Claim
from ferryman_server.completion import completed
from ferryman_server.intake import Intake
from ferryman_server.losing import lose
from ferryman_server.metrics import Metrics
from ferryman_server.state.base import Fenced, Lease, Record, State, StateError
from ferryman_server.storage.base import BytesLost, Mark, Settles, Store, StoreError, StoreFull, SyncFailed
from ferryman_server.storage.ledger import KeepsNoBooks, Noted
from ferryman_server.threads import in_thread


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """When a long transfer is checkpointed, and how long an upload lives after its last byte."""

    checkpoint_size: int | None  # bytes; None: however many
    checkpoint_interval: float  # seconds
    upload_ttl: float  # seconds
    clock: Callable[[], float]  # seconds since the epoch


class Transfer:
    """The transfer of one request's body into one upload, under one claim and one lease."""

    def __init__(
        self,
        *,
        record: Record,
        lease: Lease,
        claim: Claim,
        admission: Admission,
        content: Content,
        state: State,
        store: Store,
        metrics: Metrics,
        pace: Pace,
        on_commit: Callable[[Record], Awaitable[None]],
        settles: Settles | None = None,
        archive: bool = False,
        on_archive: Callable[[], None] | None = None,
    ) -> None:
        """`settles`: the store, if an upload may be complete in it before it is published. `archive`: what is there
        already is the beginning of an archive that somebody reads along; `on_archive` is called when what comes is
        (None: nobody would read it along)."""
        self.record = record  # as last committed
        self._lease = lease
        self._claim = claim
        self._admission = admission
        self._state = state
        self._metrics = metrics
        self._pace = pace
        self._on_commit = on_commit
        self._committing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None  # until the next checkpoint
        self._ticking: asyncio.Task[None] | None = None  # a checkpoint that nobody waits for
        self._again = False  # another one fell due meanwhile
        self._failure: Exception | None = None
        self._body: Body | None = None  # while it is poured
        self._distrusted = False
        self._archive = archive
        self._on_archive = on_archive
        self._over = False  # the body has ended: only the settlement commits from here on
        self._more = asyncio.Event()  # something has become durable by itself
        self._overdue = False  # the checkpoint that falls due is to make all durable
        self._noting = isinstance(store, KeepsNoBooks)  # bytes become durable by themselves; notes say which
        self._intake = Intake(
            store=store,
            record=record,
            admission=admission,
            content=content,
            fence=lease.fence,
            on_durable=self._on_durable,
        )
        self._loop = asyncio.get_running_loop()
        self._settles = settles if record.repr_digests is None else None  # else the whole is read back first
        self._coded = content.coding != "identity"
        self._governed = self._intake.verifier is not None
        self._plain = not self._governed and not self._coded

    @property
    def archive(self) -> bool | None:
        """Whether the upload begins as an archive does; None: its beginning was not seen here."""
        return self._archive or self._intake.archive

    async def run(self, body: Body, check: Callable[[Intake, Body], Awaitable[None]]) -> End:
        """Pour the body and make durable what is to be kept. `check` judges a complete body before it is committed and
        raises to refuse it. Returns how the body ended; raises what the store, the state or the body's form refuse.
        After it returns, `record` says what is committed; for one in FINISHING, publishing is the caller's next step.
        """
        try:
            if not self._plain:
                await self._forbid_adoption()
            return await self._take_in(body, check)
        except SyncFailed:
            self._distrusted = True  # the kernel may have given the tail's pages up: reading them proves nothing
            await self._forbid_adoption(self._intake.marked)
            raise
        except StateError:
            self._distrusted = True  # a commit that failed may come back after a crash, so nothing is cut off here
            raise
        finally:
            await self._close()
            if not self._plain and not self._distrusted and not self.record.adoptable:
                await self._cut()

    async def checkpoint(self) -> None:
        """Commit what has arrived so far; does nothing for coded and digested bodies. Never raises: a failure ends the
        transfer, and whoever asked finds the last committed offset in the state."""
        if not self._plain or self._over:
            return
        if self._noting:  # what is on its way to the store may be so for long
            if not self._committing.locked():
                await self._checkpoint(waits=False)
            return
        if self._body is not None:
            await self._body.flush()
        await self._checkpoint()

    async def _checkpoint(self, *, waits: bool = True) -> None:
        if self._over or self._intake.mark.offset <= self.record.upload.offset:
            return
        if self._claim.drops(self.record.upload.offset):  # what is committed now would make the newer request's wrong
            return
        try:
            await self._commit_mark(waits=waits)
        except Exception as failure:  # whatever it was, the request ends with it: it is raised again there
            self._failure = failure
            if self._body is not None:
                self._body.stop(End.SHUTDOWN)
            self._intake.give_up()

    async def _forbid_adoption(self, durable: Mark | None = None) -> None:
        """Commit that a tail must not be adopted, and that all is durable up to a mark, if that lies farther."""
        async with self._committing:  # an observer's commit on its way moves the record first
            record = self.record
            if durable is not None and durable.offset > record.upload.offset:
                record = self._moved(durable, whole=False)
            if record.adoptable:
                record = replace(record, adoptable=False)
                await self._state.save(record, self._lease)
                self.record = record

    async def _cut(self) -> None:
        """Cut off what a refused or broken body left beyond the commit: it takes room, and forbids adoption."""
        with contextlib.suppress(StoreError, StateError, Fenced):  # the next writer cuts it off at the latest
            await in_thread(self._intake.cut, self.record.upload.offset)
            adoptable = replace(self.record, adoptable=True)
            await self._state.save(adoptable, self._lease)
            self.record = adoptable

    async def _take_in(self, body: Body, check: Callable[[Intake, Body], Awaitable[None]]) -> End:
        try:
            end = await self._pour(body)
            await self._settle(end, body, check)
            return end
        except StoreFull:
            if self._plain:
                with contextlib.suppress(StateError):  # the database may lie on the same full disk: nothing was told
                    await self._commit_mark(waits=not self._noting)  # what still fitted is kept
            raise
        except BytesLost as loss:
            async with self._committing:
                self.record = await lose(self._state, self.record, self._lease, loss, self._pace.clock())
            raise
        except StoreError:
            if self._plain and self._noting:
                with contextlib.suppress(StateError, Fenced):
                    await self._commit_mark(waits=False)  # what has arrived there is kept
            raise

    async def _pour(self, body: Body) -> End:
        self._body = body

        def stop() -> None:
            body.stop(End.SUPERSEDED)
            self._intake.leave_off()

        self._claim.on_superseded(stop)
        if not self._plain:
            return await self._poured(body)
        loop = asyncio.get_running_loop()

        due = partial(_soon, loop, self._fall_due)
        if self._pace.checkpoint_size is not None:
            self._intake.keep_near(self._pace.checkpoint_size, due)

        on_archive = self._on_archive
        if on_archive is not None:
            self._intake.read_along(archive=self._archive, on_archive=partial(_soon, loop, on_archive), commit=due)
        self._claim.checkpoint = self.checkpoint
        try:
            return await self._poured(body, self._moved_on, self._intake.conclude)
        finally:
            self._claim.checkpoint = None
            self._over = True
            self._unset_timer()
            if self._ticking is not None:
                await self._ticking  # a commit under way ends properly, and what it committed is known here

    async def _poured(
        self, body: Body, moved: Callable[[], None] | None = None, last: Callable[[], None] | None = None
    ) -> End:
        try:
            end = await body.pour(self._intake, moved, last)
        finally:
            self._claim.on_superseded(None)
        if self._failure is not None:
            raise self._failure
        return end

    def _moved_on(self) -> None:
        """The store has taken something: it is checkpointed after a while."""
        if self._timer is None and self._intake.mark.offset > self.record.upload.offset:
            self._timer = self._loop.call_later(self._pace.checkpoint_interval, self._fall_overdue)

    def _on_durable(self) -> None:
        """In any thread: something has become durable by itself."""
        if self._plain:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody commits any more
                self._loop.call_soon_threadsafe(self._has_more)

    def _has_more(self) -> None:
        self._more.set()
        self._fall_due()

    def _fall_overdue(self) -> None:
        self._overdue = True
        self._fall_due()

    def _fall_due(self) -> None:
        self._unset_timer()
        self._again = True
        if self._ticking is None and not self._over:
            self._ticking = asyncio.create_task(self._tick())

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _tick(self) -> None:
        """Checkpoint as often as it fell due meanwhile."""
        while self._again and not self._over:
            async with pacing.turn("checkpoint"):
                self._again, overdue = False, self._overdue
                self._overdue = False
                await self._checkpoint(waits=overdue or not self._noting)
                await self._rest()
        self._ticking = None

    async def _rest(self) -> None:
        """A slow body's upload needs no open file until more of it comes."""
        if not self._over and self._timer is None and pacing.patience():
            await in_thread(self._intake.rest)

    async def _settle(self, end: End, body: Body, check: Callable[[Intake, Body], Awaitable[None]]) -> None:
        if end is End.COMPLETE:
            if self._coded:
                await in_thread(self._intake.finish)
            await check(self._intake, body)
            async with pacing.turn("settlement"):
                await self._commit_mark(whole=True)
        elif not self._governed and not (end is End.SUPERSEDED and self._claim.drops(self.record.upload.offset)):
            await self._commit_mark()

    async def _close(self) -> None:
        async with self._committing:  # an observer's checkpoint may still be syncing
            self._over = True
            if self._intake.opened and not self._intake.concluded:
                await in_thread(self._intake.close)

    async def _commit_mark(self, *, whole: bool = False, waits: bool = True) -> None:
        """Sync and commit what is stored; without `waits`, commit what is durable already. A cancelled caller leaves it
        running to its end: nothing is half known."""
        await asyncio.shield(asyncio.create_task(self._commit(whole, waits)))

    async def _commit(self, whole: bool, waits: bool) -> None:
        async with self._committing:
            noted = await self._made_durable(whole) if waits else self._durable()
            await self._save(noted, whole=whole)

    async def _save(self, noted: Noted, *, whole: bool) -> None:
        record = self._moved(noted.mark, whole=whole, published=noted.published)
        if record is not self.record or noted.notes:  # a part may take the place of tails that were told already
            with self._metrics.commit_seconds.time():
                await self._state.save(record, self._lease, notes=noted.notes or None)
            self._metrics.stored_bytes.inc(record.upload.offset - self.record.upload.offset)
            self.record = record
            self._intake.committed(record.upload.offset)
            await self._on_commit(record)

    async def _made_durable(self, whole: bool) -> Noted:
        reach = self._intake.reach if whole else self._intake.mark.offset
        if self._intake.concluded:
            return Noted(mark=self._intake.mark)
        if reach <= self.record.upload.offset:
            return Noted(mark=Mark(self.record.upload.offset, self.record.crc64))
        with self._metrics.sync_seconds.time():
            syncing = in_thread(self._intake.sync, whole=whole, last=whole and self._ends_at(reach))
            if not self._noting:
                return Noted(mark=await syncing)
            if self._plain:
                await self._kept_meanwhile(syncing, reach if whole else None)
            else:  # HEAD tells where the request began until all of it counts
                await syncing
        return self._durable()

    async def _kept_meanwhile(self, syncing: "asyncio.Future[Mark]", end: int | None) -> None:
        """Wait until all is durable, and commit what is meanwhile: a store may be away for long. `end`: of a body that
        was taken whole; that is left to be told with what it means."""
        syncing.add_done_callback(lambda _: self._more.set())
        while not syncing.done():
            await self._more.wait()
            self._more.clear()
            noted = self._durable()
            if end is None or noted.mark.offset < end:
                await self._save(noted, whole=False)
        await syncing

    def _durable(self) -> Noted:
        noting = self._intake.noting
        return Noted(mark=Mark(self.record.upload.offset, self.record.crc64)) if noting is None else noting.noted()

    def _ends_at(self, offset: int) -> bool:
        """Whether the upload ends there, the body having been taken whole."""
        admission = self._admission
        length = admission.length if admission.length is not None else self.record.upload.length
        return admission.completes or (admission.finishes_at_length and offset == length)

    def _moved(self, mark: Mark, *, whole: bool, published: bool = False) -> Record:
        """The record at a mark. `whole`: the body was taken whole, so its end may mean the upload's end. `published`:
        it is where it is read."""
        upload, now = self.record.upload, self._pace.clock()
        length = self._admission.length if self._admission.length is not None else upload.length
        finishing = False
        if whole:
            if self._admission.completes and length is None:
                length = mark.offset
            reached = mark.offset == length
            finishing = reached and (self._admission.completes or self._admission.finishes_at_length)
        elif self._admission.finishes_at_length and mark.offset == length:
            length = upload.length  # only this request says so, and it broke off: an upload at its length is complete
        if (mark.offset, length, finishing) == (upload.offset, upload.length, False):
            return self.record
        grown = mark.offset > upload.offset  # then the writer has cut off whatever an earlier request left
        expires_at = now + self._pace.upload_ttl if grown else upload.expires_at
        settled = self._settles is not None or (published and self.record.repr_digests is None)
        if finishing and self._intake.opened and settled:
            return completed(self.record, offset=mark.offset, crc64=mark.crc64, expires_at=expires_at, now=now)
        unfinished = Phase.RECEIVING if mark.offset else Phase.EMPTY
        phase = Phase.FINISHING if finishing else unfinished
        moved = advance(upload, phase, offset=mark.offset, length=length, expires_at=expires_at)
        adoptable = grown or self.record.adoptable
        return replace(self.record, upload=moved, crc64=mark.crc64, adoptable=adoptable, updated_at=now)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call it on the loop; from any thread."""
    loop.call_soon_threadsafe(call)
