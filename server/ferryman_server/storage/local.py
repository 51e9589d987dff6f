"""Uploads in local files: one file an upload, from its first byte to its last.

Configuration: a data folder, and how durable an answer is. `durability="disk"` (default) syncs before an offset is
told; `"os"` never syncs: bytes survive a killed process, not a power cut.

Permissions: everything below the folder belongs to the server's user (files 0600, folders 0700).

Mechanism: `uploads/<id>` while receiving, `files/<first 2 characters>/<id>` when published; a rename moves one to
the other, at leisure: a finished upload is found in either place (:mod:`local_folders` says how that survives a power
cut). What has to be synced for a file to be there after one: the file, its folder (the entry), and the folder's parent
when the folder was new. The store remembers which entries and folders *it* has synced; those that it found, perhaps
made by a process that was killed before its sync, are synced once more. Small contents may be held in memory for a
while and become files together (:mod:`local_kept`). What is made of uploads lies in `derived` (:mod:`local_derived`).

Trade-offs: the number of files is bounded by the file system's inodes, and a data folder must lie on one file system.
"""

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.storage.base import Mark, StoreError, Stray, SyncFailed
from ferryman_server.storage.identity import prepare_folder, read_or_make_store_id
from ferryman_server.storage.joined_sync import sync_filesystem, tells_failures
from ferryman_server.storage.local_derived import LocalDerived
from ferryman_server.storage.local_files import LocalWriter
from ferryman_server.storage.local_folders import Folders
from ferryman_server.storage.local_kept import Kept
from ferryman_server.storage.local_marks import drop_marks, marks_at
from ferryman_server.storage.local_reading import open_first, pieces, pieces_through, strays_in
from ferryman_server.storage.local_together import take
from ferryman_server.storage.recycling import Recycling
from ferryman_server.storage.syscalls import (
    PIECE,
    Sync,
    open_regular,
    size_of,
    sync_file,
    translating,
    write_back_call,
)

Durability: TypeAlias = Literal["disk", "os"]

MARKED: Final = 1 << 20  # bytes: no smaller upload is so long under way that anything has to be marked

_ID: Final = re.compile(ID_PATTERN)


