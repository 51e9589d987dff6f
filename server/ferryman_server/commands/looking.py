"""Looking at a data folder without disturbing the server that may be at work in it."""

import fcntl
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ferryman_server.commands.base import CannotRun
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record, State
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.identity import read_store_id

PAGE: Final = 500  # rows asked for at once


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that uses a data folder."""

    pid: int | None  # None: the lock file does not tell

    def __str__(self) -> str:
        return f"process {self.pid}" if self.pid is not None else "another process"


def lock_holder(data: Path) -> Holder | None:
    """Who holds the folder's lock, or None. Looks by taking a shared lock for an instant. Raises CannotRun."""
    try:
        descriptor = os.open(data / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotRun(f"{data / 'lock'} cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        told = re.match(rb"pid (\d+)\n", os.pread(descriptor, 100, 0))
        return Holder(int(told[1]) if told else None)
    finally:
        os.close(descriptor)
    return None


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[SqliteState]:
    """The state, opened for reading beside a server. Raises CannotRun where there is none, StateError, StoreError."""
    path = settings.data / "state.db"
    if not path.exists():
        raise CannotRun(f"there is no {path}: no server has run on this folder yet, or --data names another one")
    store_id = read_store_id(settings.data) if settings.store == "local" else None
    state = SqliteState(path, store_id=store_id, readonly=True)
    await state.open()
    try:
        yield state
    finally:
        await state.close()


async def newest(state: State, limit: int | None = None) -> AsyncIterator[Record]:
    """Rows from the newest on, at most `limit`; None: all."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        page = await state.page(limit=PAGE if left is None else min(PAGE, left), cursor=cursor)
        for record in page.records:
            yield record
        left = None if left is None else left - len(page.records)
        cursor = page.next
        if cursor is None:
            return
