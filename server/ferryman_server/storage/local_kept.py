"""Small contents that a local store holds in memory, and how they become files.

Theory of operation. A content is published from the moment it is kept; its file is written later, together with many
others, and made durable by one sync for all of them where that is to be trusted (:mod:`joined_sync`), else one by one.
Until then it stays in memory and is read from there, so that nobody sees a file half-way. A file is always written from
its first byte: after a failed sync, and by a process that finds the contents in the database after a crash, whatever an
earlier attempt left is overwritten.

An earlier request may have left bytes where the upload was received; nobody reads those any more, and the next walk
through the store removes them. A `discard` may come at any time: it waits for a file that is being written, never for a
sync.
"""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ferryman_server.storage.base import StoreError, SyncFailed
from ferryman_server.storage.local_folders import Folders
from ferryman_server.storage.syscalls import FILE_MODE, Sync, failure, open_regular, translating, write_all

MANY: Final = 8  # files from which one sync for all costs less than one for each

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_AGAIN: Final = os.O_WRONLY | os.O_TRUNC


@dataclass(slots=True)
class _Round:
    """What became of one round's contents."""

    gone: list[str] = field(default_factory=list)  # discarded meanwhile
    durable: list[str] = field(default_factory=list)
    error: StoreError | None = None  # the first one


class Kept:
    """The contents that are held. `keep`, `let_go` and `get` do no I/O and never wait."""

    def __init__(self, data: str, folders: Folders, *, sync: Sync, sync_all: Sync | None) -> None:
        """`sync_all` makes the whole file system durable that its descriptor lies on; None: each file by itself."""
        self._data = data
        self._folders = folders
        self._sync = sync
        self.sync_all = sync_all
        self._contents: dict[str, bytes] = {}
        self._writing = threading.Lock()  # one file is being written, or discarded
        self._doubtful = False  # the last sync for all failed, perhaps for somebody else's file

    def keep(self, upload_id: str, content: bytes) -> None:
        """Hold a content."""
        self._contents[upload_id] = content

    def get(self, upload_id: str) -> bytes | None:
        """A content that is held."""
        return self._contents.get(upload_id)

    def let_go(self, upload_id: str) -> None:
        """Forget a content."""
        self._contents.pop(upload_id, None)

    def discard(self, upload_id: str) -> None:
        """Forget a content for good: no file of it is written after the return."""
        with self._writing:
            self.let_go(upload_id)

    def write_out(self, ids: Sequence[str]) -> list[str]:
        """See :meth:`ferryman_server.storage.base.KeepsSmall.write_out`."""
        made = _Round()
        if self.sync_all is not None and len(ids) >= MANY and not self._doubtful:
            self._write_together(ids, made, self.sync_all)
        else:
            self._write_each(ids, made)
        for upload_id in made.durable:
            self.let_go(upload_id)
        if made.error is not None and not made.durable and not made.gone:
            raise made.error
        return [*made.gone, *made.durable]

    def _write_together(self, ids: Sequence[str], made: _Round, sync_all: Sync) -> None:
        """One sync for all; when it fails, any of the files may be the one that was lost."""
        with translating(f"open {self._data}"):
            watch = os.open(self._data, os.O_RDONLY | os.O_CLOEXEC)  # it is told of errors from here on
        try:
            written = [upload_id for upload_id in ids if self._write_one(upload_id, made, then=_nothing)]
            sync_all(watch)
        except OSError as error:
            self._doubtful = True
            made.error = _sync_failed("small uploads", error)
        else:
            made.durable += written
        finally:
            os.close(watch)

    def _write_each(self, ids: Sequence[str], made: _Round) -> None:
        """A sync for each file, and one for each of their folders."""
        written = [upload_id for upload_id in ids if self._write_one(upload_id, made, then=self._sync)]
        lost = set()
        for prefix in {upload_id[:2] for upload_id in written}:
            try:
                self._folders.make_published_durable(prefix)
            except OSError as error:
                lost.add(prefix)
                made.error = made.error or _sync_failed(f"the folder of published uploads in {prefix}", error)
        made.durable += [upload_id for upload_id in written if upload_id[:2] not in lost]
        self._doubtful = self._doubtful and made.error is not None

    def _write_one(self, upload_id: str, made: _Round, then: Sync) -> bool:
        """Write one content's file and do `then` with it; False, and said in the round, where that cannot be."""
        try:
            with self._writing:
                content = self._contents.get(upload_id)
                if content is None:
                    made.gone.append(upload_id)
                    return False
                descriptor = self._file_of(upload_id, content)
        except StoreError as error:
            made.error = made.error or error
            return False
        except OSError as error:
            made.error = made.error or failure(error, f"write out upload {upload_id}")
            return False
        try:
            then(descriptor)
        except OSError as error:
            made.error = made.error or _sync_failed(f"upload {upload_id}", error)
            return False
        finally:
            os.close(descriptor)
        return True

    def _file_of(self, upload_id: str, content: bytes) -> int:
        """The open file, written from its first byte."""
        path = self._folders.file(upload_id)
        descriptor = self._open(path)
        try:
            write_all(descriptor, memoryview(content), 0)
        except OSError:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(path)  # half a file takes room that others may need
            raise
        return descriptor

    def _open(self, path: str) -> int:
        try:
            return os.open(path, _NEW, FILE_MODE)
        except FileNotFoundError:
            self._folders.make(os.path.dirname(path))
            return os.open(path, _NEW, FILE_MODE)
        except FileExistsError:  # an earlier attempt's
            return open_regular(path, _AGAIN)[0]


def _nothing(descriptor: int) -> None:
    """A sync that comes later, for all."""


def _sync_failed(what: str, error: OSError) -> SyncFailed:
    return SyncFailed(f"cannot sync {what}: {error.strerror or error}; it is written out anew")
