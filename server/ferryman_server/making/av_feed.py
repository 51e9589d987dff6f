"""What FFmpeg reads an upload through: it never raises, and it ends at some time, whatever a demuxer does with it.

An exception in a call that comes from FFmpeg is kept by PyAV for the thread, to be raised by whichever call looks next,
which may belong to another file; two of them are printed. So a store that fails, and a budget that is used up, look
like the end of the file here, and are asked for afterwards.
"""

import io
from typing import Final

from ferryman_server.making.stored_file import StoredFile
from ferryman_server.storage.base import StoreError

_MOST_CALLS: Final = 200_000  # a file of 64 MiB that is read from end to end takes 2,048


class Feed:
    """A file-like object for PyAV: `read`, `seek` and `tell`, no name."""

    def __init__(self, file: StoredFile, budget: int) -> None:
        """`budget`: bytes that may be fetched from the store."""
        self._file = file
        self._ends_at = file.bytes_read + budget
        self._calls = 0
        self._failed = False

    @property
    def spent(self) -> bool:
        """The budget is used up: what was found may not be all there is."""
        return self._file.bytes_read >= self._ends_at or self._calls >= _MOST_CALLS

    def allow(self, more: int) -> None:
        """So many bytes may be fetched from now on, instead of what was left."""
        self._ends_at = self._file.bytes_read + more
        self._calls = 0

    def begins_with(self, mark: bytes, offset: int) -> bool:
        """Whether these bytes stand there, near the beginning, which is the place afterwards."""
        self.seek(offset)
        found = self.read(len(mark)) == mark
        self.seek(0)
        return found

    def read(self, size: int) -> bytes:
        """At most so many bytes: PyAV copies what it gets without a look at its length."""
        self._calls += 1
        if self._failed or self.spent:
            return b""
        try:
            return self._file.read(size)
        except StoreError:  # the file remembers it
            self._failed = True
            return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new place, or -1."""
        self._calls += 1
        if self._calls >= _MOST_CALLS:
            return -1
        try:
            return self._file.seek(offset, whence)
        except (ValueError, KeyError):
            return -1

    def tell(self) -> int:
        """The place, in bytes from the beginning."""
        return self._file.tell()
