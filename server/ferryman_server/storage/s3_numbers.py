"""Part numbers, and which of them the state knows to be taken.

A number belongs to one range of bytes: the same bytes may be sent again under it, others never. So before a part is
sent its number is reserved in the state (some at once), and a process that finds reserved numbers takes none of them: a
part of a killed process that still arrives cannot take the place of one that counts.

Two things write what is reserved: a reservation, and the commit of an offset, which gives back what was not needed.
They never overlap, or the older word could be the last one.
"""

import threading
from collections.abc import Callable
from typing import Final

from ferryman_server.storage.base import StoreError

AHEAD: Final = 8  # numbers reserved at once: more than are ever on their way
LOOK: Final = 0.1  # seconds between looks whether a waiting reservation is still wanted


class Numbers:
    """The numbers of one upload; used from several threads."""

    def __init__(self, free: int) -> None:
        """`free`: no number from this one on is taken."""
        self.next = free
        self._reserved = free  # the state knows those below
        self._changed = threading.Condition()
        self._committing = self._reserving = False

    def take(self) -> int:
        """The number for the next part. Called by one thread at a time."""
        self.next += 1
        return self.next - 1

    def reserve(self, number: int, write: Callable[[int], None], given_up: Callable[[], bool]) -> None:
        """See that the state knows that `number` is taken; `write` tells it up to where. One call at a time. Raises
        what `write` raises, and StoreError when it was given up."""
        if number < self._reserved:
            return
        with self._changed:
            while self._committing:
                if given_up():
                    raise StoreError("the writer is closed")
                self._changed.wait(LOOK)
            self._reserving = True
        try:
            write(number + AHEAD)
            self._reserved = number + AHEAD
        finally:
            with self._changed:
                self._reserving = False

    def to_commit(self, *, needed: bool) -> int | None:
        """What a commit is to say is free, until `committed`; None: nothing, a reservation is under way. Unless parts
        are on their way (`needed`), what was reserved and not taken is free again."""
        with self._changed:
            if self._reserving:
                return None
            self._committing = True
            if not needed:
                self._reserved = self.next
            return max(self._reserved, self.next)

    def committed(self) -> None:
        """That commit is over."""
        with self._changed:
            self._committing = False
            self._changed.notify_all()
