"""Where the bytes live. The contract every store keeps.

- **Who locks:** the caller. At most one writer per upload is open at a time; the store does not check.
- **Who validates:** the caller. Ids match :data:`ferryman_protocol.model.ID_PATTERN`, offsets are in range.
- **Threads:** every method blocks and is called from worker threads, never on the event loop. One writer is used by
  one thread at a time, except that `sync` may run while another thread writes.
- **Durable** means: survives a power cut, folder entries too (unless the store was opened with durability "os").
- **Errors:** :class:`StoreError` and its kinds, nothing else (but ValueError for an id that does not match).
  After a :class:`SyncFailed` the writer is dead: what was not durable before is unknown, nothing may be retried on it.
- **Idempotent:** `publish`, `discard` and `close` may be repeated, also by another process after a crash.
- Absence is a value (`None`), not an exception, where the method says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class StoreError(Exception):
    """The store could not do it; answered with 503. `str()` says what, for logs; clients get the catalogue's text."""


class StoreFull(StoreError):
    """No room left (ENOSPC, EDQUOT, EFBIG): answered with 507; what was durable stays."""


class SyncFailed(StoreError):
    """A sync failed: bytes written since the last good one may be gone. The writer must be closed, not retried."""


class BytesLost(StoreError):
    """Bytes that were durable are gone: somebody else deleted them. Nothing that was told of the upload holds."""

    def __init__(self, reason: str, *, remember: Mapping[str, str] | None = None) -> None:
        """`remember`: notes in the place of the upload's own, so that what may be left of it is freed."""
        super().__init__(reason)
        self.remember = dict(remember or {})


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the bytes of an upload reach, and the CRC64/NVME of all of them."""

    offset: int
    crc64: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stray:
    """Something the store holds: an upload's data, for the reaper's look-around."""

    upload_id: str
    published: bool
    size: int  # bytes
    modified_at: float  # seconds since the epoch
    place: str | None = None  # where it lies, if the id does not tell (an object's key)


class Writer(Protocol):
    """An open end of one upload's data."""

    @property
    def written(self) -> int:
        """The offset just after the last byte written (bytes), durable or not."""

    def write(self, piece: memoryview) -> None:
        """Append the whole piece. Raises StoreFull or StoreError; a partly written piece does not count."""

    def sync(self) -> int:
        """Make everything written before this call durable and return the offset up to which it is.

        The first sync of a new upload makes its folder entry durable too. May run beside `write`. Raises SyncFailed,
        and then gives up everything after the last synced offset.
        """

    def rest(self) -> None:
        """Release the handle until more is written, if everything written is durable; otherwise does nothing."""

    def close(self) -> None:
        """Release the handle without syncing. Idempotent."""


@runtime_checkable
class Roomy(Writer, Protocol):
    """Writers that fill memory of their own, in which bytes can be put without a copy."""

    def space(self) -> memoryview:
        """Where the next bytes of a body that flows go, at least one. Waits where there is no room; raises StoreError.
        To be followed by `filled`, before anything else is written."""

    def filled(self, count: int) -> None:
        """So many bytes were put at the beginning of that space; 0: none, and nothing more will be."""

    def leave_off(self) -> None:
        """Nothing more is to be put there: `space` does not wait any more, and may be empty. From any thread."""


class Store(Protocol):
    """The core every store has."""

    @property
    def name(self) -> str:
        """`local`, `memory`, …"""

    def open(self) -> None:
        """Prepare the place and read or make the store's id. Raises StoreError in words an operator understands."""

    def close(self) -> None:
        """Release everything. Idempotent."""

    @property
    def store_id(self) -> str:
        """The id kept beside the data; state carries the same one (DESIGN §6)."""

    def writer(self, upload_id: str, offset: int) -> Writer:
        """Open at `offset`; whatever lies beyond it is cut off first. Offset 0 may make a new file.

        Raises StoreError when fewer than `offset` bytes are there: acknowledged bytes are missing.
        """

    def tail(self, upload_id: str, offset: int) -> int:
        """The size that unpublished data has (bytes ≥ offset survive a killed process), or -1 when there is none."""

    def publish(self, upload_id: str, length: int) -> None:
        """Move the finished data (exactly `length` durable bytes, 0 makes an empty one) to where it can be read,
        durably. Repeatable after a crash at any point."""

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """Yield bytes [start, stop) in pieces of at most 1 MiB; a piece's memory is the receiver's, not written again.
        Raises StoreError if they are not all there. With `published=False`, data published meanwhile are read all the
        same: a crash may lie between the publication and the row that says so. With `published=True`, a store that
        :class:`Settles` also reads what it has not moved yet: ask only for uploads whose row says that they are
        complete."""

    def discard(self, upload_id: str, *, published: bool = False) -> None:
        """Free unpublished data (and published data, or what is kept to become so, only when told so: that is durable
        at return). Missing data is fine."""

    def strays(self) -> Iterator[Stray]:
        """Walk everything the store holds; what it only keeps in memory (:class:`KeepsSmall`) is not among it."""

    def free_bytes(self) -> int | None:
        """How much room is left, where that can be known."""


