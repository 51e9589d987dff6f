"""Whether uploads should use the same few pages of the page cache again and again.

What is given back as soon as it is on the disk is there for the bytes that come next; that takes two system calls a
MiB. Pages that are left alone cost nothing, as long as the kernel has others at hand. Where it has to find them first
(a virtual machine that shares its host's memory, a small machine whose memory is full), a fresh page costs up to ten
times as much as the copy into it. Nobody tells which it is, and it changes. So it is measured: what writing costs in
either way, and pages are left alone where that is not dearer.
"""

import statistics
import threading
from typing import Final

PIECE: Final = 256 << 10  # bytes: smaller writes say more about system calls than about pages
SETTLE: Final = 32 << 20  # bytes after a change of ways that say nothing: they still get the pages of the way before
WINDOW: Final = 16 << 20  # bytes whose median cost counts: single writes are held up by whatever else goes on
STAY: Final = 4 << 30  # bytes until leaving pages alone is tried once more after it was too dear
DEARER: Final = 1.5  # times the cost with pages used again, which is not free either: less may be chance …
IN_A_ROW: Final = 2  # … in so many windows
FORGET: Final = 1.1  # the cheapest window is remembered as so much dearer with each one after it


class Recycling:
    """What one process has seen writes cost, and what follows: `worthwhile`. May be used from any thread."""

    def __init__(self) -> None:
        self.worthwhile = True
        self._lock = threading.Lock()
        self._until_trial = WINDOW  # bytes
        self._cheapest: float | None = None  # seconds a byte, with pages used again
        self._unsettled = SETTLE  # bytes
        self._size = 0  # of the window so far
        self._costs: list[float] = []  # seconds a byte, in the window so far
        self._dear = 0  # windows in a row

    def wrote(self, size: int, seconds: float) -> None:
        """A write of `size` bytes took so long."""
        if size < PIECE:
            return
        with self._lock:
            if self._unsettled > 0:
                self._unsettled -= size
                return
            self._size += size
            self._costs.append(seconds / size)
            if self._size >= WINDOW:
                self._judge(statistics.median(self._costs))
                self._size = 0
                self._costs.clear()

    def _judge(self, cost: float) -> None:
        if self.worthwhile:
            self._cheapest = cost if self._cheapest is None else min(cost, self._cheapest * FORGET)
            self._until_trial -= self._size
            if self._until_trial <= 0:
                self._turn(worthwhile=False)
        elif self._cheapest is not None:
            self._dear = self._dear + 1 if cost > self._cheapest * DEARER else 0
            if self._dear == IN_A_ROW:
                self._until_trial = STAY
                self._turn(worthwhile=True)

    def _turn(self, *, worthwhile: bool) -> None:
        self.worthwhile = worthwhile
        self._unsettled, self._dear = SETTLE, 0
