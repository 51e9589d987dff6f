"""Final uploads made of partial ones (tus `concatenation` and `concatenation-unfinished`).

A final upload is `waiting` while one of its partials is incomplete, then `finishing`: the partials are copied behind
each other, file by file, each committed when its bytes are durable, so that a crash repeats at most one file. Its CRC
is combined from the parts'. Partials stay until their time runs out; they may be used again.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import structlog

from ferryman_protocol import problems
from ferryman_protocol.commands import Create
from ferryman_protocol.model import Concat, Limits, Phase
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.transitions import advance
from ferryman_server.claims import Claim, Claims
from ferryman_server.digests import combine
from ferryman_server.events import Event, Events
from ferryman_server.finishing import Finisher
from ferryman_server.state.base import Lease, Record, State, StateError
from ferryman_server.storage.base import Concatenates, Store, StoreError
from ferryman_server.threads import in_thread
from ferryman_server.transfer import Pace

log = structlog.get_logger("ferryman.concatenation")


class Assembler:
    """Builds final uploads in the background."""

    def __init__(
        self, *, state: State, store: Store, claims: Claims, finisher: Finisher, events: Events, pace: Pace
    ) -> None:
        self._state = state
        self._store = store
        self._claims = claims
        self._finisher = finisher
        self._events = events
        self._pace = pace
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def plan(self, command: Create, limits: Limits) -> tuple[Phase, int | None]:
        """The phase a new final upload starts in, and its length if every partial's is known. Raises Refused."""
        parts = [await self._partial(part_id) for part_id in command.parts]
        lengths = [part.upload.length for part in parts]
        known = [length for length in lengths if length is not None]
        if limits.max_size is not None and sum(known) > limits.max_size:
            detail = f"the parts add up to {sum(known)} bytes, more than the {limits.max_size} this server takes"
            raise Refused(Problem(kind=problems.EXCEEDS_MAX_SIZE, detail=detail))
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

    def start(self, final_id: str) -> None:
        """Assemble a final upload in FINISHING, in the background; again after failures, until it is complete."""
        if final_id not in self._tasks:
            self._run(final_id, self._keep_at_it(final_id))

    async def part_completed(self, part_id: str) -> None:
        """A partial is complete: the final uploads that waited for it alone can be assembled now."""
        for final in await self._state.waiting_on(part_id):
            await self.reconsider(final.upload.id)

    async def part_lost(self, part_id: str) -> None:
        """A partial is gone before its final uploads could be assembled: these have failed."""
        for final in await self._state.waiting_on(part_id):
            async with self._claims.take_if_free(final.upload.id):
                held = await self._state.lease(final.upload.id)
                if held is not None and held[0].upload.phase is Phase.WAITING:
                    await self._fail(*held, f"its part {part_id} was deleted or expired before it was complete")

    def listen(self, event: Event) -> None:
        """A partial that expires takes the final uploads that wait for it along; subscribe this to the events."""
        if event.name == "expired":
            self._run(f"lost {event.upload_id}", self.part_lost(event.upload_id))

    async def close(self) -> None:
        """Stop all background work; what is half-way goes on at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def reconsider(self, final_id: str) -> None:
        """Start a waiting final upload whose partials are all complete by now."""
        async with self._claims.take_if_free(final_id) as claim:
            held = await self._state.lease(final_id) if claim is not None else None
            if held is None or held[0].upload.phase is not Phase.WAITING:
                return
            record, lease = held
            parts = await self._parts(record)
            if parts is None or any(part.upload.phase is not Phase.COMPLETE for part in parts):
                return
            length = sum(part.upload.offset for part in parts)
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
            except (StoreError, StateError) as failure:
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
        parts = await self._parts(record)
        if parts is None:
            await self._fail(record, lease, "one of its parts was deleted or expired before it was assembled")
            return True
        copied = await self._copy(record, lease, parts, claim)
        if copied is None:
            return False
        await self._finisher.finish(copied, lease)
        return True

    async def _copy(self, record: Record, lease: Lease, parts: Sequence[Record], claim: Claim) -> Record | None:
        assert isinstance(self._store, Concatenates)  # `concatenation` is announced for such stores only
        start = 0
        for part in parts:
            if claim.superseded:
                return None
            size = part.upload.offset
            if start >= record.upload.offset and size:
                await in_thread(self._store.concatenate, record.upload.id, start, part.upload.id, size)
                crc = combine(record.crc64, part.crc64, size)
                upload = advance(record.upload, Phase.FINISHING, offset=start + size)
                record = replace(record, upload=upload, crc64=crc, updated_at=self._pace.clock())
                await self._state.save(record, lease)
            start += size
        return record

    async def _parts(self, record: Record) -> list[Record] | None:
        parts = [await self._state.get(part_id) for part_id in record.upload.parts]
        usable = [
            part for part in parts if part is not None and part.upload.phase not in (Phase.EXPIRED, Phase.TERMINATED)
        ]
        return usable if len(usable) == len(parts) else None

    async def _fail(self, record: Record, lease: Lease, reason: str) -> None:
        now = self._pace.clock()
        upload = advance(record.upload, Phase.FAILED, reason=reason)
        await self._state.save(replace(record, upload=upload, updated_at=now), lease)
        self._events.publish(Event("failed", upload.id, now, {"reason": reason}))
