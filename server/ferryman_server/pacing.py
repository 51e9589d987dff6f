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
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final
from weakref import WeakKeyDictionary

from ferryman_server.line import Line

FLOWS: Final = max(2, os.cpu_count() or 1)  # fast bodies at once
FEW: Final = 64  # bodies that need not wait for each other
A_SECOND: Final = 500  # hand-overs of slow bodies a second, all together
# How much that nobody waits for is under way at once. More threads than that only take the interpreter's lock, and the
# disk, from each other and from those who do wait: measured with 5,000 slow uploads on two cores.
AT_ONCE: Final = {"hand-over": 4, "checkpoint": 4, "settlement": 6}

_pouring = 0  # bodies being poured
_flows: "WeakKeyDictionary[asyncio.AbstractEventLoop, Line]" = WeakKeyDictionary()
_turns: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]]" = WeakKeyDictionary()


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


def turn(kind: str) -> AbstractAsyncContextManager[object]:
    """A turn at one of the kinds of work in AT_ONCE, on the running event loop; no turns are taken among a few."""
    if _pouring <= FEW:
        return contextlib.nullcontext()
    loop = asyncio.get_running_loop()
    if loop not in _turns:
        _turns[loop] = {kind: asyncio.Semaphore(count) for kind, count in AT_ONCE.items()}
    return _turns[loop][kind]


def flows() -> Line:
    """The line of fast bodies, on the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _flows:
        _flows[loop] = Line(FLOWS)
    return _flows[loop]
