"""Who, in this process, may write which upload: one holder at a time, and the newest claim wins.

A claim that arrives asks everyone before it in the line to stop: a transfer under way stops reading at once, makes
what it keeps durable, and lets go; one that still waits gives up as soon as its turn comes. Nobody waits for a
time-out, and nobody is ever cut off in the middle of a commit.

What the holder keeps when it is asked to stop depends on where the newer request wants to write (DESIGN §4):

- at exactly the last committed offset: what was not committed is dropped, the newer request brings it again;
- at another offset, or nowhere (an offset retrieval): everything that arrived is committed first;
- nowhere ever again (a termination): dropped.

Fences in the state (:class:`ferryman_server.state.base.Lease`) guard against other processes; this guards within one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TypeAlias


class Intent(Enum):
    """What a newer request wants, when it is not an offset to write at."""

    LOOK = auto()  # it wants an offset that will be accepted next: commit everything
    DELETE = auto()  # it wants the upload gone: commit nothing


Wish: TypeAlias = int | Intent  # an offset in bytes, or an intent


class NotYet(Exception):
    """The holder has not let go in time: it is being finished, or its disk is slow."""


class Claim:
    """One request's place in the line for one upload."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.successor: Claim | None = None
        self.checkpoint: Callable[[], Awaitable[None]] | None = None  # set by the transfer while it runs
        self._on_superseded: Callable[[], None] | None = None
        self._turn = asyncio.Event()
        self.left = asyncio.Event()  # set when the claim is given up

    @property
    def superseded(self) -> bool:
        """Whether a newer claim has asked for the upload."""
        return self.successor is not None

    def on_superseded(self, call: Callable[[], None] | None) -> None:
        """Call this when a newer claim arrives; at once when one already has."""
        self._on_superseded = call
        if call is not None and self.superseded:
            call()

    def drops(self, committed: int) -> bool:
        """Whether bytes beyond the `committed` offset are to be dropped for the newer claim's sake."""
        if self.successor is None:
            return False
        return self.successor.wish is Intent.DELETE or self.successor.wish == committed

    def _yield_to(self, newer: "Claim") -> None:
        self.successor = newer
        if self._on_superseded is not None:
            self._on_superseded()


class Claims:
    """The lines of claims, by upload id."""

    def __init__(
        self,
        on_takeover: Callable[[], None] = lambda: None,
        on_waited: Callable[[str, float], None] = lambda upload_id, seconds: None,
    ) -> None:
        """`on_takeover` is called whenever a claim finds others before it, `on_waited` when it has had to wait for its
        turn, however that ended."""
        self._lines: dict[str, list[Claim]] = {}
        self._on_takeover = on_takeover
        self._on_waited = on_waited

    def busy(self, upload_id: str) -> bool:
        """Whether somebody holds, or waits for, the upload."""
        return upload_id in self._lines

    def holder(self, upload_id: str) -> Claim | None:
        """The claim that may write the upload now, if any."""
        line = self._lines.get(upload_id)
        return line[0] if line else None

    def take_at_once(self, upload_id: str, wish: Wish) -> Claim | None:
        """Hold the upload if nobody does, until :meth:`leave`; None when somebody does. Spares the hot path what `take`
        needs to wait."""
        if upload_id in self._lines:
            return None
        claim = Claim(wish)
        self._lines[upload_id] = [claim]
        return claim

    @asynccontextmanager
    async def take(self, upload_id: str, wish: Wish, *, patience: float | None = None) -> AsyncIterator[Claim]:
        """Hold the upload for the length of the `async with`. Look at `superseded` first thing: a newer claim may
        have come while this one waited for its turn. Raises NotYet when it is not its turn after `patience` seconds.
        """
        claim = Claim(wish)
        line = self._lines.setdefault(upload_id, [])
        if line:
            self._on_takeover()
        for earlier in line:
            earlier._yield_to(claim)
        line.append(claim)
        try:
            if line[0] is not claim:
                began = time.perf_counter()
                try:
                    await _wait(claim._turn, patience)
                finally:
                    self._on_waited(upload_id, time.perf_counter() - began)
            yield claim
        finally:
            self.leave(upload_id, claim)

    @asynccontextmanager
    async def take_if_free(self, upload_id: str) -> AsyncIterator[Claim | None]:
        """Like `take`, but never disturbs anyone: None when somebody is at work on the upload."""
        if self.busy(upload_id):
            yield None
            return
        async with self.take(upload_id, Intent.LOOK) as claim:
            yield claim

    async def settled(self, upload_id: str) -> None:
        """Wait until nobody holds the upload; disturbs nobody."""
        while line := self._lines.get(upload_id):
            await line[-1].left.wait()

    async def idle(self) -> None:
        """Wait until nobody holds any upload."""
        while self._lines:
            await self.settled(next(iter(self._lines)))

    def leave(self, upload_id: str, claim: Claim) -> None:
        """Give the upload up: the next one in the line has its turn."""
        line = self._lines[upload_id]
        first = line[0] is claim
        line.remove(claim)
        claim.left.set()
        if not line:
            del self._lines[upload_id]
        elif first:
            line[0]._turn.set()


async def _wait(turn: asyncio.Event, patience: float | None) -> None:
    try:
        async with asyncio.timeout(patience):
            await turn.wait()
    except TimeoutError:
        raise NotYet from None
