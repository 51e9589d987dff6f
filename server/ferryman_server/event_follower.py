"""One listener's way through the events: first what it missed, then everything as it comes, or how things stand.

A follower keeps a place in the log and a version of what is gathered, and takes from both, which all share, when its
client has room for more. So a client that is slow or stuck costs no memory of its own and holds nobody up. What it has
not taken in time is forgotten; then it is told how things stand, and goes on from there.

One of a single upload ends when nothing more can happen to that.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from ferryman_server import sse
from ferryman_server.event_gathering import Gathering
from ferryman_server.event_log import RESET, EventLog
from ferryman_server.event_snapshots import Snapshots
from ferryman_server.state.event_rows import EventRow

BATCH: Final = 256  # events taken at once
STILL: Final = 15.0  # seconds of silence after which a comment is sent
_LAST: Final = ("terminated", "expired")  # what nothing follows


class Follower:
    """To be begun, read, and closed."""

    def __init__(
        self,
        log: EventLog,
        gathering: Gathering,
        snapshots: Snapshots,
        *,
        upload_id: str | None,
        on_close: Callable[["Follower"], None],
        still: float = STILL,
    ) -> None:
        """`upload_id`: the one to hear of; None: of all."""
        self.stopped = asyncio.Event()  # the server is going down
        self._log = log
        self._gathering = gathering
        self._snapshots = snapshots
        self._upload_id = upload_id
        self._on_close = on_close
        self._still = still
        self._place = 0
        self._version = 0
        self._held = b""  # to be told before anything else
        self._over = False  # nothing more can happen: it ends when everything is told
        self._more = asyncio.Event()

    async def begin(self, since: int | None, *, over: bool = False) -> bool:
        """Go on behind the event with the number `since`, if that is known, or else from how things stand. `over`:
        nothing more can happen to the upload. Returns whether there is anything to tell. Raises StateError."""
        place = None if since is None else self._log.after(since)
        if place is None:
            self._held = await self._reset()
        else:
            self._place, self._version, self._over = place, self._gathering.forgotten, over
            self._held = await self._taken()
        return bool(self._held) or not self._over

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """What to send: whole events, as many as come at once, and comments. Ends when the server stops, or when
        nothing more can happen. Raises StateError."""
        yield sse.RETRY + self._held
        self._held = b""
        while not self.stopped.is_set():
            self._more.clear()
            block = await self._taken()
            if block:
                yield block
            elif self._over:
                return
            elif not await self._woken():
                yield sse.STILL_HERE

    def wake(self) -> None:
        """There may be something new."""
        self._more.set()

    def stop(self) -> None:
        """End it: the server is going down."""
        self.stopped.set()
        self._more.set()

    def close(self) -> None:
        """The client has left. Idempotent."""
        self._on_close(self)

    async def _taken(self) -> bytes:
        """What is there to be told and has not been; empty: that is all."""
        while events := self._log.since(self._place, BATCH):
            if events[0].name == RESET:
                return await self._reset()
            block = self._passed(events)
            if block:
                return block
        passing = None if events is None else self._gathering.since(self._version, self._upload_id)
        if passing is None:
            return await self._reset()
        cut = len(passing) > BATCH
        self._version = passing[BATCH - 1][0] if cut else self._gathering.version
        return b"".join([block for _, block in passing[:BATCH]])

    def _passed(self, events: Sequence[EventRow]) -> bytes:
        """Go past these events, up to a reset; what is to be told of them."""
        blocks = []
        for event in events:
            if event.name == RESET:
                break
            self._place += 1
            if self._upload_id is None:
                blocks.append(sse.block(event.name, event.data, event.seq))
            elif event.upload_id == self._upload_id:
                blocks.append(sse.block(event.name, event.data, event.seq))
                self._over = self._over or event.name in _LAST
        return b"".join(blocks)

    async def _reset(self) -> bytes:
        """Go on from how things stand."""
        snapshots, upload_id = self._snapshots, self._upload_id
        snapshot = await (snapshots.all() if upload_id is None else snapshots.one(upload_id))
        self._place, self._version, self._over = snapshot.place, snapshot.version, snapshot.over
        return snapshot.block

    async def _woken(self) -> bool:
        """Wait for more; False: it is still for too long."""
        try:
            async with asyncio.timeout(self._still):
                await self._more.wait()
        except TimeoutError:
            return False
        return True
