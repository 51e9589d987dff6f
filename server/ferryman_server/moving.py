"""Finished files on their way to where they belong, many at a time, once a burst of uploads is over.

Nobody waits for it: a complete upload is read wherever its bytes lie. What a process leaves unmoved the reaper of the
next one finds.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from ferryman_server.lull import lull
from ferryman_server.pouring import uninterrupted
from ferryman_server.storage.base import Settles, Store, StoreError
from ferryman_server.threads import in_thread

log = structlog.get_logger("ferryman.moving")

QUIET: Final = 0.1  # seconds without another one after which files are moved …
LONGEST: Final = 2.0  # … and seconds after which they are in any case …
MOST: Final = 2048  # … or when so many wait


class Mover:
    """Knows which files wait to be moved. Everything here is called on the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store if isinstance(store, Settles) else None
        self._waiting: dict[str, int] = {}  # lengths in bytes, by upload id
        self._more = asyncio.Event()

    def move_later(self, upload_id: str, length: int) -> None:
        """An upload's row says that it is complete."""
        if self._store is not None:
            self._waiting[upload_id] = length
            self._more.set()

    async def run(self) -> None:
        """Move what waits, until cancelled."""
        while True:
            await self._more.wait()
            await lull(self._more, quiet=QUIET, longest=LONGEST, crowded=lambda: len(self._waiting) >= MOST)
            await self.move()

    async def move(self) -> None:
        """Move what waits now. Never raises."""
        waiting, self._waiting = self._waiting, {}
        if self._store is not None and waiting:
            await uninterrupted(in_thread(_move, self._store, waiting))


def _move(store: Settles, lengths: Mapping[str, int]) -> None:
    for upload_id, length in lengths.items():
        settle_quietly(store, upload_id, length)


def settle_quietly(store: Settles, upload_id: str, length: int) -> None:
    """Move a complete upload's file to where it belongs; blocks. One that stays is read there; the reaper finds it."""
    try:
        store.settle(upload_id, length)
    except StoreError as failure:
        log.warning("a complete upload's file was not moved", upload_id=upload_id, error=str(failure))
