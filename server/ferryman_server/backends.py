"""The two things that can be exchanged, as the settings name them: where rows live and where bytes live.

`serve` opens them with `open_backends`, which makes what is not there yet. Commands open with `found_backends` what a
server has made before, and make nothing: a wrong setting must not leave a second, empty store somewhere.
"""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from ferryman_server.s3_opening import open_s3
from ferryman_server.settings import Settings
from ferryman_server.state.base import State
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state_ledger import StateLedger
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.identity import DataLock, prepare_folder, read_store_id
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.threads import in_thread


@dataclass(frozen=True, kw_only=True, slots=True)
class Backends:
    """State and store, and what has to be done around them."""

    state: State
    store: Store
    lock: DataLock | None = None
    previous_boot: Callable[[], str | None] = lambda: None  # the kernel's boot id when the state was last open
    attach: Callable[[], None] = lambda: None  # called on the event loop, before the state is opened
    close: Callable[[], None] = lambda: None


def open_backends(settings: Settings) -> Backends:
    """SQLite beside local files, or for a bucket; or, to try things out, files in memory and a database that goes with
    them. Raises StoreError in words an operator understands."""
    if settings.store == "memory":
        return _in_memory()
    if settings.in_bucket:
        prepare_folder(settings.data)
        return _in_bucket(settings)
    store = LocalStore(settings.data, durability=settings.durability)
    store.open()
    return _on_disk(settings, store)


def found_backends(settings: Settings, *, readonly: bool) -> Backends:
    """The same where a server has been at work. With `readonly` they may be used beside it, and nothing can be written.
    Raises StoreError, also when no server was ever there."""
    if settings.in_bucket:
        return _in_bucket(settings, make=False, readonly=readonly)
    store_id = read_store_id(settings.data)
    if store_id is None:
        raise StoreError(
            f"{settings.data / 'store.toml'} is missing: no server has kept files in this folder. If they are in a "
            "bucket, name it (--store s3://BUCKET/PREFIX); if it was lost, bring it back from a backup."
        )
    store = LocalStore(settings.data, durability=settings.durability)
    if readonly:
        return Backends(state=SqliteState(_database(settings), store_id=store_id, readonly=True), store=store)
    store.open()
    return _on_disk(settings, store)


@contextlib.asynccontextmanager
async def opened(backends: Backends) -> AsyncIterator[Backends]:
    """Open on the running loop for the length of the `async with`; whoever needs the lock has taken it. Raises
    StateError."""
    try:
        backends.attach()
        await backends.state.open()
        yield backends
    finally:
        await in_thread(backends.store.close)  # what it has on its way may still ask for its books, on this loop
        await backends.state.close()
        backends.close()


def _on_disk(settings: Settings, store: LocalStore) -> Backends:
    state = SqliteState(_database(settings), store_id=store.store_id, durable=settings.durability == "disk")
    lock = DataLock(settings.data)
    return Backends(state=state, store=store, lock=lock, previous_boot=lambda: state.previous_boot_id)


def _in_bucket(settings: Settings, *, make: bool = True, readonly: bool = False) -> Backends:
    ledger = StateLedger()
    store = open_s3(settings, ledger, make=make)
    durable = settings.durability == "disk"
    state = SqliteState(_database(settings), store_id=store.store_id, durable=durable, readonly=readonly)
    return Backends(state=state, store=store, lock=DataLock(settings.data), attach=lambda: ledger.attach(state))


def _in_memory() -> Backends:
    store = MemoryStore()
    store.open()
    folder = tempfile.TemporaryDirectory(prefix="ferryman-")
    state = SqliteState(Path(folder.name) / "state.db", store_id=store.store_id)
    return Backends(state=state, store=store, close=folder.cleanup)


def _database(settings: Settings) -> Path:
    return settings.data / "state.db"
