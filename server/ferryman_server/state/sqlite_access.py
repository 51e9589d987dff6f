"""What the parts of the SQLite state share: a way to the thread that writes and to the one that reads.

Both raise StateError when the state is not open. Writes that are submitted together are one commit; one that raises is
undone alone.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ferryman_server.state.sqlite_thread import Work

T = TypeVar("T")


class Submit(Protocol):
    """Have work done in a thread."""

    def __call__(self, work: Work[T]) -> Awaitable[T]:
        """Queue it; awaited, its outcome."""


@dataclass(frozen=True, slots=True)
class Access:
    """The two ways."""

    write: Submit
    read: Submit
