"""Commits for somebody who reads what is committed while more of it comes: the indexer of an archive.

A commit each second, as every long body has them, would leave the last second's bytes to be read when the upload is
complete, and tell the first frame a second late. So there are more of them: the first one early, the others as far
apart as takes about ten milliseconds to be read.
"""

from collections.abc import Callable
from typing import Final

ARCHIVE: Final = b"PK\x03\x04"  # what an archive begins with: its first local header (APPNOTE 4.3.7)
FIRST: Final = 1 << 20  # bytes
STEP: Final = 16 << 20


class Along:
    """Watches what one request stores; in the thread that stores it."""

    def __init__(
        self, offset: int, *, archive: bool, on_archive: Callable[[], None], commit: Callable[[], None]
    ) -> None:
        """`archive`: what lies before `offset` is the beginning of one. `on_archive` is called once that is seen here;
        `commit` has all that is stored committed. Neither may block."""
        self.archive: bool | None = archive or None  # None: not known
        self._on_archive = on_archive
        self._commit = commit
        self._at = offset + (STEP if offset else FIRST)

    def begins(self, piece: memoryview) -> None:
        """These are the upload's first bytes."""
        start = bytes(piece[: len(ARCHIVE)])
        self.archive = len(start) > 0 and ARCHIVE.startswith(start)
        if self.archive:
            self._on_archive()

    def stored(self, offset: int) -> None:
        """So far it is stored."""
        if self.archive and offset >= self._at:
            self._at = offset + STEP
            self._commit()
