"""The one budget of memory in which parts are filled, and how it frees itself without a client's help.

Whoever fills a part (a :class:`Holder`) takes memory as it goes: little by little up to SMALL, so that thousands of
slow uploads cost little, then at once all that its part may still need, so that whoever has begun can end. What is
taken comes back when the bytes are in the store. Rules:

- A part that is being sent frees its memory by itself: sent, or given up.
- Where somebody waits, or little is left, those that stand still (they wait here too, or their client is slow) are told
  to spill: to write what they hold to the store as it is. The fullest of them comes first, one at a time.
- So, whatever is taken, something is on its way to the store, or somebody is told to send it: memory never stays taken
  because a client is silent.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeAlias

SLICE: Final = 512 << 10  # bytes of one piece of memory, the largest; the pump reads as much at once
SMALL: Final = 1 << 20  # bytes that are taken little by little
FIRST: Final = 64 << 10  # bytes of the first piece
STILL: Final = 0.5  # seconds without a byte after which a holder stands still
LOOK: Final = 0.1  # seconds between looks of those who wait

Clock: TypeAlias = Callable[[], float]


class GivenUp(Exception):
    """Whoever waited for memory is not wanted any more."""


class Holder(Protocol):
    """Somebody who fills a part."""

    @property
    def spillable(self) -> int:
        """How many bytes a spill would free now; 0: none, or one is under way."""

    @property
    def last_moved(self) -> float:
        """When it last took bytes, by `time.monotonic`."""

    def spill(self) -> int:
        """Have what is held written to the store and give its memory back then, as spilt; returns how many bytes that
        will be. Must return at once and not raise."""


class Memory:
    """The budget."""

    def __init__(self, total: int, *, low: int, clock: Clock = time.monotonic) -> None:
        """`total` bytes in all. Where fewer than `low` are left, those that stand still are told to spill."""
        self.total = total
        self.free = total
        self._low = low
        self._clock = clock
        self._changed = threading.Condition()
        self._holders: dict[Holder, None] = {}
        self._waiting = 0
        self._coming = 0  # bytes that were told to be spilt

    @property
    def waiting(self) -> int:
        """How many wait for memory."""
        return self._waiting

    def enter(self, holder: Holder) -> None:
        """This one may be told to spill from now on."""
        with self._changed:
            self._holders[holder] = None

    def leave(self, holder: Holder) -> None:
        """This one holds nothing any more. Idempotent."""
        with self._changed:
            self._holders.pop(holder, None)

    def take(self, size: int, given_up: Callable[[], bool]) -> None:
        """Wait until so many bytes are free and take them; more than there are in all count as all. Raises GivenUp as
        soon as `given_up()` says so."""
        size = min(size, self.total)
        with self._changed:
            self._waiting += 1
            try:
                while self.free < size:
                    self._relieve(size)
                    if given_up():
                        raise GivenUp
                    self._changed.wait(LOOK)
            finally:
                self._waiting -= 1
            self.free -= size
            if self.free < self._low:
                self._relieve(self._low)

    def give(self, size: int, *, spilt: bool = False) -> None:
        """Give so many bytes back. `spilt`: because they were told to be."""
        with self._changed:
            self.free += min(size, self.total)
            if spilt:
                self._coming -= size
            self._changed.notify_all()

    def _relieve(self, wanted: int) -> None:
        """Have one spill, unless enough is coming already."""
        if self.free + self._coming < wanted:
            chosen = fullest(self._holders, self._clock() - STILL)
            if chosen is not None:
                self._coming += chosen.spill()


def fullest(holders: Iterable[Holder], still_since: float) -> Holder | None:
    """The one that frees most, of those that did not move since then."""
    still = (holder for holder in holders if holder.spillable and holder.last_moved < still_since)
    return max(still, key=lambda holder: holder.spillable, default=None)
