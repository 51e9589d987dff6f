"""Bytes in memory that follow each other, on their way into a part: slices that are filled one after the other."""

from ferryman_server.storage.s3_memory import FIRST, SLICE, SMALL
from ferryman_server.storage.s3_slices import Slices
from ferryman_server.storage.s3_sums import RunningSums, Sums


class Run:
    """Bytes [start, stop)."""

    def __init__(self, start: int, memory: Slices) -> None:
        self.start = start
        self._memory = memory
        self.taken = 0  # bytes of the budget
        self._sums = RunningSums()
        self._slices: list[memoryview] = []
        self._room = 0  # bytes that the slices hold
        self._size = 0

    @property
    def stop(self) -> int:
        """The offset behind the last byte."""
        return self.start + self._size

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    @property
    def sums(self) -> Sums:
        """The checksums of these bytes by themselves."""
        return self._sums.value

    def wanted(self, whole: int, *, flows: bool) -> int:
        """How many bytes of the budget the next slice takes, in a run of `whole` bytes: little by little at first, then
        (at once where they flow) all of the rest; 0 where enough is taken."""
        if self.taken > self._room:
            return 0
        if self._room < SMALL and not flows:
            return max(FIRST, min(self._room, SLICE))
        return max(whole - self._room, FIRST)

    def space(self) -> memoryview | None:
        """Where the next bytes go; None: a slice is wanted."""
        left = self._room - self._size
        return self._slices[-1][len(self._slices[-1]) - left :] if left else None

    def grow(self) -> None:
        """Have one more slice, out of what is taken."""
        size = min(self.taken - self._room, SLICE)
        self._slices.append(self._memory.have(size))
        self._room += size

    def advance(self, count: int) -> None:
        """So many bytes more are filled."""
        space = self.space()
        assert space is not None
        self._sums.update(space[:count])
        self._size += count

    def chunks(self) -> list[memoryview]:
        """The bytes, slice by slice."""
        left, chunks = self._size, []
        for piece in self._slices:
            if left:
                chunks.append(piece[:left])
                left -= len(chunks[-1])
        return chunks

    def free(self) -> int:
        """Let go of the memory; returns how much of the budget was taken for it."""
        self._memory.let_go(self._slices)
        self._slices, self._room = [], self._size
        taken, self.taken = self.taken, 0
        return taken
