"""The memory itself in which parts are filled: mapped by itself, so that what is freed is free.

From malloc it would come out of the arenas of whatever threads happen to ask, and stay there: a server that fills 128
MiB would have 300. A page costs much more to be had from the kernel than to be written to, so whole slices are kept for
the next part: in use and kept, they never are more than the budget.
"""

import mmap
import sys
from collections import deque
from collections.abc import Iterable
from typing import Final

from ferryman_server.storage.s3_memory import SLICE, Memory

KEPT: Final = 16 << 20  # bytes that stay while nobody fills anything


class Slices:
    """Slices of one budget. Its methods may be called from any thread."""

    def __init__(self, memory: Memory) -> None:
        """What is had here has been taken from `memory` before, and is given back to it afterwards."""
        self._memory = memory
        self._kept: deque[memoryview] = deque()  # its appends and pops need no lock

    @property
    def kept(self) -> int:
        """Bytes that are kept for the next part."""
        return len(self._kept) * SLICE

    def have(self, size: int) -> memoryview:
        """A slice of so many bytes, at most SLICE, with anything in them."""
        if size == SLICE:
            try:
                return self._kept.pop()
            except IndexError:
                pass
        self._keep(self._memory.free)
        return memoryview(_mapped(size))

    def let_go(self, slices: Iterable[memoryview]) -> None:
        """Nobody fills or reads these any more."""
        self._kept.extend(piece for piece in slices if len(piece) == SLICE)

    def rest(self) -> None:
        """Somebody has ended: if nobody is left, little is kept."""
        if self._memory.free == self._memory.total:
            self._keep(KEPT)

    def _keep(self, most: int) -> None:
        while self.kept > most:
            try:
                self._kept.pop()
            except IndexError:
                return


def _mapped(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # a shared one is a file, and dearer
