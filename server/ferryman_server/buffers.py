"""Memory that bytes are read into and written from, lent again and again: nothing zeroes it in between."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from ferryman_server.body import Lends, Sink

SIZE: Final = 512 << 10  # bytes of one buffer: it stays in the processor's cache from one use to the next
SPARE: Final = 4  # buffers that are kept for the next ones who need one

_spare: "deque[memoryview]" = deque()  # its appends and pops need no lock


@contextmanager
def buffer() -> Iterator[memoryview]:
    """SIZE bytes for as long as the `with` lasts; nothing may look at them afterwards."""
    try:
        lent = _spare.pop()
    except IndexError:
        lent = memoryview(bytearray(SIZE))
    try:
        yield lent
    finally:
        if len(_spare) < SPARE:
            _spare.append(lent)


@contextmanager
def spaces(sink: Sink) -> Iterator[Callable[[], memoryview]]:
    """Says where the next bytes for a sink go: into memory of its own where it lends some, else into one buffer, up to
    the next multiple of its size. Nothing may look at that memory after the `with`."""
    with ExitStack() as stack:
        lends = sink if isinstance(sink, Lends) else None
        memory: memoryview | None = None

        def space() -> memoryview:
            nonlocal memory
            if lends is not None and (lent := lends.lend()) is not None:
                return lent
            if memory is None:
                memory = stack.enter_context(buffer())
            return memory[: SIZE - sink.offset % SIZE]

        if lends is not None:
            stack.callback(lends.take_back)
        yield space


class Chunks:
    """Chunks that wait to be copied, one behind the other, into whatever space there is."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._waiting = deque(memoryview(chunk) for chunk in chunks if chunk)

    def __bool__(self) -> bool:
        """Whether any wait."""
        return bool(self._waiting)

    def fill(self, space: memoryview) -> int:
        """Copy as many bytes as there are, or as fit; returns how many."""
        filled = 0
        while self._waiting and filled < len(space):
            chunk = self._waiting.popleft()
            count = min(len(chunk), len(space) - filled)
            space[filled : filled + count] = chunk[:count]
            filled += count
            if count < len(chunk):
                self._waiting.appendleft(chunk[count:])
        return filled


def joined(chunks: Iterable[bytes], space: memoryview) -> Iterator[memoryview]:
    """The chunks one behind the other, in pieces that fill the space; the last one may be shorter."""
    waiting = Chunks(chunks)
    while waiting:
        yield space[: waiting.fill(space)]
