"""What is made of uploads, in memory; for tests."""

from collections.abc import Callable, Iterator
from typing import Final

from ferryman_server.storage.base import StoreError, StoreFull
from ferryman_server.storage.derived import Kept, checked_place

PIECE: Final = 1 << 20  # bytes: the most that `read` yields at once


class MemoryDerived:
    """Keeps them in memory. See :class:`ferryman_server.storage.derived.DerivedFiles` for what it promises."""

    def __init__(
        self, *, free: Callable[[], int | None], syncs_fail: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        """`free`: bytes that still fit in (None: no bound). `syncs_fail`: whether the disk refuses syncs. `clock`:
        seconds since the epoch."""
        self._free = free
        self._syncs_fail = syncs_fail
        self._clock = clock
        self._held: dict[str, tuple[bytes, float]] = {}

    @property
    def held(self) -> int:
        """How many bytes there are in all."""
        return sum(len(content) for content, _ in list(self._held.values()))

    def put(self, place: str, content: bytes) -> None:
        """Hold it. Raises StoreFull, StoreError; what was there stays then."""
        free = self._free()
        if free is not None and len(content) > free + (self.size(place) or 0):
            raise StoreFull(f"cannot write {len(content)} bytes of {place}: {free} are free")
        if self._syncs_fail():
            raise StoreError(f"cannot sync {place}")
        self._held[checked_place(place)] = (bytes(content), self._clock())

    def read(self, place: str, start: int, stop: int) -> Iterator[memoryview]:
        """Yield bytes [start, stop)."""
        return self._pieces(checked_place(place), start, stop)

    def size(self, place: str) -> int | None:
        """Bytes; None: nothing is there."""
        held = self._held.get(checked_place(place))
        return None if held is None else len(held[0])

    def free(self, place: str) -> None:
        """Forget it."""
        self._held.pop(checked_place(place), None)

    def places(self) -> Iterator[Kept]:
        """Walk it, as it was when the walk began."""
        for place, (content, modified_at) in list(self._held.items()):
            yield Kept(place, len(content), modified_at)

    def tidy(self, now: float) -> int:
        """Nothing is ever half written."""
        return 0

    def _pieces(self, place: str, start: int, stop: int) -> Iterator[memoryview]:
        held = self._held.get(place)
        if held is None:
            raise StoreError(f"{place} is missing")
        whole = memoryview(held[0])
        if len(whole) < stop:
            raise StoreError(f"{place} holds {len(whole)} bytes, but byte {stop} was asked for")
        for at in range(start, stop, PIECE):
            yield whole[at : min(at + PIECE, stop)]
