"""What went through the proxy: one entry a request, readable from any thread while it is still under way."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.s3.framing import Head
from tests.s3.operations import Operation, call_of

now: Final = time.monotonic


@dataclass(kw_only=True, slots=True, eq=False)
class Seen:
    """One request. What it asks for stands still; how far it has come is written by the proxy alone."""

    operation: Operation
    bucket: str
    key: str
    part: int | None
    upload_id: str | None
    method: str
    target: str
    headers: dict[str, str] = field(repr=False)  # names in lower case; of a doubled field the last
    length: int | None  # bytes of the body, as announced; None: chunked
    started: float  # now() when its head was here
    sent: int = 0  # bytes of its body that were passed upstream
    status: int | None = None  # what upstream answered; None: nothing (yet), or it was never asked
    told: int | None = None  # what the client was answered; None: nothing (yet)
    answered: int = 0  # bytes of the answer's body that were passed to the client
    ended: float | None = None  # now() when the answer's last byte was sent; None: it never was
    fault: str = ""  # what a rule does to it


def seen_of(head: Head) -> Seen:
    """The entry of a request that has just come."""
    method, target, _ = head.words
    call = call_of(method, target, head.headers)
    chunked = "transfer-encoding" in head.headers
    return Seen(
        operation=call.operation,
        bucket=call.bucket,
        key=call.key,
        part=call.part,
        upload_id=call.upload_id,
        method=method,
        target=target,
        headers=head.headers,
        length=None if chunked else int(head.headers.get("content-length", 0)),
        started=now(),
    )


class Log:
    """The requests in the order they came. Iterating gives those that have come by then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Seen] = []

    def __iter__(self) -> Iterator[Seen]:
        with self._lock:
            return iter(self._entries.copy())

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Seen:
        return self._entries[index]

    def of(self, *operations: Operation) -> list[Seen]:
        """The requests of these operations."""
        return [seen for seen in self if seen.operation in operations]

    def counts(self) -> Counter[Operation]:
        """How many requests there were of each operation, answered or not."""
        return Counter(seen.operation for seen in self)

    def add(self, seen: Seen) -> None:
        """Enter a request, before anything becomes of it."""
        with self._lock:
            self._entries.append(seen)

    def clear(self) -> None:
        """Forget what has come so far, also what is still under way."""
        with self._lock:
            self._entries.clear()
