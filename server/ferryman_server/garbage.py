"""Python's cyclic garbage collector, kept from stopping the server while thousands of uploads are under way.

A full collection looks at every object there is, in one go: with ten thousand uploads that takes seconds on a busy
machine, and CPython begins one each time the heap has grown by a quarter, so several while such a crowd arrives. Nearly
everything here is freed without it, by reference counts. So what start-up made is set aside for good, the collector by
itself looks at young objects only, and a full collection is run when few connections are open, or at long intervals.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

YOUNG: Final = 10_000  # new objects, less freed ones, after which the youngest are looked at
MIDDLE: Final = 10  # so many times, and those that survived are looked at
NEVER: Final = 1 << 30
LOOK: Final = 10.0  # seconds between two looks whether a full collection is worth while
QUIET: Final = 256  # connections: with fewer a full collection takes some milliseconds
LONGEST: Final = 900.0  # seconds without one, however many connections there are


def tune_gc() -> None:
    """To be called once, when everything that lives as long as the process has been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


async def collect_when_quiet(connections: Callable[[], int], *, look: float = LOOK, longest: float = LONGEST) -> None:
    """Run full collections when few `connections` are open, or after `longest` seconds; looks every `look` seconds."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.sleep(look)
        grown = gc.get_count()[2] > 0  # younger objects have survived since the last full collection
        if grown and (connections() < QUIET or loop.time() - last >= longest):
            gc.collect()
            last = loop.time()
