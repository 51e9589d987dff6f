"""The books of a store that keeps none, out of the state: a bridge from worker threads to the event loop."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, Final, TypeVar

from ferryman_server.state.base import Fenced, Lease, Notes, State, StateError
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.ledger import Entry

T = TypeVar("T")

PATIENCE: Final = 60.0  # seconds that a thread waits for the state


class StateLedger:
    """See :class:`ferryman_server.storage.ledger.Ledger` for what it promises."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, state: State) -> None:
        """Ask this state from now on, on the running event loop."""
        self._state = state
        self._loop = asyncio.get_running_loop()

    def look_up(self, upload_id: str) -> Entry | None:
        """An upload, with its notes."""
        return self._wait(self._look_up(self._attached(), upload_id))

    def note(self, upload_id: str, notes: Notes, fence: int | None) -> None:
        """Commit notes."""
        lease = None if fence is None else Lease(upload_id=upload_id, fence=fence)
        self._wait(self._attached().note(upload_id, notes, lease))

    async def _look_up(self, state: State, upload_id: str) -> Entry | None:
        record = await state.get(upload_id)
        if record is None:
            return None
        notes = await state.notes(upload_id)
        return Entry(upload=record.upload, target=record.target, crc64=record.crc64, notes=notes)

    def _attached(self) -> State:
        if self._state is None:
            raise StoreError("the store's books are not open")
        return self._state

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        if _running() is self._loop:
            coroutine.close()
            raise RuntimeError("called on the event loop, which would wait for itself")
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)
        except (StateError, Fenced, CancelledError, TimeoutError) as error:
            raise StoreError(f"the store's books cannot be read or written: {error}") from error
        except RuntimeError as error:  # the loop is closed
            coroutine.close()
            raise StoreError("the store's books are closed") from error


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
