"""Content that tells who sent it: each request brings bytes of a tint of its own, so nothing mixed up goes unnoticed.

A tint is an endless stream of bytes that has nothing in common with any other. What an upload holds must be made of
runs: from the offset where a request began, that request's bytes, up to the offset where another one began. Bytes that
were lost, doubled, put elsewhere, or written by a sender that had been taken over, break this rule.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_POOL: Final = (16 << 20) + 4099  # bytes; no round number: content shifted by a round number is found, too
_BLOCK: Final = 1 << 20


@dataclass(eq=False, slots=True)
class Sent:
    """One request's bytes, as far as they may have reached the server."""

    start: int  # offset
    stop: int  # offset; grows while the request is sent, before each piece
    tint: int
    whole: bool = False  # a checksum governs it: all of it is stored, or nothing

    def __str__(self) -> str:
        return f"[{self.start}, {self.stop}) tint {self.tint}" + (" all or nothing" if self.whole else "")


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes of an upload that one request brought."""

    start: int  # offset
    stop: int  # offset
    tint: int


class Tints:
    """Every tint there is, made from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pool = random.Random(seed).randbytes(_POOL)

    def content(self, tint: int, start: int, stop: int) -> bytes:
        """The bytes of a tint from offset `start` up to `stop`."""
        first = self._shift(tint) + start
        pieces, left = [], stop - start
        while left > 0:
            position = first % _POOL
            pieces.append(self._pool[position : position + left])
            first += len(pieces[-1])
            left -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def of(self, runs: Sequence[Run], start: int, stop: int) -> bytes:
        """What an upload of these runs holds from `start` up to `stop`."""
        overlaps = ((max(run.start, start), min(run.stop, stop), run.tint) for run in runs)
        return b"".join(self.content(tint, first, last) for first, last, tint in overlaps if first < last)

    def explain(self, data: bytes | bytearray, sent: Sequence[Sent]) -> list[Run] | None:
        """The runs that the data are made of; None when these requests cannot have brought them."""
        return self._explain(memoryview(data), 0, tuple(sent))

    def _explain(self, data: memoryview, position: int, sent: tuple[Sent, ...]) -> list[Run] | None:
        if position == len(data):
            return []
        for one in reversed(sent):  # the latest first: it is most often the right one
            if one.start == position:
                others = tuple(other for other in sent if other is not one)
                found = self._explain_from(data, one, others)
                if found is not None:
                    return found
        return None

    def _explain_from(self, data: memoryview, one: Sent, others: tuple[Sent, ...]) -> list[Run] | None:
        reach = self._reach(data, one)
        if reach == len(data) and (not one.whole or reach == one.stop):
            return [Run(one.start, reach, one.tint)]
        if one.whole:
            stops = [one.stop] if reach == one.stop else []
        else:  # the next may begin a little before the first difference: single bytes are equal by chance
            stops = sorted({other.start for other in others if one.start < other.start <= reach}, reverse=True)
        for stop in stops:
            rest = self._explain(data, stop, others)
            if rest is not None:
                return [Run(one.start, stop, one.tint), *rest]
        return None

    def _reach(self, data: memoryview, one: Sent) -> int:
        """Up to which offset the data are this request's."""
        position, last = one.start, min(one.stop, len(data))
        while position < last:
            stop = min(position + _BLOCK, last)
            mine, theirs = self.content(one.tint, position, stop), bytes(data[position:stop])
            if mine != theirs:
                return position + _common(mine, theirs)
            position = stop
        return position

    def _shift(self, tint: int) -> int:
        return random.Random(self._seed * 1_000_003 + tint).randrange(_POOL)


def _common(one: bytes, other: bytes) -> int:
    """How many bytes are the same at the beginning of two strings that differ."""
    low, high = 0, len(one)
    while high - low > 1:
        middle = (low + high) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle
    return low
