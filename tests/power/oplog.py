"""What the shim wrote down, record by record, in the order in which it happened."""

import struct
from bisect import bisect_left
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("=IIqqq")


class Kind(IntEnum):
    """What happened; the same numbers as in shim.c."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    RENAME = 4
    UNLINK = 5
    MKDIR = 6
    RMDIR = 7
    LINK = 8
    SYNC = 9  # begins
    SYNCED = 10  # ends, well or not
    SEND = 11
    START = 12  # of a process
    UNSUPPORTED = 13
    ATTRIBUTE = 14  # of a file: set or removed


class What(IntEnum):
    """What a sync is of."""

    FILE = 0
    FOLDER = 1
    EVERYTHING = 2
    BYTES = 3  # of a file, and its size: fdatasync


@dataclass(frozen=True, slots=True)
class Operation:
    """One record. What `a`, `b` and `c` are depends on its kind (shim.c); `data` are bytes or names."""

    kind: Kind
    a: int
    b: int
    c: int
    data: bytes

    @property
    def path(self) -> str:
        """The one name."""
        return self.data.decode()

    @property
    def paths(self) -> tuple[str, str]:
        """The two names."""
        old, _, new = self.data.decode().partition("\0")
        return old, new

    @property
    def attribute(self) -> tuple[str, bytes | None]:
        """The attribute's name and value; None: it was removed."""
        name, _, value = self.data.partition(b"\0")
        return name.decode(), value if self.b else None


class OpLog:
    """A whole log, read at once."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.operations: list[Operation] = []
        self._starts: list[int] = []  # where each record begins in the file
        at = 0
        while at + _HEAD.size <= len(data):
            size, kind, a, b, c = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + size
            if end > len(data):
                break
            self.operations.append(Operation(Kind(kind), a, b, c, data[at + _HEAD.size : end]))
            self._starts.append(at)
            at = end
        assert at == len(data), f"the log ends in the middle of a record, at byte {at} of {len(data)}"
        alien = [operation.path for operation in self.operations if operation.kind is Kind.UNSUPPORTED]
        assert not alien, f"the server did what the shim cannot follow: {', '.join(alien)}"
        self._sends = self._count_sends()

    def __len__(self) -> int:
        return len(self.operations)

    def moment(self, size: int) -> int:
        """How many operations had happened when the log was so long (bytes)."""
        return bisect_left(self._starts, size)

    def sent(self, peer: int, count: int) -> int:
        """How many operations had happened when the `count`-th byte to this peer had gone out, that one included."""
        totals = self._sends.get(peer, [])
        at = bisect_left(totals, (count, -1))
        assert at < len(totals), f"a client received more bytes ({count}) than were seen going out to it"
        return totals[at][1] + 1

    def _count_sends(self) -> dict[int, list[tuple[int, int]]]:
        """For each peer: the bytes sent so far, and the number of the operation that sent the last of them."""
        found: dict[int, list[tuple[int, int]]] = {}
        for number, operation in enumerate(self.operations):
            if operation.kind is Kind.SEND:
                totals = found.setdefault(operation.a, [])
                totals.append(((totals[-1][0] if totals else 0) + operation.b, number))
        return found
