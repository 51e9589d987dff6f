"""How many bodies are worked on at once: few fast ones, and slow ones so seldom that thousands cost what a few do.

Each hand-over, and each checkpoint, costs some tenths of a millisecond of processor and disk, however few bytes it
carries. A few bodies hand over what they get at once. Among hundreds each waits for its turn, and what it brings
meanwhile stays in memory (slow as it is, some KiB). Nothing waits that somebody asks for: a HEAD, a take-over and a
body's end flush first.

Fast bodies keep a thread each busy. More of those than processors take the interpreter's lock from each other, and from
the event loop, which has to take it dozens of times for one request: beside 16 of them on two processors it waited a
tenth of a second, and all together were slower. So they take turns.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Final, Literal, TypeAlias
from weakref import WeakKeyDictionary

from ferryman_server.line import Line

Work: TypeAlias = Literal["flow", "hand-over", "checkpoint", "settlement"]

FEW: Final = 64  # bodies that need not wait for each other, unless they flow
A_SECOND: Final = 500  # hand-overs of slow bodies a second, all together
# How much is under way at once. Fast bodies: see above. Of what nobody waits for, more threads than that only take the
# interpreter's lock, and the disk, from each other and from those who do wait: measured with 5,000 slow uploads on two
# cores.
AT_ONCE: Final[dict[Work, int]] = {
    "flow": max(2, os.cpu_count() or 1),
    "hand-over": 4,
    "checkpoint": 4,
    "settlement": 6,
}

_pouring = 0  # bodies being poured
_lines: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Work | None, Line]]" = WeakKeyDictionary()


@contextlib.contextmanager
def pouring() -> Iterator[None]:
    """One more body is being poured while this is open."""
    global _pouring
    _pouring += 1
    try:
        yield
    finally:
        _pouring -= 1


def patience() -> float:
    """Seconds that a slow body may gather for now; 0 while there are only a few."""
    return _pouring / A_SECOND if _pouring > FEW else 0.0


def line(work: Work) -> Line:
    """The line before this work, on the running event loop. Among a few bodies nobody waits but those that flow."""
    loop = asyncio.get_running_loop()
    if loop not in _lines:
        _lines[loop] = {None: Line(sys.maxsize)} | {work: Line(count) for work, count in AT_ONCE.items()}
    return _lines[loop][work if work == "flow" or _pouring > FEW else None]


@contextlib.asynccontextmanager
async def turn(work: Work) -> AsyncIterator[None]:
    """A turn at this work, for the length of the `async with`."""
    with line(work).place() as turn:
        await turn
        yield
