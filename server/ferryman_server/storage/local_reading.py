"""What reads a local store: the bytes of a file, and the walk through everything that lies there."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.storage.base import StoreError, Stray
from ferryman_server.storage.syscalls import PIECE, drop_cached, open_regular, translating

THROUGH: Final = 256 << 10  # bytes of a piece that is read through
GIVEN_BACK: Final = 4 << 20  # bytes given back to the page cache at once
PAGE: Final = 4096  # bytes: the smallest there are; of larger ones a few are given back twice

_ID: Final = re.compile(ID_PATTERN)


def pieces(paths: list[str], start: int, stop: int) -> Generator[memoryview]:
    """Bytes [start, stop) of the first of these files that is there, in pieces of at most 1 MiB. Raises StoreError."""
    path, descriptor, size = open_first(paths)
    try:
        if size < stop:
            raise StoreError(f"{path} holds {size} bytes, but byte {stop} was asked for: bytes are missing")
        while start < stop:
            with translating(f"read {path} at byte {start}"):
                piece = os.pread(descriptor, min(PIECE, stop - start), start)
            if not piece:
                raise StoreError(f"{path} was cut short at byte {start} while it was read")
            yield memoryview(piece)
            start += len(piece)
    finally:
        os.close(descriptor)


def pieces_through(paths: list[str], start: int, stop: int, *, drop: bool) -> Generator[memoryview]:
    """The same in smaller pieces, that lie in the same memory one after the other: it stays in the processor's cache.
    With `drop`, what was read leaves the page cache, if it is on the disk."""
    path, descriptor, size = open_first(paths)
    buffer, given_back = memoryview(bytearray(min(THROUGH, stop - start))), start
    try:
        if size < stop:
            raise StoreError(f"{path} holds {size} bytes, but byte {stop} was asked for: bytes are missing")
        while start < stop:
            with translating(f"read {path} at byte {start}"):
                count = os.preadv(descriptor, [buffer[: stop - start]], start)
            if not count:
                raise StoreError(f"{path} was cut short at byte {start} while it was read")
            yield buffer[:count]
            start += count
            if drop and drop_cached is not None and (start - given_back >= GIVEN_BACK or start == stop):
                drop_cached(descriptor, given_back, start - given_back)
                given_back = start & -PAGE
    finally:
        os.close(descriptor)


def open_first(paths: list[str]) -> tuple[str, int, int]:
    """Open the first of these files that is there: its path, descriptor and size in bytes. Raises StoreError."""
    for path in paths:
        with translating(f"read {path}"), suppress(FileNotFoundError):
            return path, *open_regular(path, os.O_RDONLY)
    raise StoreError(f"{paths[0]} is missing")


def strays_in(folder: str, prefix: str, *, published: bool) -> Iterator[Stray]:
    """The uploads in one folder, whose ids begin with `prefix`. Raises StoreError."""
    with translating(f"list {folder}"), os.scandir(folder) as entries:
        found = [_stray(entry, published) for entry in entries if _is_upload(entry, prefix)]
    yield from (stray for stray in found if stray is not None)


def _is_upload(entry: os.DirEntry[str], prefix: str) -> bool:
    named = entry.name.startswith(prefix) and _ID.fullmatch(entry.name) is not None
    return named and entry.is_file(follow_symlinks=False)


def _stray(entry: os.DirEntry[str], published: bool) -> Stray | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # published or deleted since it was listed
        return None
    return Stray(upload_id=entry.name, published=published, size=status.st_size, modified_at=status.st_mtime)
