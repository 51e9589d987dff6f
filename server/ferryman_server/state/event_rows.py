"""What outlives the process of what it tells its listeners: the newest events, and which numbers were used.

The contract is that of :mod:`ferryman_server.state.base` (a method that returns has committed durably, one that raises
StateError has changed nothing), and:

- A number that was reserved is never reserved again: whoever tells events tells only numbers that it has reserved.
- What was told is `whole` if the process that told it said so as its last act, and nobody has opened the state for
  writing since: other programs change uploads too, and tell nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ferryman_server.state.base import Record


class EventRow(NamedTuple):
    """One event."""

    seq: int
    name: str
    upload_id: str | None  # None: it is about no upload
    data: str  # JSON in ASCII


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What a process that is about to tell events finds."""

    rows: list[EventRow]  # the newest ones, the oldest of them first
    first: int  # the number of its own first event …
    reserved: int  # … and the last one that it may use
    whole: bool  # nothing that was told before is missing


class EventRows(Protocol):
    """What every backend's events do."""

    async def begin(self, *, least: int, block: int, kept: int) -> Begun:
        """Reserve `block` numbers, from `least` on or above all that were ever reserved; read the newest `kept` rows
        and drop the others."""

    async def store(self, rows: Sequence[EventRow], *, oldest: int | None = None, reserved: int | None = None) -> None:
        """Insert rows, one at least, whose numbers follow each other; some of them may be there. Drop those below the
        number `oldest`; reserve numbers up to `reserved`."""

    async def end(self, last: int) -> None:
        """Everything that was told has its row; `last` is the highest number used."""

    async def current(self, limit: int) -> list[Record]:
        """The newest uploads that are not over, up to `limit`, the newest first; without the parts of final ones."""


@runtime_checkable
class KeepsEvents(Protocol):
    """States that have room for events."""

    @property
    def event_rows(self) -> EventRows:
        """Their events."""
