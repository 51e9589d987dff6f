"""Requests that stand still: for a while, or until a test has done what it wanted to do just then."""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.s3.log import Seen
from tests.s3.moments import EVERYTHING, Cut, Fault, Place, Way

TIMEOUT: Final = 20.0  # seconds


class When(Enum):
    """Where a request stands still."""

    BEFORE = "nothing of it has gone upstream"
    UNFINISHED = "all but its body's last byte has gone upstream: it happens, whatever becomes of its client"
    DONE = "upstream has done it, and its client does not know"


class _Standing(Fault):
    """A fault that stands still at one place."""

    when: When

    async def stand(self, seen: Seen) -> None:
        """Until it may go on."""
        raise NotImplementedError

    async def at_request(self, seen: Seen) -> None:
        """See `Fault`."""
        if self.when is When.BEFORE or (self.when is When.UNFINISHED and seen.length == 0):
            await self.stand(seen)

    async def at_answer(self, seen: Seen) -> None:
        """See `Fault`."""
        if self.when is When.DONE:
            await self.stand(seen)

    def room(self, place: Place, seen: Seen) -> int:
        """See `Fault`."""
        if self.when is not When.UNFINISHED or place.way is Way.DOWN:
            return EVERYTHING
        return max(1, _last(seen) - place.offset)

    async def touch(self, piece: memoryview, content: int, place: Place, seen: Seen) -> None:
        """See `Fault`. The last byte is here then: its client is not needed any more."""
        if self.when is When.UNFINISHED and place.way is Way.UP and place.offset == _last(seen):
            await self.stand(seen)


@dataclass(frozen=True)
class Stall(_Standing):
    """Stand still for a time."""

    seconds: float
    when: When = When.BEFORE

    async def stand(self, seen: Seen) -> None:
        """See `_Standing`."""
        await asyncio.sleep(self.seconds)


class Hold(_Standing):
    """A gate: every request that it acts on stands still until the test decides."""

    def __init__(self, when: When = When.BEFORE) -> None:
        self.when = when
        self.reached = threading.Event()  # a request stands at the gate, or did
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._standing: list[Future[bool]] = []
        self._decision: bool | None = None

    def __repr__(self) -> str:
        return f"Hold({self.when})"

    def await_reached(self, timeout: float = TIMEOUT) -> Seen:
        """Wait until a request stands at the gate, and tell which came first."""
        assert self.reached.wait(timeout), "no request came to the gate"
        return self._seen[0]

    @property
    def seen(self) -> list[Seen]:
        """The requests that have come to the gate."""
        with self._lock:
            return self._seen.copy()

    def release(self) -> None:
        """They go on, also where their client has gone meanwhile; whoever comes later is not held."""
        self._decide(True)

    def drop(self) -> None:
        """Nothing more of them happens: their connections are reset. The same for those that come later."""
        self._decide(False)

    async def stand(self, seen: Seen) -> None:
        """See `_Standing`."""
        fate: Future[bool] = Future()
        with self._lock:
            self._seen.append(seen)
            if self._decision is None:
                self._standing.append(fate)
            else:
                fate.set_result(self._decision)
        self.reached.set()
        if not await asyncio.wrap_future(fate):
            raise Cut(reset=True)

    def _decide(self, goes_on: bool) -> None:
        with self._lock:
            self._decision = goes_on
            standing, self._standing = self._standing, []
        for fate in standing:
            if fate.set_running_or_notify_cancel():  # False: its connection was cut meanwhile
                fate.set_result(goes_on)


def _last(seen: Seen) -> int:
    """Where the last byte of the body is; 0 also if there is none."""
    assert seen.length is not None, "a chunked body tells its end too late: hold it before, or when it is done"
    return max(0, seen.length - 1)
