"""How things stand, for listeners that cannot be told what happened since they last heard: the event `reset`.

A snapshot is read after the place from which its listener goes on, so it lacks nothing that is told before that place;
some of what is told after it may be in it already. It is never older than the question; those who ask for the whole
while it is being read share the next one, so that a crowd that comes back at once costs two readings.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ferryman_protocol.model import Phase
from ferryman_server import sse
from ferryman_server.event_gathering import Gathering
from ferryman_server.event_log import RESET, EventLog
from ferryman_server.state.base import Record, State
from ferryman_server.state.event_rows import EventRows
from ferryman_server.threads import in_thread

LISTED: Final = 500  # uploads in a snapshot
FEW: Final = 20  # so many are made JSON at once, without a thread
Describe: TypeAlias = Callable[[Sequence[Record]], Awaitable[Sequence[Mapping[str, Any]]]]

GONE: Final = (Phase.TERMINATED, Phase.EXPIRED)  # nothing more happens to these


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The event, and from where its listener goes on."""

    place: int  # in the log
    version: int  # of what is gathered
    block: bytes
    over: bool = False  # nothing more will happen


class Snapshots:
    """Reads them."""

    def __init__(
        self,
        log: EventLog,
        gathering: Gathering,
        *,
        state: State,
        rows: EventRows,
        describe: Describe,
        clock: Callable[[], float],
    ) -> None:
        """`describe`: uploads as the API tells them; may raise StateError. `clock`: seconds since the epoch."""
        self._log = log
        self._gathering = gathering
        self._state = state
        self._rows = rows
        self._describe = describe
        self._clock = clock
        self._running: asyncio.Task[Snapshot] | None = None
        self._next: asyncio.Task[Snapshot] | None = None  # waits for the one that is running

    async def all(self) -> Snapshot:
        """The newest uploads that are not over. Raises StateError."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_heard)
        return await asyncio.shield(self._next)

    async def one(self, upload_id: str) -> Snapshot:
        """One upload; none in it when its row is gone. Raises StateError."""
        place, version, newest = self._log.end, self._gathering.version, self._log.newest
        record = await self._state.get(upload_id)
        block = await self._block(newest, [] if record is None else [record])
        over = record is None or record.upload.phase in GONE
        return Snapshot(place=place, version=version, block=block, over=over)

    async def close(self) -> None:
        """Stop reading."""
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _after(self, running: "asyncio.Task[Snapshot] | None") -> Snapshot:
        if running is not None:
            await asyncio.wait({running})
        self._running, self._next = self._next, None
        place, version, newest = self._log.end, self._gathering.version, self._log.newest
        records = await self._rows.current(LISTED + 1)
        block = await self._block(newest, records)
        return Snapshot(place=place, version=version, block=block)

    async def _block(self, newest: int, records: Sequence[Record]) -> bytes:
        uploads = await self._describe(records[:LISTED])
        data = {"seq": newest, "at": self._clock(), "uploads": uploads, "truncated": len(records) > LISTED}
        text = sse.encoded(data) if len(uploads) <= FEW else await in_thread(sse.encoded, data)
        return sse.block(RESET, text, newest)


def _heard(task: "asyncio.Task[Snapshot]") -> None:
    """A failure that nobody waits for any more is no surprise to asyncio."""
    with suppress(asyncio.CancelledError):
        task.exception()
