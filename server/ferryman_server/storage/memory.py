"""Uploads in memory, for tests: the same promises as a disk's, and the same ways to lose bytes.

The object is the disk; it outlives the "processes" that use it. `kill` ends one: handles and kept contents are gone,
what was written stays, as in the kernel's page cache. `power_cut` loses what no sync made durable, and undoes every
move that none did. `syncs_fail` makes the disk refuse syncs, and `capacity` makes it small.

Stricter than the others on purpose: publishing bytes that were never made durable is refused, since it is a mistake of
the caller that a real disk would show at the next power cut only.
"""

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.storage.base import StoreError, StoreFull, Stray, SyncFailed
from ferryman_server.storage.memory_derived import MemoryDerived

PIECE: Final = 1 << 20  # bytes: the most that `read` yields at once
_ID: Final = re.compile(ID_PATTERN)
_ID_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(slots=True)
class _Data:
    """The bytes of one upload: all that were written, and how many of them a power cut spares."""

    content: bytearray = field(default_factory=bytearray)
    durable: int | None = None  # bytes; None: not even the folder entry is durable
    modified_at: float = 0.0  # seconds since the epoch
    moved_loosely: bool = False  # published by a move that no sync made durable


class MemoryStore:
    """Keeps uploads in memory. See :class:`ferryman_server.storage.base.Store` for what it promises."""

    name: Final = "memory"

    def __init__(self, *, capacity: int | None = None, clock: Callable[[], float] = time.time) -> None:
        """`capacity`: bytes that fit in all (None: no bound). `clock`: seconds since the epoch."""
        self.capacity = capacity
        self.syncs_fail = False
        self._clock = clock
        self._store_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(26))
        self._uploads: dict[str, _Data] = {}
        self._files: dict[str, _Data] = {}
        self._kept: dict[str, bytes] = {}
        self._process = 0  # which of the processes that used this disk is alive
        self._lock = threading.RLock()
        self._derived = MemoryDerived(free=self.free_bytes, syncs_fail=lambda: self.syncs_fail, clock=clock)

    def open(self) -> None:
        """Nothing to prepare."""

    def close(self) -> None:
        """Nothing to release: the bytes stay for the next `open`. Idempotent."""

    @property
    def store_id(self) -> str:
        """The same as long as the object lives."""
        return self._store_id

    @property
    def derived(self) -> MemoryDerived:
        """What is made of uploads."""
        return self._derived

    def kill(self) -> None:
        """End the process: its writers are gone, everything written stays."""
        with self._lock:
            self._process += 1
            self._kept = {}

    def power_cut(self) -> None:
        """End the process and lose everything that was not made durable."""
        with self._lock:
            self.kill()
            for upload_id, data in list(self._files.items()):
                if data.moved_loosely:
                    self._uploads[upload_id] = self._files.pop(upload_id)
            for place in (self._uploads, self._files):
                for upload_id in [upload_id for upload_id, data in place.items() if data.durable is None]:
                    del place[upload_id]
                for data in place.values():
                    del data.content[data.durable :]

    def writer(self, upload_id: str, offset: int) -> "MemoryWriter":
        """Open at `offset` (bytes), after cutting off what lies beyond. Offset 0 makes the upload if need be."""
        _check(upload_id)
        with self._lock:
            data = self._uploads.get(upload_id)
            if data is None:
                if offset > 0:
                    raise StoreError(f"upload {upload_id} is missing, but {offset} bytes of it were acknowledged")
                data = self._uploads[upload_id] = _Data(modified_at=self._clock())
            held = len(data.content)
            if held < offset:
                raise StoreError(
                    f"upload {upload_id} holds {held} bytes, but {offset} were acknowledged: some are missing"
                )
            _cut(data, offset)
            return MemoryWriter(self, data, upload_id)

    def take(self, contents: Sequence[tuple[str, Sequence[bytes]]]) -> list[StoreError | None]:
        """Receive whole contents, each durable at return."""
        return [self._take(upload_id, chunks) for upload_id, chunks in contents]

    def tail(self, upload_id: str, offset: int) -> int:
        """The size of the unpublished bytes, or -1 when there are none; `offset` does not matter here."""
        _check(upload_id)
        with self._lock:
            data = self._uploads.get(upload_id)
            return -1 if data is None else len(data.content)

    def publish(self, upload_id: str, length: int) -> None:
        """Move the bytes to where they can be read, durably; repeatable. Never replaces other published bytes."""
        _check(upload_id)
        with self._lock:
            done = self._files.get(upload_id)
            if done is not None:
                self._accept_moved(upload_id, done, length)
                done.moved_loosely = False
                return
            if length == 0 and upload_id not in self._uploads:
                self._uploads[upload_id] = _Data(durable=0)
            data = self._uploads.get(upload_id)
            if data is None or len(data.content) < length:
                held = "nothing" if data is None else f"{len(data.content)} bytes"
                raise StoreError(f"upload {upload_id} holds {held}, but {length} bytes are to be published")
            if (data.durable or 0) < length:
                raise StoreError(f"upload {upload_id} is to be published before its {length} bytes are durable")
            _cut(data, length)
            self._files[upload_id] = _Data(data.content, durable=length, modified_at=self._clock())
            del self._uploads[upload_id]

    def settle(self, upload_id: str, length: int) -> None:
        """Move a complete upload's bytes to where published ones lie; a power cut may undo it."""
        _check(upload_id)
        with self._lock:
            data = self._uploads.get(upload_id)
            if data is None or upload_id in self._kept:
                return
            held = self._files.get(upload_id, data)
            if len(held.content) != length or (held.durable or 0) < length:
                raise StoreError(f"{length} bytes of upload {upload_id} are complete, {len(held.content)} are there")
            del self._uploads[upload_id]
            if held is data:
                self._files[upload_id] = data
                data.moved_loosely = True

    def keep(self, upload_id: str, content: bytes) -> None:
        """Hold a small upload's whole content: from now on it is read as published."""
        _check(upload_id)
        self._kept[upload_id] = content

    def let_go(self, upload_id: str) -> None:
        """Forget a content that was kept."""
        self._kept.pop(upload_id, None)

    def write_out(self, ids: Sequence[str]) -> list[str]:
        """Make published bytes of kept contents, durable at return; returns the ids that need not be kept elsewhere."""
        with self._lock:
            held = [upload_id for upload_id in ids if upload_id in self._kept]
            written = [upload_id for upload_id in held if self._write_out(upload_id, self._kept[upload_id])]
            if self.syncs_fail and written:
                raise SyncFailed(f"cannot sync {len(written)} small uploads; they are written out anew")
            if held and not written:
                raise StoreFull(f"cannot write out {len(held)} small uploads: {self.free_bytes()} bytes are free")
            for upload_id in written:
                self._files[upload_id].durable = len(self._kept.pop(upload_id))
            return [upload_id for upload_id in ids if upload_id not in self._kept]

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """Yield bytes [start, stop) in pieces of at most 1 MiB. StoreError comes before any piece.

        With `published=False`, an upload that was published meanwhile is read all the same.
        """
        _check(upload_id)
        return self._pieces(upload_id, start, stop, published)

    def discard(self, upload_id: str, *, published: bool = False) -> None:
        """Forget the unpublished bytes (and the published ones when told so). Missing bytes are fine."""
        _check(upload_id)
        with self._lock:
            self._uploads.pop(upload_id, None)
            if published:
                self._files.pop(upload_id, None)
                self._kept.pop(upload_id, None)

    def strays(self) -> Iterator[Stray]:
        """Walk everything, as it was when the walk began."""
        with self._lock:
            held = [(upload_id, data, False) for upload_id, data in self._uploads.items()]
            held += [(upload_id, data, True) for upload_id, data in self._files.items()]
        for upload_id, data, published in held:
            yield Stray(upload_id=upload_id, published=published, size=len(data.content), modified_at=data.modified_at)

    def free_bytes(self) -> int | None:
        """What `capacity` leaves, in bytes; None when there is no bound."""
        if self.capacity is None:
            return None
        with self._lock:
            held = [*self._uploads.values(), *self._files.values()]
            return max(0, self.capacity - sum(len(data.content) for data in held) - self._derived.held)

    def concatenate(self, upload_id: str, offset: int, source_id: str, length: int) -> None:
        """Append the published `source_id` at `offset`, durably at return."""
        _check(source_id)
        with self._lock:
            writer = self.writer(upload_id, offset)
            source = self._found(source_id, published=True)
            if source is None or len(source) != length:
                held = "nothing" if source is None else f"{len(source)} bytes"
                raise StoreError(f"upload {source_id} holds {held} where {length} bytes were published")
            writer.write(memoryview(bytes(source)))
            writer.sync()
            writer.close()

    def _take(self, upload_id: str, chunks: Sequence[bytes]) -> StoreError | None:
        try:
            with closing(self.writer(upload_id, 0)) as writer:
                writer.write(memoryview(b"".join(chunks)))
                writer.sync()
        except StoreError as error:
            return error
        return None

    def _write_out(self, upload_id: str, content: bytes) -> bool:
        self._files.pop(upload_id, None)  # whatever an earlier attempt left is overwritten
        free = self.free_bytes()
        if free is not None and len(content) > free:
            return False
        self._files[upload_id] = _Data(bytearray(content), modified_at=self._clock())
        return True

    def _accept_moved(self, upload_id: str, done: _Data, length: int) -> None:
        if len(done.content) != length:
            raise StoreError(
                f"upload {upload_id} is published with {len(done.content)} bytes, not {length}: it was not replaced"
            )
        left = self._uploads.get(upload_id)
        if left is not None and left.content != done.content:
            raise StoreError(f"upload {upload_id} and its published bytes differ: nothing was replaced")
        self._uploads.pop(upload_id, None)

    def _pieces(self, upload_id: str, start: int, stop: int, published: bool) -> Iterator[memoryview]:
        with self._lock:
            data = self._found(upload_id, published=published)
        if data is None:
            raise StoreError(f"upload {upload_id} is missing")
        if len(data) < stop:
            raise StoreError(f"upload {upload_id} holds {len(data)} bytes, but byte {stop} was asked for")
        while start < stop:
            piece = bytes(data[start : min(start + PIECE, stop)])
            if not piece:
                raise StoreError(f"upload {upload_id} was cut short at byte {start} while it was read")
            yield memoryview(piece)
            start += len(piece)

    def _found(self, upload_id: str, *, published: bool) -> bytes | bytearray | None:
        """The bytes that are read: wherever they lie, the place that was asked for first."""
        if upload_id in self._kept:
            return self._kept[upload_id]
        places = (self._files, self._uploads) if published else (self._uploads, self._files)
        return next((place[upload_id].content for place in places if upload_id in place), None)


