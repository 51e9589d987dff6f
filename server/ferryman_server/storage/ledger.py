"""What a store that keeps no books itself asks of whoever does: the state, in a server.

A store of objects can hold bytes, but no list of which of them make up an upload that is not finished: the state has
it, as notes that are committed together with the upload's row. The store reads it through a :class:`Ledger`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from ferryman_protocol.model import Upload
from ferryman_server.storage.base import Mark, Stray, Writer

Notes: TypeAlias = Mapping[str, str | None]  # by names of the store's own; None: to be forgotten


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One upload as it was last committed."""

    upload: Upload
    target: str | None = None  # where it is published
    crc64: int = 0  # CRC64/NVME of the bytes before its offset
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What has to be committed with the offset behind a source that was appended, and what is rubbish then."""

    notes: Notes
    rubbish: Sequence[str]


class Ledger(Protocol):
    """Every method blocks and is called from worker threads. Raises StoreError when the books cannot be had."""

    def look_up(self, upload_id: str) -> Entry | None:
        """An upload, with its notes; None: there is no such upload."""

    def note(self, upload_id: str, notes: Notes, fence: int | None) -> None:
        """Commit notes that hold however far the upload is, under the lease with this fence; None: the upload is over,
        nobody writes it any more. Raises StoreError when the lease was passed on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """What is durable of an upload, and what has to be committed with that offset for it to be found again."""

    mark: Mark
    notes: Notes = field(default_factory=dict)
    published: bool = False  # the whole is where it is read


@runtime_checkable
class Noting(Writer, Protocol):
    """Writers whose bytes become durable by themselves while more are written, and whose books the caller commits."""

    def sync(self) -> int:
        """Make everything durable that was written before this call; `noted` tells the books of it."""

    def complete(self) -> bool:
        """Everything of the upload is written: make it durable as it will be published. Returns whether it is published
        by that already."""

    def noted(self) -> Noted:
        """How far it is durable now. Never waits."""

    def committed(self) -> None:
        """What `noted` told last is committed: what it replaced is rubbish now. Never waits."""


@runtime_checkable
class PutsWhole(Protocol):
    """Such stores in which a content that is at hand as a whole is published by one request, without a writer."""

    async def put_whole(self, upload: Upload, target: str, chunks: Sequence[bytes], fence: int) -> int:
        """Publish the whole content of an upload whose row is there, under the lease with this fence; returns its
        CRC64/NVME. May be repeated, also after a crash and with another content. Raises StoreError. On the event loop:
        contents are small."""


@runtime_checkable
class CopiesWhole(Protocol):
    """Such stores that can build a final upload from published partial ones; `concatenation` is announced for these."""

    def append_copy(self, upload_id: str, offset: int, source_id: str, length: int, fence: int) -> Copied:
        """Append the published `source_id` (`length` bytes) to the unpublished `upload_id`, whose books end at
        `offset`, durably, under the lease with this fence. May be repeated until its notes are committed."""

    def drop(self, rubbish: Sequence[str]) -> None:
        """Delete what a commit has made rubbish. Never raises: what is left is found by a walk."""


@runtime_checkable
class Links(Protocol):
    """Such stores that may have clients fetch bytes from themselves."""

    def link(self, target: str) -> str | None:
        """A URL that holds for a while, of the object under this key; None: it is to be read through us. No I/O."""


class Tap(Protocol):
    """Somebody who reads an upload along."""

    def offer(self, start: int, pieces: Sequence[memoryview], release: Callable[[], None]) -> None:
        """Committed bytes of the upload from `start` on, in order; some may be missing before them. Their memory is the
        reader's until it calls `release`, once. On the event loop; never waits."""


@runtime_checkable
class LetsReadAlong(Protocol):
    """Such stores in which committed bytes of an unfinished upload cannot be read, but had from memory for a moment."""

    def read_along(self, upload_id: str, tap: Tap | None) -> None:
        """Offer what is committed of this upload from now on; None: to nobody any more. No I/O."""


@runtime_checkable
class KeepsNoBooks(Protocol):
    """Stores whose books the state keeps."""

    def target(self, upload: Upload, created_at: float) -> str:
        """Where an upload is to be published: kept in its row from its creation. `created_at`: seconds since the
        epoch."""

    def noting_writer(
        self, upload_id: str, offset: int, fence: int, on_durable: Callable[[], None], ends_at: int | None = None
    ) -> Noting:
        """Open at `offset`, under the lease with this fence. `on_durable` is called, from any thread, whenever more
        has become durable; it must not block. `ends_at`: the offset behind what the request brings, where it says so.
        """


@runtime_checkable
class Tidies(Protocol):
    """Stores in which pieces of an upload may be left that it does not consist of any more: what was replaced and could
    not be deleted, what a killed process left behind. The books tell them from those in use."""

    def leftovers(self, upload_id: str, pieces: Sequence[Stray]) -> Sequence[Stray]:
        """Those of its unpublished pieces that are no use to anybody; none when there is no such upload. Asks nobody
        but the state. Nobody is at work on the upload; somebody may begin now, since no piece that is there already
        ever comes into use."""

    def remove(self, stray: Stray) -> None:
        """Delete a piece, for good. May be repeated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What a published object says about itself: enough to make a row of it when its own was lost."""

    size: int  # bytes
    upload_id: str | None = None  # whose it says that it is; None: it does not say
    crc64: int | None = None  # CRC64/NVME of the whole; None: it has to be read for that
    partial: bool = False  # of a concatenation
    filename: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


@runtime_checkable
class Labels(Protocol):
    """Stores in which published data without a row are found by where they lie, and say what their row said."""

    def label(self, stray: Stray) -> Label | None:
        """What it says about itself; None: it is gone, or is another store's."""

    def contents(self, stray: Stray) -> Iterator[memoryview]:
        """All of its bytes."""

    def remove(self, stray: Stray) -> None:
        """Delete it, for good. May be repeated."""
