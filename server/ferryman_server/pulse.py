"""Does a body still flow? It is cut when no byte came for too long, or too few for much longer.

Only time in which the server waited for the client counts: when the client was held back, both clocks start anew.
"""


class Pulse:
    """The pulse of one body. Every `now` is a time of the event loop's clock, in seconds."""

    def __init__(self, now: float, *, idle_timeout: float, min_rate: float, window: float) -> None:
        """`idle_timeout`: seconds without a byte. `min_rate`: bytes a second that have to come on average within each
        `window` of seconds; 0 asks for none."""
        self._idle_timeout = idle_timeout
        self._window = window
        self._enough = min_rate * window  # bytes in a window
        self._count = 0  # bytes in this window
        self._began = self._last = now

    def beat(self, size: int, now: float) -> None:
        """So many bytes came."""
        self._count += size
        self._last = now

    def excuse(self, now: float) -> None:
        """The client was held back until now."""
        self._count = 0
        self._began = self._last = now

    def due(self, now: float) -> float:
        """When to look again, at the earliest; `now` or before: the body has stalled."""
        silent = self._last + self._idle_timeout
        if not self._enough:
            return silent
        ends = self._began + self._window
        if now >= ends and self._count >= self._enough:
            self._began, self._count = now, 0
            ends = now + self._window
        return min(silent, ends)
