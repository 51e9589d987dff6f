"""What happened to uploads, the newest of it, by rising numbers: what listeners that were away are told first.

Rules:

- A number is told once, also when the process is killed before the event is a row: numbers are reserved beforehand.
  They begin at the microseconds since the epoch, so another database's number is none of ours, and one that a restored
  backup knows nothing of is not used again.
- The newest events are in memory and, a moment later, rows, many with one commit. A kill costs that moment: the next
  process then begins with a `reset`. So does one that finds that others have changed the database meanwhile, or cannot
  know. Whoever was told what came before it cannot go on from there: it has to look how things stand.
- A place counts the events since the log was opened, those found there included. A reader keeps the place it has come
  to, and nothing else; what it has not read may be forgotten meanwhile, but what has not been forgotten stays in order.

Used on the event loop only.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final

import structlog

from ferryman_server import sse
from ferryman_server.events import Event
from ferryman_server.state.base import StateError
from ferryman_server.state.event_rows import EventRow, EventRows
from ferryman_server.tasks import cancel

KEPT: Final = 10_000  # events
PAUSE: Final = 0.2  # seconds between two commits of events
LONGEST_PAUSE: Final = 30.0  # … of which the first one failed
BLOCK: Final = 1 << 24  # numbers reserved at once: as many as there are microseconds in 17 s
LATEST: Final = 1 << 52  # microseconds since the epoch, in the year 2112: a clock that is further ahead is wrong
RESET: Final = "reset"  # the name of an event that is about no upload: what came before it may have holes

log = structlog.get_logger("ferryman.events")


class EventLog:
    """The newest events."""

    def __init__(
        self,
        rows: EventRows,
        *,
        kept: int = KEPT,
        block: int = BLOCK,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.time,
        on_more: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_more` is called when there is more to be read, and must not block."""
        self._rows = rows
        self._kept = kept
        self._slack = kept // 8  # events more than these, after which old ones are dropped, many at once
        self._block = block
        self._pause = pause
        self._clock = clock
        self._on_more = on_more
        self._entries: list[EventRow] = []
        self._start = 0  # the place of the first of them
        self._stored = 0  # the place up to which they are rows …
        self._dropped = 0  # … and from which on
        self._last = self._reserved = 0  # the number used last, and the last one that may be used
        self._lost = False  # an event was not told: there was no number for it
        self._fresh = asyncio.Event()  # something is not a row yet
        self._task: asyncio.Task[None] | None = None

    @property
    def end(self) -> int:
        """The place behind the newest event."""
        return self._start + len(self._entries)

    @property
    def newest(self) -> int:
        """The number of the newest event."""
        return self._entries[-1].seq if self._entries else self._last

    async def open(self) -> None:
        """Find what earlier processes told, and begin to tell. Raises StateError."""
        least = min(int(self._clock() * 1e6), LATEST)
        begun = await self._rows.begin(least=least, block=self._block, kept=self._kept)
        self._entries = begun.rows
        self._stored = self.end
        self._last, self._reserved = begun.first - 1, begun.reserved
        if not begun.whole:
            self._append(RESET, None, self._clock(), {})
            await self._store()
        self._task = asyncio.create_task(self._keep_storing())

    async def close(self) -> None:
        """Store what is not stored. From here on nothing is told. Idempotent; failures are logged."""
        if self._task is None:
            return
        await cancel([self._task])
        self._task = None
        try:
            while self._stored < self.end:
                await self._store()
            await self._rows.end(self._last)
        except StateError as failure:
            log.warning("the last events could not be stored; listeners that come back start anew", error=str(failure))

    def tell(self, event: Event) -> None:
        """Number an event and keep it. Raises TypeError and ValueError for data that JSON does not have."""
        if self._task is not None:
            self._append(event.name, event.upload_id, event.at, event.data)

    def after(self, seq: int) -> int | None:
        """The place behind the event with this number; None: it is not among the newest ones."""
        index = bisect_left(self._entries, seq, key=attrgetter("seq"))
        known = index < len(self._entries) and self._entries[index].seq == seq
        return self._start + index + 1 if known else None

    def since(self, place: int, limit: int) -> Sequence[EventRow] | None:
        """Up to `limit` events from a place on; None: some of them are forgotten."""
        index = place - self._start
        return None if index < 0 else self._entries[index : index + limit]

    def _append(self, name: str, upload_id: str | None, at: float, data: Mapping[str, object]) -> None:
        if self._last >= self._reserved:
            self._lost = True
            return
        seq = self._last + 1
        about = {} if upload_id is None else {"upload": upload_id}
        text = sse.encoded({"seq": seq, **about, "at": at, **data})
        self._last = seq
        self._entries.append(EventRow(seq, name, upload_id, text))
        if len(self._entries) > self._kept + self._slack:
            self._start += len(self._entries) - self._kept
            del self._entries[: -self._kept]
        self._fresh.set()
        self._on_more()

    async def _keep_storing(self) -> None:
        pause = self._pause
        while True:
            await self._fresh.wait()
            await asyncio.sleep(pause)
            try:
                await self._store()
                pause = self._pause
            except StateError as failure:
                if pause == self._pause:
                    log.warning("events could not be stored, it is tried again", error=str(failure))
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _store(self) -> None:
        """Make rows of what is new, in one commit; drop old ones when they are many, reserve numbers when they run low.
        Raises StateError."""
        self._fresh.clear()
        upto, fresh = self.end, self._entries[max(0, self._stored - self._start) :]
        many = upto - self._dropped >= self._kept + self._slack
        low = self._reserved - self._last <= self._block // 2
        oldest = self._entries[-self._kept].seq if many else None
        reserved = self._last + self._block if low else None
        try:
            await self._rows.store(fresh, oldest=oldest, reserved=reserved)
        except BaseException:
            self._fresh.set()
            raise
        self._stored = upto
        if many:
            self._dropped = upto - self._kept
        if reserved is not None:
            self._reserved = reserved
        if self._lost:
            self._lost = False
            self._append(RESET, None, self._clock(), {})
