"""Tasks that are to end before their owner does."""

import asyncio
from collections.abc import Sequence


async def cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel them, and wait until each has ended, however it did."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
