"""Work that is better done later, when a burst of it is over."""

import asyncio
import contextlib
from collections.abc import Callable


async def lull(more: asyncio.Event, *, quiet: float, longest: float, crowded: Callable[[], bool]) -> None:
    """Wait until `more` was not set for `quiet` seconds, `longest` seconds are over, or it is `crowded`. Leaves `more`
    unset."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest):
            while more.is_set() and not crowded():
                more.clear()
                await asyncio.sleep(quiet)
    more.clear()