class LocalStore:
    """Keeps uploads in files below `data`. See :class:`ferryman_server.storage.base.Store` for what it promises."""

    name: Final = "local"

    def __init__(
        self,
        data: Path,
        *,
        durability: Durability = "disk",
        sync: Sync = sync_file,
        sync_entries: Sync = os.fsync,
        sync_all: Sync | None = None,
    ) -> None:
        """`sync` makes a file's descriptor durable, `sync_entries` a folder's, and `sync_all` all that lies on a
        descriptor's file system (None: the kernel's own, if `sync` is too and it is to be trusted); tests put failing
        disks there."""
        self._data = data
        self._uploads = str(data / "uploads")
        self._files = str(data / "files")
        self._durable = durability == "disk"
        self._own_syncs = sync, sync_entries  # without its store.toml a folder cannot be used again: always durable
        self._sync = sync if self._durable else _leave_to_the_kernel
        self._sync_entries = sync_entries if self._durable else _leave_to_the_kernel
        self._write_back = write_back_call()
        self._recycling = Recycling()
        self._store_id: str | None = None
        self._entered: set[str] = set()  # receiving uploads whose folder entry this process has made durable
        self._clean: set[str] = set()  # receiving uploads without a writer, of whose file nothing is volatile
        self._folders = Folders(
            self._uploads, self._files, str(data / "moved"), sync=self._sync_entries, durable=self._durable
        )
        self._kept = Kept(str(data), self._folders, sync=self._sync, sync_all=sync_all if self._durable else None)
        self._derived = LocalDerived(str(data / "derived"), sync=self._sync, sync_entries=self._sync_entries)

    def open(self) -> None:
        """Make the folders and read or make `store.toml`. Raises StoreError in words an operator understands."""
        sync, sync_entries = self._own_syncs
        prepare_folder(self._data, sync_entries)
        for folder in (self._uploads, self._files):
            prepare_folder(Path(folder), sync_entries)
        self._store_id = read_or_make_store_id(self._data, sync=sync, sync_entries=sync_entries)
        if self._sync is sync_file and self._kept.sync_all is None and tells_failures(self._data):
            self._kept.sync_all = sync_filesystem

    def close(self) -> None:
        """Nothing is held between calls: writers and readers close what is theirs. Idempotent."""

    @property
    def store_id(self) -> str:
        """The id in `store.toml`, once the store is open."""
        if self._store_id is None:
            raise StoreError("the store is not open")
        return self._store_id

    @property
    def derived(self) -> LocalDerived:
        """What is made of uploads."""
        return self._derived

    def writer(self, upload_id: str, offset: int) -> LocalWriter:
        """Open at `offset` (bytes), after cutting off what lies beyond. Offset 0 makes the file if need be."""
        path = self._upload(upload_id)
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
            recycling=self._recycling,
            write_back=self._write_back,
            lazy=not self._durable,
        )

    def take(self, contents: Sequence[tuple[str, Sequence[bytes]]]) -> list[StoreError | None]:
        """Make whole files; the disk begins with all of them before the first is waited for."""
        return take(self.writer, self._enter, contents)

    def tail(self, upload_id: str, offset: int) -> int:
        """The size of the unpublished file in bytes, or -1 when there is none; `offset` does not matter here."""
        path = self._upload(upload_id)
        with translating(f"look at {path}"):
            size = size_of(path)
        return -1 if size is None else size

    def marks(self, upload_id: str) -> list[Mark]:
        """The marks at the unpublished file."""
        return marks_at(self._upload(upload_id))

    def publish(self, upload_id: str, length: int) -> None:
        """Move the file to where it can be read, durably; repeatable. Never replaces another published file."""
        source, target = self._upload(upload_id), self._folders.file(upload_id)
        with translating(f"publish {source} as {target}"):
            if size_of(target) is None:
                self._cut_and_move(upload_id, source, length)
            else:
                _accept_moved(source, target, length)
        try:
            self._folders.make_moves_durable(upload_id[:2])
        except OSError as error:
            raise SyncFailed(f"cannot sync the move of {source} to {target}: {error.strerror or error}") from error
        self._forget(upload_id)

    def settle(self, upload_id: str, length: int) -> None:
        """Move a complete upload's file to where published ones lie, unsynced; one that is not there is fine.

        A published file is the right one: what else is left of its upload is removed.
        """
        source, target = self._upload(upload_id), self._folders.file(upload_id)
        self._forget(upload_id)
        with translating(f"move {source} to {target}"), suppress(FileNotFoundError):  # deleted or moved meanwhile
            size = size_of(source)
            if size is None or self._kept.get(upload_id) is not None:
                return
            published = size_of(target)
            if published == length:
                self._folders.drop_old_name(upload_id)
            elif published is None and size == length:
                self._move(upload_id, source, length)
            else:
                raise StoreError(f"{length} bytes are complete, but {source} holds {size} and {target} {published}")

    def keep(self, upload_id: str, content: bytes) -> None:
        """Hold a small upload's whole content in memory: from now on it is read as published."""
        self._kept.keep(_checked(upload_id), content)

    def let_go(self, upload_id: str) -> None:
        """Forget a content that was kept."""
        self._kept.let_go(upload_id)

    def write_out(self, ids: Sequence[str]) -> list[str]:
        """Make published files of kept contents, durable at return; returns the ids that need not be kept elsewhere."""
        return self._kept.write_out(ids)

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """Yield bytes [start, stop) in pieces of at most 1 MiB; the file is open while the iterator lives.

        With `published=False`, an upload that was published meanwhile is read all the same. StoreError is raised by
        the first `next`, before any piece, when the file is too short.
        """
        return self._reading(upload_id, start, stop, self._places(upload_id, published=published))

    def read_through(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """The same once, for whoever reads along; see :class:`ferryman_server.storage.base.ReadsThrough`."""
        places = self._places(upload_id, published=published)
        if self._kept.get(upload_id) is not None:
            return self._reading(upload_id, start, stop, places)
        return pieces_through(places, start, stop, drop=self._recycling.worthwhile)

    def discard(self, upload_id: str, *, published: bool = False) -> None:
        """Delete the unpublished file (and the published one when told so). Missing files are fine.

        Deleting an unpublished file syncs nothing: if it is back after a power cut it has no row, and the reaper
        deletes it again. It never does so with published files, so their deletion is durable at return.
        """
        path = self._upload(upload_id)
        if published:
            self._kept.discard(upload_id)
        with translating(f"delete {path}"), suppress(FileNotFoundError):
            os.unlink(path)
        self._forget(upload_id)
        if published:
            self._discard_published(upload_id)

    def strays(self) -> Iterator[Stray]:
        """Walk both trees. What is not named like an upload, or not a regular file, is none of ours and left out."""
        yield from strays_in(self._uploads, "", published=False)
        with translating(f"list {self._files}"), os.scandir(self._files) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        for folder in folders:
            yield from strays_in(f"{self._files}/{folder}", folder, published=True)

    def free_bytes(self) -> int | None:
        """What the file system lets this user still write, in bytes."""
        try:
            status = os.statvfs(self._data)
        except OSError:
            return None
        return status.f_bavail * status.f_frsize

    def concatenate(self, upload_id: str, offset: int, source_id: str, length: int) -> None:
        """Append the published `source_id` at `offset`, durably at return; inside the kernel where it can copy."""
        places = self._places(source_id, published=True)
        with closing(self.writer(upload_id, offset)) as writer:
            content = self._kept.get(source_id)
            if content is not None:
                _check_size(f"upload {source_id}", len(content), length)
                writer.write(memoryview(content))
            else:
                path, source, size = open_first(places)
                try:
                    _check_size(path, size, length)
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
            opened = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return open_regular(path, os.O_WRONLY)
        self._entered.discard(upload_id)
        return opened

    def _discard_published(self, upload_id: str) -> None:
        path = self._folders.file(upload_id)
        with translating(f"delete {path}"), suppress(FileNotFoundError):
            os.unlink(path)
            self._folders.make_published_durable(upload_id[:2])

    def _forget(self, upload_id: str) -> None:
        self._entered.discard(upload_id)
        self._clean.discard(upload_id)

    def _make_entry_durable(self, upload_id: str) -> None:
        if upload_id not in self._entered:
            self._folders.enter()
            self._entered.add(upload_id)

    def _enter(self, ids: Sequence[str]) -> None:
        new = set(ids) - self._entered
        if new and self._durable:
            with suppress(OSError):  # each sync tries it again, and says so
                self._folders.enter()
                self._entered |= new

    def _cut_and_move(self, upload_id: str, source: str, length: int) -> None:
        if upload_id not in self._clean or size_of(source) != length:
            # cuts off an unacknowledged tail, makes an empty file, or says that bytes are missing
            with closing(self.writer(upload_id, length)) as writer:
                writer.sync()
        self._move(upload_id, source, length)

    def _move(self, upload_id: str, source: str, length: int) -> None:
        if length >= MARKED:
            drop_marks(source)
        self._folders.move(upload_id)

    def _upload(self, upload_id: str) -> str:
        return self._folders.upload(_checked(upload_id))

    def _places(self, upload_id: str, *, published: bool) -> list[str]:
        """Where the bytes may lie. A file that moves while it is looked for is found where it was looked for last."""
        source, target = self._upload(upload_id), self._folders.file(upload_id)
        return [target, source, target] if published else [source, target]

    def _reading(self, upload_id: str, start: int, stop: int, places: list[str]) -> Generator[memoryview]:
        content = self._kept.get(upload_id)
        if content is None:  # looked for in memory first: it is let go of after its file is there
            yield from pieces(places, start, stop)
            return
        if len(content) < stop:
            raise StoreError(f"upload {upload_id} holds {len(content)} bytes, but byte {stop} was asked for")
        whole = memoryview(content)
        for at in range(start, stop, PIECE):
            yield whole[at : min(at + PIECE, stop)]


def _leave_to_the_kernel(descriptor: int) -> None:
    """What a sync is under durability "os"."""


def _checked(upload_id: str) -> str:
    if _ID.fullmatch(upload_id) is None:  # the caller has checked it: this is the last door before the file system
        raise ValueError(f"not an upload id: {upload_id!r}")
    return upload_id


def _check_size(what: str, size: int, length: int) -> None:
    if size != length:
        raise StoreError(f"{what} holds {size} bytes where {length} were published")


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
    with closing(pieces([one], 0, length)) as ours, closing(pieces([other], 0, length)) as theirs:
        return all(left == right for left, right in zip(ours, theirs, strict=True))