class MemoryWriter:
    """Appends to one upload. See :class:`ferryman_server.storage.base.Writer` for what it promises."""

    def __init__(self, store: MemoryStore, data: _Data, upload_id: str) -> None:
        self._store = store
        self._data = data
        self._upload_id = upload_id
        self._process = store._process
        self._kept = len(data.content)  # what a failed sync leaves
        self._dead = False
        self._closed = False

    @property
    def written(self) -> int:
        """The offset just after the last byte written (bytes), durable or not."""
        return len(self._data.content)

    def write(self, piece: memoryview) -> None:
        """Append the whole piece. Raises StoreFull or StoreError; nothing of the piece stays then."""
        with self._store._lock:
            self._check()
            free = self._store.free_bytes()
            if free is not None and len(piece) > free:
                raise StoreFull(f"cannot write {len(piece)} bytes of upload {self._upload_id}: {free} are free")
            self._data.content += piece
            self._data.modified_at = self._store._clock()

    def sync(self) -> int:
        """Make everything written before this call durable; returns the offset up to which it is. Raises SyncFailed."""
        with self._store._lock:
            self._check()
            if self._store.syncs_fail:
                self._dead = True
                del self._data.content[self._kept :]
                raise SyncFailed(f"cannot sync upload {self._upload_id}; bytes after {self._kept} are given up")
            self._kept = self._data.durable = len(self._data.content)
            return self._kept

    def rest(self) -> None:
        """A writer in memory holds nothing that it could release."""

    def close(self) -> None:
        """Release the handle without syncing. Idempotent."""
        self._closed = True

    def _check(self) -> None:
        if self._dead:
            raise SyncFailed(f"an earlier sync of upload {self._upload_id} failed")
        if self._closed or self._process != self._store._process:
            raise StoreError(f"the writer of upload {self._upload_id} is closed")


def _cut(data: _Data, length: int) -> None:
    del data.content[length:]
    if data.durable is not None:
        data.durable = min(data.durable, length)


def _check(upload_id: str) -> None:
    if _ID.fullmatch(upload_id) is None:
        raise ValueError(f"not an upload id: {upload_id!r}")
