"""What a process leaves to the next one about moves that it had not synced: the folders they went to.

A killed process's moves are in the kernel's memory, and nobody else knows of them; to sync every folder of the store
instead takes minutes on a slow disk. So the folders' names stand in a file before something is moved there. The file is
never synced: it is for as long as the kernel lives, and after a power cut there is nothing left that could be volatile.
Whoever finds none, or one that makes no sense, takes it that anything may have been moved anywhere.
"""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from ferryman_server.storage.syscalls import FILE_MODE, write_all

SIZE: Final = 2048  # bytes: room for all of them, always written, so that an overwriting needs no more disk
_NOTE: Final = re.compile(rb"([a-z2-7]{2})* *")


class Moved:
    """The file. A prefix is the two characters that name a folder of `files`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self) -> set[str] | None:
        """The prefixes; None when nobody knows."""
        try:
            with open(self._path, "rb") as file:
                text = file.read(SIZE + 1)
        except OSError:
            return None
        if len(text) != SIZE or _NOTE.fullmatch(text) is None:
            return None
        prefixes = text.decode().rstrip()
        return {prefixes[start : start + 2] for start in range(0, len(prefixes), 2)}

    def write(self, prefixes: Collection[str]) -> None:
        """Put these in the place of what was there; where that fails, nobody knows any more. Raises OSError when that
        fails, too."""
        text = "".join(sorted(prefixes)).ljust(SIZE).encode()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                write_all(descriptor, memoryview(text), 0)
                os.ftruncate(descriptor, SIZE)  # somebody else may have written more
            finally:
                os.close(descriptor)
        except OSError:
            self.forget()

    def forget(self) -> None:
        """Nobody knows any more. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
