"""How far the bytes of a long body may run ahead of those that are durable: a power cut costs no more than that.

`before` and `after` are called by the thread that writes, around each piece; `durable` by whoever made it so. That
falls due at half of the room, so that a fast body seldom waits: the other half comes in while the first one is synced.
"""

import threading
from collections.abc import Callable


class Margin:
    """`most` bytes beyond what is durable, or one piece."""

    def __init__(self, most: int, durable: int, ends_at: int | None, on_due: Callable[[], None]) -> None:
        """`durable` is the offset up to which all is durable now, `ends_at` the one at which the body ends, if that is
        known. `on_due` is called by the thread that writes and must not block."""
        self._most = most
        self._durable = durable
        self._ends_at = ends_at
        self._on_due = on_due
        self._due_at = durable + most // 2
        self._room = threading.Event()

    def before(self, reached: int, size: int) -> None:
        """Wait until `size` bytes more than `reached` may be stored."""
        while self._durable < reached and reached + size - self._durable > self._most:
            self._room.clear()
            self._on_due()
            if self._durable < reached:  # else it came just before the clearing
                self._room.wait()

    def after(self, reached: int) -> None:
        """So far it is stored: say when it is time to make it durable. That is never in a body that ends before it must
        be: its end makes all durable."""
        ends_near = self._ends_at is not None and self._ends_at - self._durable <= self._most
        if reached >= self._due_at and not ends_near:
            self._due_at = reached + self._most  # `durable`, which comes now, sets it anew
            self._on_due()

    def durable(self, upto: int) -> None:
        """All before `upto` is durable."""
        self._durable = max(upto, self._durable)
        self._due_at = self._durable + self._most // 2
        self._room.set()

    def give_up(self, reached: int) -> None:
        """Nothing will be durable any more: let a thread go that waits for it."""
        self.durable(reached + self._most)
