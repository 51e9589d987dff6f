"""The whole server in a thread of the test's own process, on a disk whose syncs a test can make fail."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryman_server.app import create_app
from ferryman_server.backends import Backends
from ferryman_server.settings import Settings
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.local import LocalStore
from ferryman_server.wire import protocol_class
from tests.support.serving import Serving


class Disk:
    """Counts syncs, and refuses them while `failing` (files) or told which folders are failing."""

    def __init__(self) -> None:
        self.failing = False
        self.failing_folders: str | None = None  # refuses to sync folders with this in their path
        self.synced: list[str] = []  # the paths of files whose sync was asked for, in order, refused or not

    def sync(self, descriptor: int) -> None:
        """The seam for `fsync` of files."""
        self.synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(descriptor)

    def sync_folder(self, descriptor: int) -> None:
        """The seam for `fsync` of folders."""
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if self.failing_folders is not None and self.failing_folders in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(descriptor)

    def syncs_of(self, path: Path) -> int:
        """How many syncs of this file were asked for."""
        return self.synced.count(str(path))


@dataclass(frozen=True, slots=True)
class InProcess:
    """Where the server is."""

    port: int
    data: Path

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving_in_process(data: Path, disk: Disk, **settings: Any) -> Iterator[InProcess]:
    """A server on this data folder for the length of the `with`; then it is stopped gracefully."""
    store = LocalStore(data, sync=disk.sync, sync_entries=disk.sync_folder)
    store.open()
    state = SqliteState(data / "state.db", store_id=store.store_id)
    backends = Backends(state=state, store=store, previous_boot=lambda: state.previous_boot_id)
    app = create_app(Settings(data=data, **settings), backends=backends)
    with Serving(app, http=protocol_class(), lifespan="on") as server:
        yield InProcess(server.port, data)
