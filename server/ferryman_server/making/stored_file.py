"""A published upload as a file that a library can read and seek in.

Ranges of the store are fetched as they are asked for: `piece` bytes after a jump, twice as many each time that reading
goes on where the last range ended, up to 2 MiB. One range is held at a time. A seek by itself costs nothing.

Libraries swallow exceptions, or make their own of them, in calls that come back to Python. So what the store raised is
also remembered, and :meth:`StoredFile.check` raises it again: whoever used such a library calls that afterwards.
"""

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from ferryman_server.storage.base import StoreError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Read: TypeAlias = Callable[[int, int], Iterable[memoryview]]
"""Bytes [start, stop) of the upload, as :meth:`ferryman_server.storage.base.Store.read` gives them."""

_LONGEST: Final = 2 << 20  # bytes of a range that is fetched ahead


class StoredFile(io.RawIOBase):
    """Read-only; for one thread. Raises the StoreError of `read`, ValueError for a place before the beginning."""

    def __init__(self, read: Read, size: int, piece: int) -> None:
        """`size`: bytes that there are; `piece`: bytes to fetch after a jump."""
        if piece < 1:
            raise ValueError(f"pieces of {piece} bytes lead nowhere")
        super().__init__()
        self.size = size
        self.piece = piece  # may be set anew at any time
        self.bytes_read = 0  # from the store
        self._read = read
        self._at = 0
        self._range = b""
        self._begins = 0  # where that range does
        self._step = 0  # bytes of it as they were planned
        self._error: StoreError | None = None

    def check(self) -> None:
        """Raises the StoreError that there was, if there was one; it is the same one each time."""
        if self._error is not None:
            raise self._error

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place, in bytes from the beginning."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, also to one after the end; returns it."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if at < 0:
            raise ValueError(f"byte {at} lies before the beginning of the file")
        self._at = at
        return at

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, fewer only at the end; -1: all that follow."""
        wanted = self.size - self._at if size is None or size < 0 else min(size, self.size - self._at)
        parts = []
        while wanted > 0:
            part = self._some(wanted)
            self._at += len(part)
            wanted -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer as far as the file reaches; returns how many bytes that are."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _some(self, wanted: int) -> bytes:
        """At least one byte from here, at most `wanted`."""
        inside = self._at - self._begins
        if not 0 <= inside < len(self._range):
            self._fetch(wanted)
            inside = 0
        return self._range[inside : inside + wanted]

    def _fetch(self, wanted: int) -> None:
        goes_on = bool(self._range) and self._at == self._begins + len(self._range)
        self._step = min(self._step * 2, max(_LONGEST, self.piece)) if goes_on else self.piece
        stop = min(self._at + max(self._step, min(wanted, _LONGEST)), self.size)
        try:
            fetched = b"".join(self._read(self._at, stop))
            if len(fetched) != stop - self._at:
                raise StoreError(f"the store gave {len(fetched)} bytes of the range [{self._at}, {stop})")
        except StoreError as error:
            self._error = error
            raise
        self.bytes_read += len(fetched)
        self._range, self._begins = fetched, self._at
