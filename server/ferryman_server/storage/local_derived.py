"""What is made of uploads, in local files: `<folder>/<first 2 characters>/<place>`.

A content is written beside its place under a name of its own, synced, and renamed there: a reader finds all of it or
nothing, and one that has it open reads it to its end while another is put in its place. Folders are made when they are
needed. Each folder's entry is synced once by every process that puts something there, whoever made it.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from ferryman_server.media.derivatives import read_place
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.derived import UNFINISHED, Kept, checked_place
from ferryman_server.storage.local_reading import pieces
from ferryman_server.storage.syscalls import FILE_MODE, Sync, make_folder, size_of, sync_folder, translating, write_all

_UNFINISHED: Final = re.compile(r"(.+)\.[0-9a-f]{12}\.new")


class _Found(NamedTuple):
    name: str
    path: str
    size: int  # bytes
    modified_at: float


class LocalDerived:
    """Keeps them below `folder`. See :class:`ferryman_server.storage.derived.DerivedFiles` for what it promises."""

    def __init__(self, folder: str, *, sync: Sync, sync_entries: Sync) -> None:
        """`sync` makes a file's descriptor durable, `sync_entries` a folder's."""
        self._folder = folder
        self._sync = sync
        self._sync_entries = sync_entries
        self._known: set[str] = set()  # folders whose own entry is durable

    def put(self, place: str, content: bytes) -> None:
        """Write it, durable at return. Raises StoreFull, StoreError."""
        path = self._path(place)
        fresh, folder = f"{path}.{secrets.token_hex(6)}.new", os.path.dirname(path)
        with translating(f"write {path}"):
            self._make(folder)
            try:
                self._write(fresh, content)
                os.rename(fresh, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(fresh)
                raise
            self._make_durable(folder)

    def read(self, place: str, start: int, stop: int) -> Iterator[memoryview]:
        """Yield bytes [start, stop); the file is open while the iterator lives."""
        return pieces([self._path(place)], start, stop)

    def size(self, place: str) -> int | None:
        """Bytes; None: nothing is there."""
        path = self._path(place)
        with translating(f"look at {path}"):
            return size_of(path)

    def free(self, place: str) -> None:
        """Delete the file, durably."""
        path = self._path(place)
        with translating(f"delete {path}"), suppress(FileNotFoundError):
            os.unlink(path)
            sync_folder(os.path.dirname(path), self._sync_entries)

    def places(self) -> Iterator[Kept]:
        """Walk it. What is not named like a place, or not a regular file, is none of ours and left out."""
        for found in self._walk():
            if read_place(found.name) is not None:
                yield Kept(found.name, found.size, found.modified_at)

    def tidy(self, now: float) -> int:
        """Remove files that were not renamed in time; bytes."""
        freed = 0
        for found in self._walk():
            match = _UNFINISHED.fullmatch(found.name)
            ours = match is not None and read_place(match[1]) is not None
            if ours and found.modified_at + UNFINISHED <= now:
                with translating(f"delete {found.path}"), suppress(FileNotFoundError):
                    os.unlink(found.path)
                    freed += found.size
        return freed

    def _path(self, place: str) -> str:
        return f"{self._folder}/{checked_place(place)[:2]}/{place}"

    def _make(self, folder: str) -> None:
        """Make the folder of a file, and the one that it is in."""
        if not os.path.isdir(folder):
            self._known.discard(folder)  # somebody may have removed it since it was durable
            if not os.path.isdir(self._folder):
                self._known.discard(self._folder)
                make_folder(self._folder)
            make_folder(folder)

    def _write(self, path: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, FILE_MODE)
        try:
            write_all(descriptor, memoryview(content), 0)
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def _make_durable(self, folder: str) -> None:
        """Make durable what is in the folder, its own entry, and the entry of the folder that it is in."""
        sync_folder(folder, self._sync_entries)
        for inner, outer in ((folder, self._folder), (self._folder, os.path.dirname(self._folder))):
            if inner not in self._known:
                sync_folder(outer, self._sync_entries)
                self._known.add(inner)

    def _walk(self) -> Iterator[_Found]:
        """Every regular file in a folder that its name belongs in."""
        for folder in _folders_in(self._folder):
            with translating(f"list {self._folder}/{folder}"):
                found = list(_files_in(f"{self._folder}/{folder}"))
            yield from (each for each in found if each.name.startswith(folder))


def _folders_in(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if len(entry.name) == 2 and _is_folder(entry))
    except FileNotFoundError:  # nothing was ever made
        return []
    except OSError as error:
        raise StoreError(f"cannot list {path}: {error.strerror or error}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _files_in(path: str) -> Iterator[_Found]:
    with os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # renamed or deleted since it was listed
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield _Found(entry.name, entry.path, status.st_size, status.st_mtime)
