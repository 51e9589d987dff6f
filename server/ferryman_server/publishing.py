"""Requests that find an upload in FINISHING: they wait a bounded time, and go on with what a failure left.

Publishing itself is the finisher's and the assembler's work; here is who does it when, and how long others wait.
"""

import asyncio
import contextlib

from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_protocol.refusals import finishing
from ferryman_server import turns
from ferryman_server.house import House
from ferryman_server.refusals import Declined
from ferryman_server.state.base import Lease, Record


async def publish(house: House, record: Record, lease: Lease) -> Record:
    """Take an upload that is no final one from FINISHING to COMPLETE, and tell the finals that wait for it. Raises what
    the finisher raises."""
    record = await house.finisher.finish(record, lease)
    await tell_finals(house, record.upload)
    return record


async def tell_finals(house: House, upload: Upload) -> None:
    """An upload is complete: the finals that waited for it alone begin. Never raises."""
    if upload.concat is Concat.PARTIAL:
        await house.assembler.part_changed(upload.id)


class Publisher:
    """Goes on with publications, one at a time for each upload."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._tasks: set[asyncio.Task[bool]] = set()  # begun by requests that need not wait for the end

    async def finish_pending(self, upload_id: str) -> bool:
        """Publish an upload that stands in FINISHING, if nobody is at work on it; True when it is published."""
        house = self._house
        async with house.claims.take_if_free(upload_id) as claim:
            held = await house.state.lease(upload_id) if claim is not None else None
            if held is None or held[0].upload.phase is not Phase.FINISHING:
                return held is not None
            record, lease = held
            if record.upload.concat is Concat.FINAL:
                house.assembler.start(upload_id)
                return False
            await publish(house, record, lease)
        return True

    async def settled(self, record: Record) -> Record:
        """Wait for a publication under way; publish what a failure left. Raises Declined (503) if it takes too long."""
        house, upload_id = self._house, record.upload.id
        if record.upload.concat is Concat.FINAL:
            house.assembler.start(upload_id)
            return record
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(turns.PATIENCE):
                await house.claims.settled(upload_id)
                await asyncio.shield(self._publish(upload_id))
        record = await house.state.get(upload_id) or record
        if record.upload.phase is Phase.FINISHING:
            raise Declined(finishing(record.upload), record.upload)
        return record

    def _publish(self, upload_id: str) -> "asyncio.Task[bool]":
        """Publish what a failure left, in a task that goes on when the request that began it has waited too long."""

        def over(task: "asyncio.Task[bool]") -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                task.exception()  # told to whoever still waited; the row says the rest

        task = asyncio.create_task(self.finish_pending(upload_id))
        self._tasks.add(task)
        task.add_done_callback(over)
        return task
