"""The folders of a local store: which entries are durable, and in which order two folders must become so.

All that is received lies in `uploads`, so that one sync makes the entries of many new files durable. A file moves from
there to `files/<2>`, and the move need not be synced: the file is found in either place. But the folders are synced for
other reasons too, and one order would lose it: the old name's removal durable, the new name not yet. So:

- Before `uploads` is synced, the folders that something was moved into since their last sync are, also those that a
  process before this one moved something into (:mod:`local_moved`).
- Both happen under a lock that also a move takes: none slips in between the two syncs.

A folder whose sync failed is only synced again: journalling file systems stop altogether when their journal cannot be
written, so unlike a file's pages a folder's entries are not silently given up.
"""

import os
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from ferryman_server.storage.local_moved import Moved
from ferryman_server.storage.syscalls import Sync, make_folder, sync_folder

MOVES: Final = 16  # folders that were moved into, from which a move syncs them: what `enter` may have to do first


class Folders:
    """Both trees. A prefix is the two characters that name a folder of `files`."""

    def __init__(self, uploads: str, files: str, moved: str, *, sync: Sync, durable: bool) -> None:
        """`sync` makes a folder's entries durable; without `durable` nothing is ever synced. `moved`: the file that
        tells the next process what was moved and may not be durable."""
        self._uploads = uploads
        self._files = files
        self._sync = sync
        self._durable = durable
        self._known: set[str] = set()  # folders of `files` whose own entry is durable
        self._moved: set[str] = set()  # prefixes: something was moved there, and may not be durable yet …
        self._looked = False  # … by an earlier process, too
        self._note = Moved(moved)
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._asked = 0  # how often `enter` was called
        self._entered = 0  # up to which of these calls the entries are durable

    def upload(self, upload_id: str) -> str:
        """Where an upload's file lies while it is received."""
        return f"{self._uploads}/{upload_id}"

    def file(self, upload_id: str) -> str:
        """Where it lies when it is published."""
        return f"{self._files}/{upload_id[:2]}/{upload_id}"

    def make(self, folder: str) -> None:
        """Make a folder of `files`. Raises OSError."""
        self._known.discard(folder)  # somebody may have removed it since it was durable
        make_folder(folder)

    def enter(self) -> None:
        """Make the entries of `uploads` durable. Calls that wait for each other share a sync. Raises OSError."""
        with self._counting:
            self._asked += 1
            mine = self._asked
        with self._lock:
            if self._entered < mine:
                self._sync_uploads()

    def move(self, upload_id: str) -> None:
        """Move a file to where it is published, unsynced; replaces nothing that the caller has not looked for. Raises
        OSError."""
        source, target = self.upload(upload_id), self.file(upload_id)
        with self._lock:
            self._will_move(upload_id[:2])
            try:
                os.rename(source, target)
            except FileNotFoundError:
                self.make(os.path.dirname(target))
                os.rename(source, target)
            if self._durable and len(self._moved) >= MOVES:
                with suppress(OSError):  # it is tried again before `uploads` is synced
                    self._land()

    def drop_old_name(self, upload_id: str) -> None:
        """Remove what is left where a published file was received. Raises OSError."""
        with self._lock, suppress(FileNotFoundError):
            self._will_move(upload_id[:2])
            os.unlink(self.upload(upload_id))

    def make_moves_durable(self, prefix: str) -> None:
        """Make all moves with this prefix durable, the new names first: no file is ever without one. Raises OSError."""
        if self._durable:
            with self._lock:
                self._will_move(prefix)
                self._sync_uploads()

    def make_published_durable(self, prefix: str) -> None:
        """Make the entries of `files/<2>` durable. Raises OSError."""
        if self._durable:
            self._make_durable([prefix])

    def _sync_uploads(self) -> None:
        asked = self._asked
        self._land()
        sync_folder(self._uploads, self._sync)
        self._entered = asked

    def _will_move(self, prefix: str) -> None:
        """Something is about to be moved there, or was: nothing else adds to `_moved`. Raises OSError."""
        self._look()
        if prefix not in self._moved:
            self._tell(self._moved | {prefix})
            self._moved.add(prefix)

    def _land(self) -> None:
        """Make durable what was moved. Raises OSError; then all of it is done again the next time."""
        self._look()
        if self._moved:  # a folder that is not there has nothing to lose
            self._make_durable([prefix for prefix in self._moved if os.path.isdir(f"{self._files}/{prefix}")])
            self._moved.clear()
            self._tell(self._moved)

    def _look(self) -> None:
        if not self._looked:
            found = self._note.read()
            self._moved |= self._folders_there() if found is None else found
            self._looked = True

    def _folders_there(self) -> set[str]:
        with os.scandir(self._files) as entries:
            folders = (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            return {name for name in folders if len(name) == 2}  # others are an operator's

    def _tell(self, moved: set[str]) -> None:
        if self._durable:
            self._note.write(moved)
        else:
            self._note.forget()  # what is never synced here is unknown to a process that does sync

    def _make_durable(self, prefixes: Collection[str]) -> None:
        """Make the entries of these folders durable, and those folders' own."""
        folders = {f"{self._files}/{prefix}" for prefix in prefixes}
        for folder in folders:
            sync_folder(folder, self._sync)
        if not folders <= self._known:
            sync_folder(self._files, self._sync)
            self._known |= folders
