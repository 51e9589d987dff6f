"""Memory that bytes are read into and written from, lent again and again: nothing zeroes it in between."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

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


def joined(chunks: Iterable[bytes], space: memoryview) -> Iterator[memoryview]:
    """The chunks one behind the other, in pieces that fill the space; the last one may be shorter."""
    filled = 0
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            count = min(len(chunk) - at, len(space) - filled)
            space[filled : filled + count] = memoryview(chunk)[at : at + count]
            filled, at = filled + count, at + count
            if filled == len(space):
                yield space
                filled = 0
    if filled:
        yield space[:filled]
