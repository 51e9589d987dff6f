"""Final uploads made of partial ones (tus `concatenation` and `concatenation-unfinished`).

A final upload is `waiting` while one of its partials is incomplete, then `finishing`: the partials are copied behind
each other, file by file, each committed when its bytes are durable, so that a crash repeats at most one file. Its CRC
is combined from the parts'. Partials stay until their time runs out; they may be used again.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from ferryman_protocol import problems
from ferryman_protocol.commands import Create
from ferryman_protocol.model import Concat, Phase
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.transitions import advance
from ferryman_server.claims import Claim, Claims, Intent
from ferryman_server.digests import combine
from ferryman_server.events import Event, Events
from ferryman_server.finishing import Finisher
from ferryman_server.state.base import Fenced, Lease, Record, State, StateError
from ferryman_server.storage.base import BytesLost, Concatenates, Store, StoreError
from ferryman_server.storage.ledger import Copied, CopiesWhole
from ferryman_server.tasks import cancel
from ferryman_server.threads import in_thread
from ferryman_server.transfer import Pace

log = structlog.get_logger("ferryman.concatenation")

_LOST: Final = {
    Phase.EXPIRED: "has expired",
    Phase.TERMINATED: "was deleted",
    Phase.FAILED: "has failed",
    Phase.INVALID: "became invalid",
}


class Assembler:
    """Builds final uploads in the background."""

    def __init__(
        self,
        *,
        state: State,
        store: Store,
        claims: Claims,
        finisher: Finisher,
        events: Events,
        pace: Pace,
        max_size: int | None = None,
    ) -> None:
        """`max_size`: bytes that a final upload may have; None: unlimited."""
        self._state = state
        self._store = store
        self._claims = claims
        self._finisher = finisher
        self._events = events
        self._pace = pace
        self._max_size = max_size
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def plan(self, command: Create) -> tuple[Phase, int | None]:
        """The phase a new final upload starts in, and its length if every partial's is known. Raises Refused."""
        parts = [await self._partial(part_id) for part_id in command.parts]
        lengths = [part.upload.length for part in parts]
        known = [length for length in lengths if length is not None]
        if self._too_large(sum(known)):
            raise Refused(Problem(kind=problems.EXCEEDS_MAX_SIZE, detail=self._excess(sum(known))))
        length = sum(known) if len(known) == len(lengths) else None
        complete = all(part.upload.phase is Phase.COMPLETE for part in parts)
        return (Phase.FINISHING if complete else Phase.WAITING), length

    async def _partial(self, part_id: str) -> Record:
        part = await self._state.get(part_id)
        gone = part is None or part.upload.phase not in (Phase.EMPTY, Phase.RECEIVING, Phase.FINISHING, Phase.COMPLETE)
        if part is None or gone:
            detail = f"Upload-Concat names {part_id}, which is not an upload of this server (any more)"
            raise Refused(Problem(kind=problems.UNKNOWN_PARTIAL, detail=detail))
        if part.upload.concat is not Concat.PARTIAL:
            detail = f"Upload-Concat names {part_id}, which was not created with 'Upload-Concat: partial'"
            raise Refused(Problem(kind=problems.NOT_A_PARTIAL, detail=detail))
        return part

    def start(self, final_id: str) -> "asyncio.Task[None]":
        """Assemble a final upload in FINISHING, in the background; again after failures, until it is complete. Returns
        the task that is at it, to be waited for but not cancelled."""
        return self._tasks.get(final_id) or self._run(final_id, self._keep_at_it(final_id))

    async def part_changed(self, part_id: str) -> None:
        """A partial is complete, or gone: start the final uploads that waited for it alone, or let them fail. Never
        raises; what cannot be done now is done when the waiting uploads are next looked at."""
        try:
            for final in await self._state.waiting_on(part_id):
                await self.reconsider(final.upload.id)
        except (StateError, Fenced) as failure:
            log.warning("a final upload goes on waiting for its part", part_id=part_id, error=str(failure))

    def listen(self, event: Event) -> None:
        """A partial that expires or fails takes the final uploads that wait for it along; subscribe this to events."""
        if event.name in ("expired", "failed"):
            self._run(f"lost {event.upload_id}", self.part_changed(event.upload_id))

    async def close(self) -> None:
        """Stop all background work; what is half-way goes on at the next start."""
        await cancel(list(self._tasks.values()))

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        return task

    async def reconsider(self, final_id: str) -> None:
        """Start a waiting final upload whose partials are all complete by now; one that waits in vain has failed."""
        async with self._claims.take(final_id, Intent.LOOK):
            held = await self._state.lease(final_id)
            if held is None or held[0].upload.phase is not Phase.WAITING:
                return
            record, lease = held
            parts = await self._parts(record)
            if isinstance(parts, str):
                await self._fail(record, lease, parts)
                return
            if any(part.upload.phase is not Phase.COMPLETE for part in parts):
                return
            length = sum(part.upload.offset for part in parts)
            if self._too_large(length):
                await self._fail(record, lease, self._excess(length))
                return
            upload = advance(record.upload, Phase.FINISHING, length=length)
            await self._state.save(replace(record, upload=upload, updated_at=self._pace.clock()), lease)
        self.start(final_id)

    async def _keep_at_it(self, final_id: str) -> None:
        delay = 1.0
        while True:
            try:
                async with self._claims.take_if_free(final_id) as claim:
                    if claim is not None and await self._assemble(final_id, claim):
                        return
            except Refused:
                return  # its digest is not the announced one: the finisher has committed that it failed
            except (StoreError, StateError, Fenced) as failure:
                log.warning(
                    "assembling a final upload failed, it is tried again", upload_id=final_id, error=str(failure)
                )
            await asyncio.sleep(delay)
            delay = min(delay * 2, 60.0)

    async def _assemble(self, final_id: str, claim: Claim) -> bool:
        """Do what is left to do; False: a newer request wanted the upload, look again later."""
        held = await self._state.lease(final_id)
        if held is None or held[0].upload.phase is not Phase.FINISHING:
            return True
        record, lease = held
        if record.upload.offset == record.upload.length:  # all is copied: what becomes of the parts is nothing to it
            await self._finisher.finish(record, lease)
            return True
        parts = await self._parts(record)
        if isinstance(parts, str):
            await self._fail(record, lease, parts)
            return True
        try:
            copied = await self._copy(record, lease, parts, claim)
        except BytesLost:
            await self._fail(record, lease, "what was assembled of it was deleted in the store; make it anew")
            return True
        if copied is None:
            return False
        await self._finisher.finish(copied, lease)
        return True

    async def _copy(self, record: Record, lease: Lease, parts: Sequence[Record], claim: Claim) -> Record | None:
        start = 0
        for part in parts:
            if claim.superseded:
                return None
            size = part.upload.offset
            if start >= record.upload.offset and size:
                copied = await in_thread(self._append, record, part, start, lease)
                crc = combine(record.crc64, part.crc64, size)
                upload = advance(record.upload, Phase.FINISHING, offset=start + size)
                record = replace(record, upload=upload, crc64=crc, updated_at=self._pace.clock())
                await self._state.save(record, lease, notes=copied.notes)
                if isinstance(self._store, CopiesWhole) and copied.rubbish:
                    await in_thread(self._store.drop, copied.rubbish)
            start += size
        return record

    def _append(self, record: Record, part: Record, start: int, lease: Lease) -> Copied:
        """In a worker thread: put a part behind what is there."""
        final_id, part_id, size = record.upload.id, part.upload.id, part.upload.offset
        if isinstance(self._store, CopiesWhole):
            return self._store.append_copy(final_id, start, part_id, size, lease.fence)
        assert isinstance(self._store, Concatenates)  # `concatenation` is announced for such stores only
        self._store.concatenate(final_id, start, part_id, size)
        return Copied(notes={}, rubbish=())

    async def _parts(self, record: Record) -> list[Record] | str:
        """The partials in order; or, when one of them never becomes complete, the reason to fail with."""
        parts = []
        for part_id in record.upload.parts:
            part = await self._state.get(part_id)
            lost = "is gone" if part is None else _LOST.get(part.upload.phase)
            if part is None or lost is not None:
                return f"its part {part_id} {lost}"
            parts.append(part)
        return parts

    def _too_large(self, length: int) -> bool:
        return self._max_size is not None and length > self._max_size

    def _excess(self, length: int) -> str:
        return f"the parts add up to {length} bytes, more than the {self._max_size} this server takes"

    async def _fail(self, record: Record, lease: Lease, reason: str) -> None:
        now = self._pace.clock()
        upload = advance(record.upload, Phase.FAILED, reason=reason)
        await self._state.save(replace(record, upload=upload, updated_at=now), lease)
        self._events.publish(Event("failed", upload.id, now, {"reason": reason}))
