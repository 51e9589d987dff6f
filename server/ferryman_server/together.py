"""Whole uploads of middling size on their way into the store: gathered, and handed over together.

One thread makes the files of all that came while the batch before was under way, and they share most of what its syncs
cost. So an upload costs one hop between threads at most, as with the state's own batches. The contents are in memory
meanwhile: how much that may be is bounded, and what finds no room goes the ordinary way.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.digests import crc64
from ferryman_server.storage.base import Settles, Store, StoreError, TakesTogether
from ferryman_server.threads import in_thread

MOST: Final = 1 << 20  # bytes of one content
ROOM: Final = 16 << 20  # bytes of all contents
AT_ONCE: Final = 2  # batches under way: one is written while the other one waits for the disk


@dataclass(slots=True, eq=False)
class _Taken:
    upload_id: str
    chunks: Sequence[bytes]
    future: "asyncio.Future[int]"


class Together:
    """Knows what waits to be stored. Everything here is called on the event loop."""

    def __init__(self, store: Store) -> None:
        # complete with their row's commit, before they are published: so the store has to allow that too
        self._store = store if isinstance(store, TakesTogether) and isinstance(store, Settles) else None
        self._reserved = 0  # bytes
        self._gathered: list[_Taken] = []
        self._under_way = 0  # batches
        self._called = False
        self._tasks: set[asyncio.Task[None]] = set()

    def takes(self, size: int) -> bool:
        """Whether the store can, and there is room for so many bytes."""
        return self._store is not None and size <= MOST and self._reserved + size <= ROOM

    def reserve(self, size: int) -> None:
        """A content of so many bytes is about to come; to be followed by `release`."""
        self._reserved += size

    def release(self, size: int) -> None:
        """It is not in memory any more."""
        self._reserved -= size

    async def store(self, upload_id: str, chunks: Sequence[bytes]) -> int:
        """Make a whole upload's bytes durable in the store, unpublished; returns their CRC64/NVME. Raises StoreError.

        Goes on when whoever waits for it is cancelled.
        """
        taken = _Taken(upload_id, chunks, asyncio.get_running_loop().create_future())
        self._gathered.append(taken)
        self._call()
        return await taken.future

    def _call(self) -> None:
        if not self._called and self._gathered and self._under_way < AT_ONCE:
            self._called = True
            asyncio.get_running_loop().call_soon(self._hand_over)  # not at once: others of this round join

    def _hand_over(self) -> None:
        self._called = False
        batch, self._gathered = self._gathered, []
        self._under_way += 1
        task = asyncio.create_task(self._carry(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, batch: list[_Taken]) -> None:
        assert self._store is not None
        try:
            outcomes = await in_thread(_take, self._store, batch)
        except BaseException as failure:  # a bug: told to all of them
            outcomes = [failure] * len(batch)
        self._under_way -= 1
        for taken, outcome in zip(batch, outcomes, strict=True):
            if taken.future.done():
                continue  # whoever waited was cancelled
            if isinstance(outcome, BaseException):
                taken.future.set_exception(outcome)
            else:
                taken.future.set_result(outcome)
        self._call()


def _take(store: TakesTogether, batch: Sequence[_Taken]) -> list[int | BaseException]:
    """In a worker thread: store all, and check-sum those that are stored."""
    errors: Sequence[StoreError | None] = store.take([(taken.upload_id, taken.chunks) for taken in batch])
    return [crc64(taken.chunks) if error is None else error for taken, error in zip(batch, errors, strict=True)]
