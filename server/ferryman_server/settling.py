"""Small contents on their way from the database into the store.

A small upload is complete with one commit: its content rides in its own row's transaction, as a redo record, and the
store holds it in memory (:class:`ferryman_server.storage.base.KeepsSmall`). The settler has the store make files of
many of them at once, durably, and then drops their records. Whatever happens in between, either the record or the file
is durable:

    kept → committed with its record → readable, answered … → files written and synced together → records dropped

Making a file costs more than all the rest of a small upload, and it is no hurry: contents gather for a while, so that
a burst of uploads is over before their files are made. When many have gathered, the next ones wait for room.

A process that dies leaves records; the next one keeps their contents before it takes a request, and writes their files
anew, from the first byte, while it takes others. A store that fails is tried again with growing pauses, and says so
once; the contents stay readable, and no more are taken then than there is room for: further uploads go the ordinary
way.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from ferryman_server.lull import lull
from ferryman_server.pouring import uninterrupted
from ferryman_server.state.base import State
from ferryman_server.storage.base import KeepsSmall, Store
from ferryman_server.threads import in_thread

log = structlog.get_logger("ferryman.settling")

MOST_BYTES: Final = 8 << 20  # bytes of contents that may wait: they are in memory and in the database
MOST: Final = 8192  # contents that may wait
QUIET: Final = 0.1  # seconds without a new content after which those that wait are written out …
GATHER: Final = 2.0  # … and seconds after which they are in any case …
CROWDED: Final = 0.75  # … or when so much of the room is taken
PATIENCE: Final = 0.5  # seconds that an upload waits for room
ROUND: Final = 1024  # contents written out at once: what a commit of others may have to wait for
FIRST_RETRY: Final = 1.0  # seconds until the next attempt when the store fails; doubled with each one …
LAST_RETRY: Final = 60.0  # … up to this


class Settler:
    """Knows which contents wait for their files. Everything here is called on the event loop."""

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store if isinstance(store, KeepsSmall) else None
        self._sizes: dict[str, int] = {}  # of everything that is kept, in bytes
        self._reserved = 0  # contents that are still to be kept
        self._bytes = 0  # of both
        self._waiting: dict[str, None] = {}  # ids whose commit is known, in order
        self._some = asyncio.Event()
        self._freed = asyncio.Event()
        self._failing = False

    def __len__(self) -> int:
        """How many contents are kept."""
        return len(self._sizes)

    @property
    def takes(self) -> bool:
        """Whether the store keeps small contents, and there is room for one more."""
        return self._store is not None and self._bytes < MOST_BYTES and len(self._sizes) + self._reserved < MOST

    async def room(self) -> bool:
        """The same, after waiting a moment for room where contents are being written out."""
        if self._store is None or self._failing:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not self.takes:
                    self._freed.clear()
                    await self._freed.wait()
        return self.takes

    def reserve(self, size: int) -> None:
        """A content of so many bytes is about to be kept; to be followed by `keep` or `release`."""
        self._reserved += 1
        self._bytes += size

    def release(self, size: int) -> None:
        """It is not kept after all."""
        self._reserved -= 1
        self._bytes -= size
        self._freed.set()

    def keep(self, upload_id: str, content: bytes) -> None:
        """Hold a content that was reserved for, to be read from now on: called before the commit that completes its
        upload."""
        assert self._store is not None
        self._store.keep(upload_id, content)
        self._reserved -= 1
        self._sizes[upload_id] = len(content)

    def let_go(self, upload_id: str) -> None:
        """That commit failed."""
        assert self._store is not None
        self._store.let_go(upload_id)
        self._forget(upload_id)

    def committed(self, upload_id: str) -> None:
        """That commit succeeded: the content is written out next."""
        self._waiting[upload_id] = None
        self._some.set()

    async def run(self) -> None:
        """Write out what waits, until cancelled."""
        while True:
            await self._some.wait()
            await lull(self._some, quiet=QUIET, longest=GATHER, crowded=lambda: self._crowded)
            pause = FIRST_RETRY
            while not await self.settle():
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_RETRY)

    async def settle(self) -> bool:
        """Write out what waits now. False, and said in the log, when something has to be tried again later."""
        waiting = list(self._waiting)
        try:
            for start in range(0, len(waiting), ROUND):
                await self._settle(waiting[start : start + ROUND])
        except Exception as failure:  # whatever it was: the contents are safe, and it is tried again
            self._note(str(failure))
            return False
        if any(upload_id in self._waiting for upload_id in waiting):
            self._note("some could not be written")
            return False
        if self._failing:
            log.info("small uploads are written to their files again")
        self._failing = False
        return True

    async def replay(self) -> int:
        """Keep what the last process left in the database, to be written out by `run`; how many contents that are.
        Raises StateError when the database cannot be read."""
        contents = await self._state.redo(2 * MOST) if self._store is not None else ()  # more than a process gathers
        for upload_id, content in contents:
            self.reserve(len(content))
            self.keep(upload_id, content)
            self.committed(upload_id)
        return len(contents)

    async def close(self) -> None:
        """Write out what waits, once `run` has ended. What cannot be is in the database, for the next start."""
        if self._waiting:
            await self.settle()

    @property
    def _crowded(self) -> bool:
        return self._bytes >= CROWDED * MOST_BYTES or len(self._sizes) >= CROWDED * MOST

    async def _settle(self, ids: Sequence[str]) -> None:
        assert self._store is not None
        written = await uninterrupted(in_thread(self._store.write_out, ids))
        await self._state.drop_redo(written)
        for upload_id in written:
            self._waiting.pop(upload_id, None)
            self._forget(upload_id)

    def _forget(self, upload_id: str) -> None:
        self._bytes -= self._sizes.pop(upload_id, 0)
        self._freed.set()

    def _note(self, why: str) -> None:
        if not self._failing:
            log.warning(
                "small uploads cannot be written to their files: they are safe in the database, and it is tried again",
                uploads=len(self._waiting),
                error=why,
            )
        self._failing = True


async def recall(state: State, store: Store) -> frozenset[str]:
    """Hold in memory what only the database knows so far, for somebody who reads beside a server or after a crash and
    changes nothing. Returns the ids."""
    if not isinstance(store, KeepsSmall):
        return frozenset()
    contents = await state.redo(2 * MOST)
    for upload_id, content in contents:
        store.keep(upload_id, content)
    return frozenset(upload_id for upload_id, _ in contents)
