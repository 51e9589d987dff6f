"""The local store on a disk that keeps only what was synced."""

import tempfile
from pathlib import Path

from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing_rig import Rig
from tests.server.storage.synced_disk import SyncedDisk


class LocalRig(Rig):
    """A local store below a temporary folder of its own; `data` is its data folder."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="ferryman-test-")
        self.disk = SyncedDisk(Path(self._place.name))
        self.data = self.disk.root / "data"
        self.kill()

    def kill(self) -> None:
        """Another process opens the data: all that the earlier store object knew is forgotten."""
        disk = self.disk
        self.local = LocalStore(self.data, sync=disk.sync_file, sync_entries=disk.sync_folder, sync_all=disk.sync_all)
        self.local.open()
        self.store = self.local

    def power_cut(self) -> None:
        """Only what was synced stays; then the store is opened again."""
        self.disk.power_cut()
        self.kill()

    def fail_syncs(self, failing: bool) -> None:
        """Let syncs of files answer EIO, or work again."""
        self.disk.failing = failing

    def close(self) -> None:
        """Remove the temporary folder."""
        self.disk.close()
        self._place.cleanup()
