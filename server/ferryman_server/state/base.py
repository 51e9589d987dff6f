"""The repository of uploads: what is true about each of them, committed in transactions.

The contract, for every implementation:

- A method that returns has committed durably, unless it says otherwise; one that raises has changed nothing.
- Writers hold a :class:`Lease`. Every write is refused with :class:`Fenced` when a newer lease exists.
- Implementations translate their driver's exceptions to :class:`StateError` at the edge.
- The caller validates: the repository stores what it is given (but the schema's CHECKs guard its shape).
- Every method is a coroutine to be awaited on the server's event loop; none blocks it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Upload
from ferryman_server.state.archives import Archives
from ferryman_server.state.library import Library
from ferryman_server.state.outbox import Outbox

# What a store wants to be remembered about an upload, by names of its own; None: to be forgotten.
Notes: TypeAlias = Mapping[str, str | None]


class StateError(Exception):
    """The state could not be read or written (disk full, database locked or damaged): answered with 503."""


class StateFull(StateError):
    """There is no room to write: freeing some helps. Nothing was written, and nothing comes back after a crash."""


class Fenced(Exception):
    """The lease this write was made under has been passed on: the writer must stop without touching anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One upload's row: the protocol's view of it, and what only the server needs."""

    upload: Upload
    crc64: int = 0  # CRC64/NVME of the committed bytes [0, offset)
    fence: int = 0  # the fence of the last lease that wrote
    adoptable: bool = True  # after a kill, bytes beyond the offset may be adopted (False: coded or checksummed request)
    created_at: float = 0.0  # seconds since the epoch, as all times here
    updated_at: float = 0.0
    completed_at: float | None = None
    owner: str | None = None
    target: str | None = None  # where `finishing` publishes to, if the store cannot tell from the id (an object's key)
    repr_digests: Digests | None = None  # whole-upload digests the client announced
    want_repr_digests: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to write one upload: newer leases have higher fences."""

    upload_id: str
    fence: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page of records, newest first, and the cursor of the next one (None: this was the last)."""

    records: Sequence[Record]
    next: str | None


class State(Protocol):
    """What every state backend does."""

    @property
    def archives(self) -> Archives:
        """The indexes of uploads that are archives."""

    @property
    def library(self) -> Library:
        """What was published."""

    @property
    def outbox(self) -> Outbox:
        """Work that is to be done."""

    async def open(self) -> None:
        """Connect, migrate, and void all leases of processes that are gone."""

    async def close(self) -> None:
        """Commit what is queued and disconnect. Idempotent."""

    async def create(self, record: Record, *, content: bytes | None = None) -> None:
        """Insert a new upload. Raises StateError when the id is taken.

        `content`: the whole content of an upload that is created complete, as in :meth:`save`.
        """

    async def get(self, upload_id: str) -> Record | None:
        """The last committed row, or None."""

    async def lease(self, upload_id: str) -> tuple[Record, Lease] | None:
        """Take the write lease with a fence above every earlier one, and read the row under it; None: no such row.

        The caller has made sure that an earlier holder in this process stopped. Writes of earlier leases are
        refused from here on.
        """

    async def release(self, lease: Lease) -> None:
        """Give the lease back: its holder writes no more, and writes under it are refused from here on.

        Changes no row. Idempotent; a lease that was passed on changes nothing.
        """

    async def save(
        self, record: Record, lease: Lease, *, content: bytes | None = None, notes: Notes | None = None
    ) -> None:
        """Commit how far the upload is: phase, offset, length, expires_at, reason, crc64, adoptable, the times, target
        and digests, and the lease's fence. What the upload is stays as it was created, whatever the record says.
        Raises Fenced; a row that is gone counts as fenced.

        `notes`: committed with the row, beside those that are there. A complete upload has none: they go with the write
        that makes it so.

        `content`: the whole content of the upload that this write completes, committed with the row and kept for
        :meth:`redo` until :meth:`drop_redo`. Raises ValueError when the record is not COMPLETE. A later write that
        makes the row anything but COMPLETE removes it, and so does the row's end.
        """

    async def note(self, upload_id: str, notes: Notes, lease: Lease | None = None) -> None:
        """Commit notes alone; those of a complete upload are ignored. Raises Fenced when the lease was passed on; a row
        that is gone counts as fenced. Without a lease (of an upload that is over, whoever frees what it left) notes of
        a row that is gone are ignored too."""

    async def notes(self, upload_id: str) -> Mapping[str, str]:
        """The notes of an upload, as last committed."""

    async def delete(self, upload_id: str, lease: Lease) -> None:
        """Remove the row and its notes. Raises Fenced."""

    async def redo(self, limit: int) -> Sequence[tuple[str, bytes]]:
        """(upload id, content) of complete uploads whose content is only known here so far; the oldest first."""

    async def drop_redo(self, ids: Sequence[str]) -> None:
        """Forget these uploads' contents, all in one commit: they are durable in the store. Others are ignored."""

    async def page(self, *, limit: int, cursor: str | None = None) -> Page:
        """List uploads, newest first (by created_at, id). Raises ValueError for a cursor that is not ours."""

    async def due(self, now: float, limit: int) -> Sequence[Record]:
        """Unpublished uploads and complete partial ones whose expires_at has passed, and rows in EXPIRED or TERMINATED;
        the longest due first (by expires_at, or created_at where there is none; then id)."""

    async def in_phases(self, phases: Sequence[str]) -> Sequence[Record]:
        """Every upload in one of these phases: start-up looks for what a crash left half-way."""

    async def waiting_on(self, partial_id: str) -> Sequence[Record]:
        """Final uploads in phase WAITING that name this partial."""

    async def existing(self, ids: Sequence[str]) -> frozenset[str]:
        """Which of these ids have a row; the reaper asks before it touches a file."""

    async def counts(self) -> dict[str, int]:
        """How many uploads are in each phase; for status and metrics."""
