"""Uploads in local files: one file an upload, from its first byte to its last.

Configuration: a data folder, and how durable an answer is. `durability="disk"` (default) syncs before an offset is
told; `"os"` never syncs: bytes survive a killed process, not a power cut.

Permissions: everything below the folder belongs to the server's user (files 0600, folders 0700).

Mechanism: `uploads/<first 2 characters>/<id>` while receiving, `files/<2>/<id>` when published; a rename moves one to
the other. What has to be synced for a file to be there after a power cut: the file, its folder (the entry), and the
folder's parent when the folder was new. The store remembers which entries and folders *it* has synced; those that it
found, perhaps made by a process that was killed before its sync, are synced once more.

A folder whose sync failed is only synced again: journalling file systems stop altogether when their journal cannot be
written, so unlike a file's pages a folder's entries are not silently given up.

Trade-offs: the number of files is bounded by the file system's inodes, and a data folder must lie on one file system.
"""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.storage.base import StoreError, Stray, SyncFailed
from ferryman_server.storage.identity import prepare_folder, read_or_make_store_id
from ferryman_server.storage.local_files import LocalWriter
from ferryman_server.storage.syscalls import (
    PIECE,
    Sync,
    make_folder,
    open_regular,
    size_of,
    sync_data,
    sync_folder,
    translating,
)

Durability: TypeAlias = Literal["disk", "os"]

_ID: Final = re.compile(ID_PATTERN)


