"""Where events become streams: takes them in, wakes those who listen, and bounds how many those are.

With nobody listening, an event costs a line in the log and nothing else. Listeners are woken together, at once when it
was quiet, and otherwise some twenty times a second: a thousand events a second must not wake each of them a thousand
times.
"""

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ferryman_protocol import problems
from ferryman_protocol.problems import Problem, Refused
from ferryman_server import event_follower, event_gathering, event_log
from ferryman_server.event_follower import Follower
from ferryman_server.event_gathering import Gathering
from ferryman_server.event_log import EventLog
from ferryman_server.event_snapshots import Describe, Snapshots
from ferryman_server.events import STEPS, Event
from ferryman_server.state.base import State
from ferryman_server.state.event_rows import KeepsEvents

LISTENERS: Final = 256  # at once
COME_AGAIN: Final = 10  # seconds after which one too many may
BEAT: Final = 0.05  # seconds between two rounds of waking


@dataclass(frozen=True, kw_only=True, slots=True)
class EventLimits:
    """The bounds of a hub. Times in seconds."""

    listeners: int = LISTENERS
    kept: int = event_log.KEPT  # events that are stored
    block: int = event_log.BLOCK  # numbers reserved at once
    pause: float = event_log.PAUSE  # between two commits of events
    interval: float = event_gathering.INTERVAL  # between two messages of how far an upload is
    most: int = event_gathering.MOST  # uploads of which that is kept
    still: float = event_follower.STILL  # after which a silent stream is sent a comment


class EventHub:
    """To be entered before the first event, and left after the last one."""

    def __init__(
        self,
        state: State,
        describe: Describe,
        limits: EventLimits = EventLimits(),
    ) -> None:
        """`describe`: uploads as the API tells them. Raises TypeError for a state that has no room for events."""
        if not isinstance(state, KeepsEvents):
            raise TypeError(f"{type(state).__name__} keeps no events: it has no event_rows")
        rows = state.event_rows
        self._limits = limits
        self._gathering = Gathering(interval=limits.interval, most=limits.most)
        self._log = EventLog(rows, kept=limits.kept, block=limits.block, pause=limits.pause, on_more=self._soon)
        self._snapshots = Snapshots(
            self._log, self._gathering, state=state, rows=rows, describe=describe, clock=time.time
        )
        self._followers: set[Follower] = set()
        self._beat: asyncio.TimerHandle | None = None
        self._beaten_at = float("-inf")
        self._told = (0, 0)  # what there was when listeners were woken last
        self._stopped = False

    async def __aenter__(self) -> Self:
        """Find what earlier processes told. Raises StateError."""
        await self._log.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every stream, and store what was told."""
        self.stop()
        await self._snapshots.close()
        await self._log.close()

    def listen(self, event: Event) -> None:
        """Take an event in; subscribe this to the events."""
        if event.name not in STEPS:
            self._log.tell(event)
            self._gathering.end(event)
        elif self._followers:
            self._gathering.take(event, asyncio.get_running_loop().time())
            self._soon()

    def stop(self) -> None:
        """The server begins to stop: end every stream, now and from now on. Idempotent."""
        self._stopped = True
        for follower in self._followers:
            follower.stop()

    async def follow(self, since: int | None, upload_id: str | None = None, *, over: bool = False) -> Follower | None:
        """A listener of all uploads or of one, to be closed; it goes on behind the event with the number `since`, or
        begins with how things stand. `over`: nothing more can happen to the upload; None then says that nothing is
        left to be told of it. Raises Refused when there are too many listeners, and StateError."""
        if len(self._followers) >= self._limits.listeners:
            detail = f"{self._limits.listeners} listeners hear the events of this server already"
            raise Refused(Problem(kind=problems.CROWDED, detail=detail, headers=(("Retry-After", str(COME_AGAIN)),)))
        follower = Follower(
            self._log,
            self._gathering,
            self._snapshots,
            upload_id=upload_id,
            on_close=self._forget,
            still=self._limits.still,
        )
        self._followers.add(follower)
        tells = False
        try:
            tells = await follower.begin(since, over=over)
        finally:
            if not tells:
                follower.close()
        if self._stopped:
            follower.stop()
        return follower if tells else None

    def _forget(self, follower: Follower) -> None:
        self._followers.discard(follower)
        if not self._followers:
            self._gathering.clear()

    def _soon(self) -> None:
        """There is, or there will be, something to be told."""
        if self._followers and self._beat is None:
            loop = asyncio.get_running_loop()
            self._beat = loop.call_at(max(loop.time(), self._beaten_at + BEAT), self._wake)

    def _wake(self) -> None:
        self._beat = None
        self._beaten_at = asyncio.get_running_loop().time()
        self._gathering.ripen(self._beaten_at)
        there = (self._log.end, self._gathering.version)
        if there != self._told:
            self._told = there
            for follower in self._followers:
                follower.wake()
        if self._gathering.waits:
            self._soon()
