"""Bytes that come in pieces, taken apart and put together without a copy where none is needed."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

Piece: TypeAlias = bytes | memoryview


def between(pieces: Iterable[Piece], start: int, stop: int) -> Iterator[memoryview]:
    """Bytes [start, stop) of what comes; what comes behind them is not asked for."""
    at = 0
    for piece in pieces:
        if at >= stop:
            return
        wanted = memoryview(piece)[max(0, start - at) : stop - at]
        at += len(piece)
        if wanted:
            yield wanted
        if at >= stop:
            return


def gathered(pieces: Iterable[Piece], least: int) -> Iterator[Piece]:
    """The same bytes in pieces of at least so many, the last excepted: small ones are copied together."""
    held = bytearray()
    for piece in pieces:
        if not held and len(piece) >= least:
            yield piece
            continue
        held += piece
        if len(held) >= least:
            yield memoryview(held).toreadonly()
            held = bytearray()
    if held:
        yield memoryview(held).toreadonly()


class Cutter:
    """Cuts what comes at any places, in order."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def take(self, count: int) -> Iterator[memoryview]:
        """The next `count` bytes; fewer where nothing more comes. To be read to the end before anything else is
        taken."""
        while count > 0:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._rest = memoryview(piece)
            taken, self._rest = self._rest[:count], self._rest[count:]
            count -= len(taken)
            if taken:
                yield taken

    def skip(self, count: int) -> None:
        """Pass so many bytes over."""
        for _ in self.take(count):
            pass
