"""Where that lies which is made of uploads in the background: small files beside them, each whole or not there.

- **Places** are names of :mod:`ferryman_server.media.derivatives`; any other is refused with ValueError. A place is
  used for one generation and one kind, so whatever is put there twice is equivalent.
- **Who locks:** nobody has to. Two processes may put, read and free at the same time; of two that put at one place, one
  wins, whole.
- **Threads, durable, errors** as in :mod:`.base`; a failed `put` leaves nothing, or what was there, or all of the new.
- **Ready at once:** nothing has to be opened first, so that a process beside the server may use it.
- It is none of the uploads' data: a store's walk for strays passes it over.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol, runtime_checkable

from ferryman_server.media.derivatives import MEDIA_TYPES, read_place

UNFINISHED: Final = 3600.0  # seconds after which nobody writes any more what `tidy` finds


class Kept(NamedTuple):
    """A place where something lies."""

    place: str
    size: int  # bytes
    modified_at: float  # seconds since the epoch


class DerivedFiles(Protocol):
    """What every store that keeps them does."""

    def put(self, place: str, content: bytes) -> None:
        """Keep all of it, in the place of what is there, durable at return. Raises StoreFull, StoreError."""

    def read(self, place: str, start: int, stop: int) -> Iterator[memoryview]:
        """Yield bytes [start, stop) in pieces of at most 1 MiB. Raises StoreError, by the first `next` at the earliest,
        when they are not all there. To be closed, if it is not read to its end."""

    def size(self, place: str) -> int | None:
        """Bytes; None: nothing is there. Raises StoreError."""

    def free(self, place: str) -> None:
        """Free it, durably; a place where nothing is is fine. Raises StoreError."""

    def places(self) -> Iterator[Kept]:
        """Walk all of it, in no order; what comes or goes meanwhile may be among it. Raises StoreError."""

    def tidy(self, now: float) -> int:
        """Remove what killed processes left half written and nobody has touched for UNFINISHED; no walk tells of it.
        Returns how many bytes became free. `now`: seconds since the epoch. Raises StoreError."""


@runtime_checkable
class KeepsDerived(Protocol):
    """Stores that keep such files."""

    @property
    def derived(self) -> DerivedFiles:
        """Them; the same as long as the store lives, and usable before it is opened."""


def checked_place(place: str) -> str:
    """The last door before the data: the place as it is. Raises ValueError if it is none."""
    if read_place(place) is None:
        raise ValueError(f"not a place of something derived: {place!r}")
    return place


def media_type_at(place: str) -> str:
    """The media type of what belongs at a place."""
    told = read_place(place)
    return MEDIA_TYPES.get(told[2], "application/octet-stream") if told is not None else "application/octet-stream"