class LocalStore:
    """Keeps uploads in files below `data`. See :class:`ferryman_server.storage.base.Store` for what it promises."""

    name: Final = "local"

    def __init__(
        self,
        data: Path,
        *,
        durability: Durability = "disk",
        sync: Sync = sync_data,
        sync_entries: Sync = os.fsync,
    ) -> None:
        """`sync` makes a file's descriptor durable and `sync_entries` a folder's; tests put failing disks there."""
        self._data = data
        self._uploads = str(data / "uploads")
        self._files = str(data / "files")
        self._durable = durability == "disk"
        self._sync = sync if self._durable else _leave_to_the_kernel
        self._sync_entries = sync_entries if self._durable else _leave_to_the_kernel
        self._store_id: str | None = None
        self._entered: set[str] = set()  # receiving uploads whose folder entry this process has made durable
        self._clean: set[str] = set()  # receiving uploads without a writer, of whose file nothing is volatile
        self._folders: set[str] = set()  # folders whose own entry it has made durable

    def open(self) -> None:
        """Make the folders and read or make `store.toml`. Raises StoreError in words an operator understands."""
        prepare_folder(self._data, self._sync_entries)
        for folder in (self._uploads, self._files):
            prepare_folder(Path(folder), self._sync_entries)
        self._store_id = read_or_make_store_id(self._data, sync=self._sync, sync_entries=self._sync_entries)

    def close(self) -> None:
        """Nothing is held between calls: writers and readers close what is theirs. Idempotent."""

    @property
    def store_id(self) -> str:
        """The id in `store.toml`, once the store is open."""
        if self._store_id is None:
            raise StoreError("the store is not open")
        return self._store_id

    def writer(self, upload_id: str, offset: int) -> LocalWriter:
        """Open at `offset` (bytes), after cutting off what lies beyond. Offset 0 makes the file if need be."""
        path = _path(self._uploads, upload_id)
        self._clean.discard(upload_id)
        with translating(f"open {path} for writing"):
            descriptor, size = self._open_end(upload_id, path, offset)
            try:
                if size < offset:
                    raise StoreError(f"{path} holds {size} bytes, but {offset} were acknowledged: bytes are missing")
                if size > offset:
                    os.ftruncate(descriptor, offset)
            except BaseException:
                os.close(descriptor)
                raise
        known = upload_id in self._entered or not self._durable
        sync_entry = None if known else partial(self._make_entry_durable, upload_id)
        return LocalWriter(
            descriptor,
            path,
            offset,
            sync=self._sync,
            sync_entry=sync_entry,
            on_clean_close=partial(self._clean.add, upload_id),
        )

    def tail(self, upload_id: str, offset: int) -> int:
        """The size of the unpublished file in bytes, or -1 when there is none; `offset` does not matter here."""
        path = _path(self._uploads, upload_id)
        with translating(f"look at {path}"):
            size = size_of(path)
        return -1 if size is None else size

    def publish(self, upload_id: str, length: int) -> None:
        """Move the file to where it can be read, durably; repeatable. Never replaces another published file."""
        source, target = _path(self._uploads, upload_id), _path(self._files, upload_id)
        with translating(f"publish {source} as {target}"):
            if size_of(target) is None:
                self._move(upload_id, source, target, length)
            else:
                _accept_moved(source, target, length)
        try:
            self._make_move_durable(source, target)
        except OSError as error:
            raise SyncFailed(f"cannot sync the move of {source} to {target}: {error.strerror or error}") from error
        self._forget(upload_id)

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """Yield bytes [start, stop) in pieces of at most 1 MiB; the file is open while the iterator lives.

        With `published=False`, an upload that was published meanwhile is read all the same. StoreError is raised by
        the first `next`, before any piece, when the file is too short.
        """
        paths = [_path(self._files, upload_id)]
        if not published:
            paths.insert(0, _path(self._uploads, upload_id))
        return _pieces(paths, start, stop)

    def discard(self, upload_id: str, *, published: bool = False) -> None:
        """Delete the unpublished file (and the published one when told so). Missing files are fine.

        Deleting an unpublished file syncs nothing: if it is back after a power cut it has no row, and the reaper
        deletes it again. It never does so with published files, so their deletion is durable at return.
        """
        path = _path(self._uploads, upload_id)
        with translating(f"delete {path}"), suppress(FileNotFoundError):
            os.unlink(path)
        self._forget(upload_id)
        if published:
            self._discard_published(_path(self._files, upload_id))

    def strays(self) -> Iterator[Stray]:
        """Walk both trees. What is not named like an upload, or not a regular file, is none of ours and left out."""
        for root, published in ((self._uploads, False), (self._files, True)):
            with translating(f"list {root}"), os.scandir(root) as entries:
                folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            for folder in folders:
                yield from _strays_in(root, folder, published)

    def free_bytes(self) -> int | None:
        """What the file system lets this user still write, in bytes."""
        try:
            status = os.statvfs(self._data)
        except OSError:
            return None
        return status.f_bavail * status.f_frsize

    def concatenate(self, upload_id: str, offset: int, source_id: str, length: int) -> None:
        """Append the published `source_id` at `offset`, durably at return; inside the kernel where it can copy."""
        path = _path(self._files, source_id)
        with closing(self.writer(upload_id, offset)) as writer:
            with translating(f"read {path}"):
                source, size = open_regular(path, os.O_RDONLY)
            try:
                if size != length:
                    raise StoreError(f"{path} holds {size} bytes where {length} were published")
                writer.copy_from(source, length)
            finally:
                os.close(source)
            writer.sync()

    def _open_end(self, upload_id: str, path: str, offset: int) -> tuple[int, int]:
        if offset > 0:
            try:
                return open_regular(path, os.O_WRONLY)
            except FileNotFoundError:
                raise StoreError(f"{path} is missing, but {offset} bytes of it were acknowledged") from None
        try:
            opened = self._make_file(path)
        except FileExistsError:
            return open_regular(path, os.O_WRONLY)
        self._entered.discard(upload_id)
        return opened

    def _make_file(self, path: str) -> tuple[int, int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return open_regular(path, flags)
        except FileNotFoundError:
            make_folder(os.path.dirname(path))
            return open_regular(path, flags)

    def _discard_published(self, path: str) -> None:
        with translating(f"delete {path}"), suppress(FileNotFoundError):
            os.unlink(path)
            if self._durable:
                sync_folder(os.path.dirname(path), self._sync_entries)

    def _forget(self, upload_id: str) -> None:
        self._entered.discard(upload_id)
        self._clean.discard(upload_id)

    def _make_entry_durable(self, upload_id: str) -> None:
        self._make_folder_durable(os.path.dirname(_path(self._uploads, upload_id)))
        self._entered.add(upload_id)

    def _make_folder_durable(self, folder: str) -> None:
        sync_folder(folder, self._sync_entries)
        if folder not in self._folders:
            sync_folder(os.path.dirname(folder), self._sync_entries)
            self._folders.add(folder)

    def _move(self, upload_id: str, source: str, target: str, length: int) -> None:
        if upload_id not in self._clean or size_of(source) != length:
            # cuts off an unacknowledged tail, makes an empty file, or says that bytes are missing
            with closing(self.writer(upload_id, length)) as writer:
                writer.sync()
        try:
            os.rename(source, target)
        except FileNotFoundError:
            make_folder(os.path.dirname(target))
            os.rename(source, target)

    def _make_move_durable(self, source: str, target: str) -> None:
        if self._durable:
            self._make_folder_durable(os.path.dirname(target))  # the new name first: the file is never without one
            with suppress(FileNotFoundError):  # moved by an earlier process; its folder may have been tidied away since
                sync_folder(os.path.dirname(source), self._sync_entries)


def _leave_to_the_kernel(descriptor: int) -> None:
    """What a sync is under durability "os"."""


def _path(root: str, upload_id: str) -> str:
    if _ID.fullmatch(upload_id) is None:  # the caller has checked it: this is the last door before the file system
        raise ValueError(f"not an upload id: {upload_id!r}")
    return f"{root}/{upload_id[:2]}/{upload_id}"


def _accept_moved(source: str, target: str, length: int) -> None:
    size = size_of(target)
    if size != length:
        raise StoreError(f"{target} is published with {size} bytes, not {length}: it was not replaced")
    left = size_of(source)  # beside the target only where a rename is not atomic, or by a mistake
    if left is None:
        return
    if not (os.path.samefile(source, target) or (left == length and _same_bytes(source, target, length))):
        raise StoreError(f"{source} and the published {target} differ: compare them, keep one, remove the other")
    os.unlink(source)


def _same_bytes(one: str, other: str, length: int) -> bool:
    with closing(_pieces([one], 0, length)) as ours, closing(_pieces([other], 0, length)) as theirs:
        return all(left == right for left, right in zip(ours, theirs, strict=True))


def _pieces(paths: list[str], start: int, stop: int) -> Generator[memoryview]:
    path, descriptor, size = _open_first(paths)
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


def _open_first(paths: list[str]) -> tuple[str, int, int]:
    for path in paths:
        with translating(f"read {path}"), suppress(FileNotFoundError):
            return path, *open_regular(path, os.O_RDONLY)
    raise StoreError(f"{paths[0]} is missing")


def _strays_in(root: str, folder: str, published: bool) -> Iterator[Stray]:
    with translating(f"list {root}/{folder}"), os.scandir(f"{root}/{folder}") as entries:
        found = [_stray(entry, published) for entry in entries if _is_upload(entry, folder)]
    yield from (stray for stray in found if stray is not None)


def _is_upload(entry: os.DirEntry[str], folder: str) -> bool:
    named = entry.name[:2] == folder and _ID.fullmatch(entry.name) is not None
    return named and entry.is_file(follow_symlinks=False)


def _stray(entry: os.DirEntry[str], published: bool) -> Stray | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # published or deleted since it was listed
        return None
    return Stray(upload_id=entry.name, published=published, size=status.st_size, modified_at=status.st_mtime)