@runtime_checkable
class ReadAlong(Writer, Protocol):
    """Writers into a cache that somebody else reads from while more is written."""

    def read_along(self) -> None:
        """Leave what is written in the cache from now on: it is read soon, by :meth:`ReadsThrough.read_through`."""


@runtime_checkable
class ReadsThrough(Protocol):
    """Stores from which an upload can be read along at little cost, once and in order."""

    def read_through(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """Like :meth:`Store.read`, but each piece's memory is used again for the next one, and what was read leaves the
        cache if it is durable."""


@runtime_checkable
class Concatenates(Protocol):
    """Stores that can build a final upload from published partial ones; `concatenation` is announced for these."""

    def concatenate(self, upload_id: str, offset: int, source_id: str, length: int) -> None:
        """Append the published `source_id` (`length` bytes) to the unpublished `upload_id` at `offset`, durably.

        What lies beyond `offset` is cut off first, so a crash in the middle is repeated from the same offset.
        """


@runtime_checkable
class Settles(Protocol):
    """Stores in which a finished upload need not be published before its row says `complete`: its bytes are found
    wherever they lie, and are moved when there is time. Not for data that somebody has to be told the place of."""

    def settle(self, upload_id: str, length: int) -> None:
        """Move the data of an upload whose row says `complete` (exactly `length` durable bytes) to where published
        data lie. Needs no sync: before, after, and after a crash or a power cut at any point, they can be read. May be
        repeated and may run beside a `discard`; data that are gone, or were moved already, are fine."""


@runtime_checkable
class TakesTogether(Protocol):
    """Stores that receive many whole contents at once for less than each by itself."""

    def take(self, contents: Sequence[tuple[str, Sequence[bytes]]]) -> Sequence[StoreError | None]:
        """Receive whole contents in pieces, each as all of its upload's unpublished data, durable at return; what an
        earlier request left of these uploads is overwritten.

        One outcome each, in order: None, or why it is not there; nothing of that one is to be found then. The others
        are not touched by it. May run beside itself with other uploads.
        """


@runtime_checkable
class Marks(Writer, Protocol):
    """Writers that can leave a mark beside the data, for less than a commit of the upload's row costs: so that after a
    power cut bytes are found again that no commit had told of yet. A mark proves itself: its CRC is compared first."""

    def sync_marked(self, mark: Mark) -> bool:
        """Like `sync`, and the mark, which tells of nothing that is not written yet, is durable at return as well.

        The mark made before it stays until then. False: there can be no mark here, and nothing was done. May run beside
        `write`. Raises what `sync` raises.
        """


@runtime_checkable
class KeepsMarks(Protocol):
    """Stores whose writers leave :class:`Marks`."""

    def marks(self, upload_id: str) -> Sequence[Mark]:
        """The marks beside unpublished data, in no order; none where there are none, or where they make no sense."""


@runtime_checkable
class KeepsSmall(Protocol):
    """Stores that hold small contents in memory until many of them are made durable together.

    Whoever keeps a content sees to it that it is durable elsewhere meanwhile (in the upload's own row, DESIGN §2), and
    that it is kept again when a process starts on what another one left.
    """

    def keep(self, upload_id: str, content: bytes) -> None:
        """Hold a finished upload's whole content: from now on it is read as published. No I/O: called on the event
        loop, before the commit that makes the upload complete, so that nobody finds that row without the bytes."""

    def let_go(self, upload_id: str) -> None:
        """Forget a content that was kept, where that commit failed. No I/O."""

    def write_out(self, ids: Sequence[str]) -> Sequence[str]:
        """Make published data of what is kept for these uploads, durable at return; returns those that need not be kept
        elsewhere any more: what was written, and what is not held because it was discarded.

        An id that is not returned could not be written: its content stays held and readable, and a later call writes
        it anew from its first byte. Raises StoreError when nothing could be written. One call at a time.
        """


def read_all(store: Store, upload_id: str, length: int) -> bytes:
    """The whole published upload in one piece; for tests and small files."""
    return b"".join(bytes(piece) for piece in store.read(upload_id, 0, length))


__all__: Sequence[str] = [
    "BytesLost",
    "Concatenates",
    "KeepsMarks",
    "KeepsSmall",
    "Mark",
    "Marks",
    "ReadAlong",
    "ReadsThrough",
    "Roomy",
    "Settles",
    "Store",
    "StoreError",
    "StoreFull",
    "Stray",
    "SyncFailed",
    "TakesTogether",
    "Writer",
    "read_all",
]
