"""The folders of a local store: which entries are durable, and in which order two folders must become so.

A file moves from `uploads/<2>` to `files/<2>`, and the move need not be synced: the file is found in either place. But
the two folders are synced for other reasons too, and one order would lose it: the old name's removal durable, the new
name not yet. So:

- Before `uploads/<2>` is synced, `files/<2>` is, unless nothing was moved into it since it was last synced. Nobody
  knows what a process before this one moved: each folder counts as moved into until it is synced once.
- Both happen under a lock that also a move takes: none slips in between the two syncs.

A folder whose sync failed is only synced again: journalling file systems stop altogether when their journal cannot be
written, so unlike a file's pages a folder's entries are not silently given up.
"""

import os
import threading
from contextlib import suppress
from typing import Final

from ferryman_server.storage.syscalls import Sync, make_folder, sync_folder

_STRIPES: Final = 64  # locks: two prefixes may share one, which costs a wait now and then


class Folders:
    """Both trees. A prefix is the two characters that name a folder in each."""

    def __init__(self, uploads: str, files: str, *, sync: Sync, durable: bool) -> None:
        """`sync` makes a folder's entries durable; without `durable` nothing is ever synced."""
        self._uploads = uploads
        self._files = files
        self._sync = sync
        self._durable = durable
        self._known: set[str] = set()  # folders whose own entry this process has made durable
        self._landed: set[str] = set()  # prefixes: all that was moved into their `files/<2>` is durable there
        self._locks = [threading.Lock() for _ in range(_STRIPES)]

    def upload(self, upload_id: str) -> str:
        """Where an upload's file lies while it is received."""
        return f"{self._uploads}/{upload_id[:2]}/{upload_id}"

    def file(self, upload_id: str) -> str:
        """Where it lies when it is published."""
        return f"{self._files}/{upload_id[:2]}/{upload_id}"

    def make(self, folder: str) -> None:
        """Make a folder of one of the trees. Raises OSError."""
        self._known.discard(folder)  # somebody may have removed it since it was durable
        make_folder(folder)

    def enter(self, prefix: str) -> None:
        """Make the entries of `uploads/<2>` durable, and those of moved files before. Raises OSError."""
        with self._lock(prefix):
            self._land(prefix)
            self._make_durable(f"{self._uploads}/{prefix}")

    def move(self, upload_id: str) -> None:
        """Move a file to where it is published, unsynced; replaces nothing that the caller has not looked for. Raises
        OSError."""
        source, target = self.upload(upload_id), self.file(upload_id)
        with self._lock(upload_id[:2]):
            self._landed.discard(upload_id[:2])
            try:
                os.rename(source, target)
            except FileNotFoundError:
                self.make(os.path.dirname(target))
                os.rename(source, target)

    def drop_old_name(self, upload_id: str) -> None:
        """Remove what is left where a published file was received. Raises OSError."""
        with self._lock(upload_id[:2]), suppress(FileNotFoundError):
            self._landed.discard(upload_id[:2])
            os.unlink(self.upload(upload_id))

    def make_moves_durable(self, prefix: str) -> None:
        """Make all moves with this prefix durable, the new names first: no file is ever without one. Raises OSError."""
        if not self._durable:
            return
        with self._lock(prefix):
            self._make_durable(f"{self._files}/{prefix}")
            self._landed.add(prefix)
            with suppress(FileNotFoundError):  # its folder may have been tidied away since an earlier process moved
                sync_folder(f"{self._uploads}/{prefix}", self._sync)

    def make_published_durable(self, prefix: str) -> None:
        """Make the entries of `files/<2>` durable. Raises OSError."""
        if self._durable:
            self._make_durable(f"{self._files}/{prefix}")

    def _land(self, prefix: str) -> None:
        if prefix not in self._landed:
            with suppress(FileNotFoundError):  # a folder that is not there has nothing to lose
                self._make_durable(f"{self._files}/{prefix}")
            self._landed.add(prefix)

    def _make_durable(self, folder: str) -> None:
        sync_folder(folder, self._sync)
        if folder not in self._known:
            sync_folder(os.path.dirname(folder), self._sync)
            self._known.add(folder)

    def _lock(self, prefix: str) -> threading.Lock:
        return self._locks[hash(prefix) % _STRIPES]
