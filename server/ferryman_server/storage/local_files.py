"""The open end of one upload's file.

Theory of operation. `written` counts whole pieces; the file is never longer than that while the writer lives, because
a piece that did not fit is cut off again at once. A sync may fail after the kernel has given up on the pages: it then
calls them clean, and a second sync of the same bytes would succeed without having stored them. So a failed sync kills
the writer, and what was not durable before is cut off, lest a later start takes it for a good tail.

Where memory is scarce an upload leaves no trail through the page cache: what is on the disk is given back, so that the
same pages are used again and again, and what others keep in memory stays there (:mod:`recycling` says when). Then, too,
the kernel is told to begin writing where no sync will wait for it.

Two locks, always taken in this order: `_syncing` (one sync at a time, and `close` waits for it), `_writing` (a piece is
written, or the file is cut). A sync holds only the first while it waits for the disk, so writing goes on beside it.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ferryman_server.storage.base import Mark, StoreError, SyncFailed
from ferryman_server.storage.chores import do_later
from ferryman_server.storage.local_marks import put_marks
from ferryman_server.storage.recycling import Recycling
from ferryman_server.storage.syscalls import (
    Sync,
    WriteBack,
    copy_range,
    drop_cached,
    failure,
    open_regular,
    translating,
    write_all,
)

WRITE_BACK: Final = 1 << 20  # bytes written after which the kernel is told to begin with them
CACHED: Final = 16 << 20  # bytes that stay in the page cache until they are synced: by then they are on the disk anyway
GIVE_BACK: Final = 4 << 20  # bytes that the page cache is told at once to give back, while more are coming


class LocalWriter:
    """Appends to one file. See :class:`ferryman_server.storage.base.Writer` for what it promises."""

    def __init__(
        self,
        descriptor: int,
        path: str,
        offset: int,
        *,
        sync: Sync,
        sync_entry: Callable[[], None] | None,
        on_clean_close: Callable[[], None],
        recycling: Recycling,
        write_back: WriteBack | None = None,
        lazy: bool = False,
    ) -> None:
        """Take over `descriptor`, whose file ends at `offset`. `sync_entry` makes the file's folder entry durable
        (OSError when it cannot); None when it is durable already. `on_clean_close` is called when the writer is closed
        and nothing about the file is volatile, neither bytes nor its length. `recycling` is told what writes cost.
        `write_back` has the kernel begin to write early, so that little is left for `sync` to wait for; `lazy`: no sync
        waits for it, so it is done beside the writing, and only to have pages to use again."""
        self._descriptor = descriptor
        self._path = path
        self._written = offset
        self._kept = offset  # what a failed sync leaves in the file
        self._settled = False  # a first sync has been made: before it, even bytes below `offset` may be volatile
        self._sync = sync
        self._sync_entry = sync_entry
        self._on_clean_close = on_clean_close
        self._recycling = recycling
        self._write_back = write_back
        self._lazy = lazy
        self._read_along = False  # whoever reads it along gives the page cache back what is read
        self._mark: Mark | None = None  # the last one that is known to be durable
        self._torn = False  # something was cut off since the file was opened
        self._resting = False  # closed for now: what was written is durable, and nothing more has come
        self._left = max(0, offset - CACHED) if lazy else offset  # up to where the page cache was told to give it back
        self._asked = offset  # up to where it was seen to that the kernel begins to write
        self._begun = offset  # up to where the kernel was told to begin writing to the disk
        self._death: str | None = None
        self._syncing = threading.Lock()
        self._writing = threading.Lock()

    @property
    def written(self) -> int:
        """The offset just after the last whole piece (bytes), durable or not."""
        return self._written

    def write(self, piece: memoryview) -> None:
        """Append the whole piece. Raises StoreFull or StoreError; nothing of the piece stays then."""
        with self._writing:
            self._check()
            self._wake()
            began = time.perf_counter()
            try:
                write_all(self._descriptor, piece, self._written)
            except OSError as error:
                self._cut(self._written)
                raise failure(error, f"write to {self._path} at byte {self._written}") from error
            self._recycling.wrote(len(piece), time.perf_counter() - began)
            self._written += len(piece)
            if self._written - self._asked >= WRITE_BACK:
                self._asked = self._written
                self.begin()

    def begin(self) -> None:
        """Have the kernel begin to write to the disk what was written, for a sync that comes soon."""
        if not self._lazy:
            self._begin()
        elif self._recycling.worthwhile:
            do_later(self._begin_later)
        else:
            self._begun = self._left = self._written  # the kernel does it in its own time

    def read_along(self) -> None:
        """Leave the page cache alone: what is written is read again soon, and given back then."""
        self._read_along = True

    def copy_from(self, source: int, length: int) -> None:
        """Append the first `length` bytes of the file open as `source`. Raises StoreFull or StoreError."""
        with self._writing:
            self._check()
            self._wake()
            try:
                copy_range(source, self._descriptor, length, self._written)
            except OSError as error:
                self._cut(self._written)
                raise failure(error, f"copy {length} bytes to {self._path} at byte {self._written}") from error
            self._written += length

    def sync(self) -> int:
        """Make everything written before this call durable; returns the offset up to which it is. Raises SyncFailed."""
        reached = self._written
        with self._syncing:
            if self._settled and reached <= self._kept and self._death is None:
                return reached
            self._check()
            self._make_durable(reached)
        return reached

    def sync_marked(self, mark: Mark) -> bool:
        """Make everything written durable, and a mark with it: see :class:`ferryman_server.storage.base.Marks`."""
        marks = [mark] if self._mark is None else [mark, self._mark]
        with self._syncing:
            self._check()
            if self._resting or not put_marks(self._descriptor, marks):
                return False
            self._make_durable(self._written)  # also if all bytes are durable already: the mark is not
        self._mark = mark
        return True

    def rest(self) -> None:
        """Release the descriptor until more is written, if everything that was written is durable.

        Never before: an error in writing pages back would be told to nobody if the file were closed then.
        """
        with self._syncing, self._writing:
            clean = self._settled and self._written == self._kept and not self._torn and self._death is None
            if clean and self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
                self._resting = True

    def close(self) -> None:
        """Release the descriptor without syncing, after a sync under way. Idempotent."""
        with self._syncing, self._writing:
            if self._resting:
                self._resting = False
                self._on_clean_close()
            if self._descriptor >= 0:
                if self._lazy and self._recycling.worthwhile:
                    self._begin()  # the last chance
                os.close(self._descriptor)
                self._descriptor = -1
                if self._settled and self._written == self._kept and not self._torn:
                    self._on_clean_close()

    def _make_durable(self, reached: int) -> None:
        try:
            self._sync(self._descriptor)
            if self._sync_entry is not None:
                self._sync_entry()
                self._sync_entry = None
        except OSError as error:
            raise self._die(error) from error
        self._settled, self._kept = True, reached
        if not self._lazy:
            self._begun = max(self._begun, reached)
            self._leave_cache(reached, 1)

    def _begin_later(self) -> None:
        with self._syncing:  # `close` waits for it
            if self._descriptor >= 0:
                self._begin()

    def _begin(self) -> None:
        written = self._written
        if self._write_back is not None and written > self._begun:
            self._write_back(self._descriptor, self._begun, written - self._begun)
        self._begun = written
        self._leave_cache(written - CACHED, GIVE_BACK)

    def _leave_cache(self, upto: int, least: int) -> None:
        """Give the page cache back what lies before `upto`, if that is at least so much. Pages that are not on the disk
        yet stay; the next call names them again."""
        if upto - self._left >= least and drop_cached is not None:
            if self._recycling.worthwhile and not self._read_along:
                again = max(0, self._left - GIVE_BACK)
                drop_cached(self._descriptor, again, upto - again)
            self._left = upto

    def _check(self) -> None:
        if self._death is not None:
            raise SyncFailed(self._death)
        if self._descriptor < 0 and not self._resting:
            raise StoreError(f"the writer of {self._path} is closed")

    def _wake(self) -> None:
        if not self._resting:
            return
        with translating(f"open {self._path} again"):
            descriptor, size = open_regular(self._path, os.O_WRONLY)
        self._descriptor, self._resting = descriptor, False
        if size != self._written:
            raise StoreError(f"{self._path} has {size} bytes, not {self._written}: somebody else has changed it")

    def _die(self, error: OSError) -> SyncFailed:
        with self._writing:
            self._death = f"cannot sync {self._path}: {error.strerror or error}; bytes after {self._kept} are given up"
            self._cut(self._kept)
        return SyncFailed(self._death)

    def _cut(self, length: int) -> None:
        self._torn = True
        with suppress(
            OSError
        ):  # a best effort on a disk in trouble: `Store.writer` cuts again, and says so if it fails
            os.ftruncate(self._descriptor, length)
