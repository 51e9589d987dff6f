"""Where an upload's committed bytes are read from while it runs: the store, or the parts that it keeps in memory a
moment longer (:class:`ferryman_server.storage.ledger.LetsReadAlong`), or the store once the upload is complete."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.media.reach import Reach
from ferryman_server.storage.base import ReadsThrough, Store
from ferryman_server.storage.ledger import KeepsNoBooks, LetsReadAlong

TURN: Final = 32 << 20  # bytes that are read before others have their turn


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes to be read now."""

    pieces: Iterable[memoryview]
    release: Callable[[], None]  # to be called when they have been read, or will not be


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    stretch: Stretch


class Committed:
    """The bytes of one upload. Everything here is called on the event loop."""

    def __init__(self, store: Store, upload_id: str, reach: Reach) -> None:
        self.reach = reach
        self._store = store
        self._upload_id = upload_id
        self._early = not isinstance(store, KeepsNoBooks)  # what is committed of an unfinished upload can be read
        self._parts: deque[_Part] = deque()

    def open(self) -> None:
        """Read along from now on; `close` has to follow."""
        if isinstance(self._store, LetsReadAlong):
            self._store.read_along(self._upload_id, self)

    def after(self, offset: int) -> Stretch | None:
        """The next bytes from `offset` on; None: there are none that can be read now."""
        while self._parts and self._parts[0].start < offset:
            self._parts.popleft().stretch.release()
        if self._parts and self._parts[0].start == offset:
            return self._parts.popleft().stretch
        self._let_go()  # what comes before them was not kept: they are read with it, later
        stop, whole = min(self.reach.offset, offset + TURN), self.reach.whole
        if offset >= stop or not (self._early or whole):
            return None
        return Stretch(self._read(offset, stop, published=whole), _nothing)

    def _read(self, start: int, stop: int, *, published: bool) -> Iterator[memoryview]:
        """In the thread that asks for the first piece: to begin may take the store as long as to go on."""
        read = self._store.read_through if isinstance(self._store, ReadsThrough) else self._store.read
        yield from read(self._upload_id, start, stop, published=published)

    def offer(self, start: int, pieces: Sequence[memoryview], release: Callable[[], None]) -> None:
        """A part is committed; see :class:`ferryman_server.storage.ledger.Tap`."""
        self._parts.append(_Part(start, Stretch(pieces, release)))
        self.reach.look()

    def close(self) -> None:
        """Nobody reads along any more."""
        if isinstance(self._store, LetsReadAlong):
            self._store.read_along(self._upload_id, None)
        self._let_go()

    def _let_go(self) -> None:
        while self._parts:
            self._parts.popleft().stretch.release()


def _nothing() -> None:
    """Nothing is held."""
