"""How far the bytes of a long body may run ahead of those that are durable: a power cut costs no more than that.

`before` and `after` are called by the thread that writes, around each piece; `durable` by whoever made it so. That
should happen as much earlier than it must as it takes, so that a fast body seldom waits: how many bytes came in while
it was last under way tells how many that is.
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
        self._ahead = most // 2
        self._due_at = durable + most - self._ahead
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

    def durable(self, upto: int, reached: int) -> None:
        """All before `upto` is durable; meanwhile `reached` was stored."""
        self._durable = max(upto, self._durable)
        came_meanwhile = reached - self._durable
        self._ahead = min(self._most * 3 // 4, max(self._most // 8, self._ahead * 7 // 8, 2 * came_meanwhile))
        self._due_at = self._durable + self._most - self._ahead
        self._room.set()

    def give_up(self, reached: int) -> None:
        """Nothing will be durable any more: let a thread go that waits for it."""
        self.durable(reached + self._most, reached)
