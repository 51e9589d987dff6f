"""What clients were told, and what they sent: the one place where the server's word is kept and held against it.

Every answer that tells an offset comes here, whoever asked. The first broken promise ends the run: it is kept, with
what was known at that moment, and everybody stops.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.crash.tints import Run, Sent
from tests.support.uploading import Dialect, id_of

_KEPT: Final = 5000  # lines of what happened


class Broken(AssertionError):
    """The server broke a promise."""


@dataclass(eq=False)
class Upload:
    """One upload, as its clients know it."""

    number: int
    what: str  # how it is uploaded, in words
    dialect: Dialect
    length: int  # bytes
    began: float = field(default_factory=time.monotonic)
    path: str | None = None  # None: its URL was never told
    told: int = 0  # the highest offset that was told to anybody
    sent: list[Sent] = field(default_factory=list)
    parts: list["Upload"] = field(default_factory=list)  # of a final upload
    partial: bool = False
    deferred: bool = False  # its creation does not tell the length
    shared: bool = False  # several senders are at it on purpose
    bare: bool = False  # plain bytes to a URL that is known before they are sent
    carried: int = 0  # bytes of bodies that were handed to the kernel for it
    broke_at: float = float("-inf")  # when a request for it last ended without an answer; it may still be under way
    broken_reach: int | None = None  # how far the kernel had taken that request's bytes, where they are counted
    broken_by_kill: bool = False
    claimed: str | None = None  # the Repr-Digest that the server told
    complete: bool = False  # the server said so
    deleting: bool = False  # a DELETE was sent
    deleted: bool = False  # … and confirmed
    runs: list[Run] | None = None  # what it is made of, once it was downloaded and found right
    digest: bytes | None = None  # SHA-256 of that

    @property
    def known(self) -> bool:
        """Whether anybody knows its URL."""
        return self.path is not None

    @property
    def open(self) -> bool:
        """Whether bytes are still to come."""
        return self.known and not self.complete and not self.deleting

    def __str__(self) -> str:
        name = id_of(self.path) if self.path else "never told"
        return f"#{self.number} ({name}; {self.what}; {self.length} bytes; told {self.told})"


@dataclass(eq=False)
class Flight:
    """A request with a body that is under way."""

    upload: Upload
    sent: Sent
    port: int  # of the client's end
    began: float
    floor: int  # what had been told of the upload before it began
    direct: bool  # not through the proxy
    fated: bool  # something is to happen to its connection
    plain: bool  # its bytes are counted one by one: no coding, no chunks, nothing all or nothing
    head: int  # bytes before the body
    raw: int = 0  # bytes handed to the kernel, the head included
    asked: float | None = None  # when its client asked where to go on

    @property
    def reach(self) -> int:
        """The offset up to which the kernel has taken bytes; for plain requests."""
        return self.sent.start + max(0, self.raw - self.head)


class Ledger:
    """All uploads of a run. Safe in threads."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        self.flights: set[Flight] = set()
        self.failure: Broken | None = None
        self.over = threading.Event()  # set when the run is to end
        self._lock = threading.RLock()
        self._tints = 0
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._began = time.monotonic()

    # -- what happened -------------------------------------------------------------------------------------------------

    def note(self, line: str) -> None:
        """Write down what happened, for whoever has to find out why."""
        self._lines.append(f"{time.monotonic() - self._began:8.3f} {threading.current_thread().name}: {line}")

    def lines(self, upload: Upload | None = None, last: int = 60) -> list[str]:
        """What happened last; to one upload, and to the server."""
        mark = f"#{upload.number} " if upload is not None else ""
        return [line for line in list(self._lines) if mark in line or "step" in line][-last:]

    def broken(self, what: str, upload: Upload | None = None) -> Broken:
        """Keep the first broken promise; to be raised by the caller."""
        with self._lock:
            about = f"{upload}: " if upload is not None else ""
            requests = "".join(f"\n    sent {sent}" for sent in upload.sent) if upload is not None else ""
            failure = Broken(f"{about}{what}{requests}")
            self.note(f"BROKEN {failure}")
            if self.failure is None:
                self.failure = Broken("\n".join([str(failure), "  what happened:", *self.lines(upload)]))
            self.over.set()
            return failure

    # -- uploads -------------------------------------------------------------------------------------------------------

    def upload(self, what: str, dialect: Dialect, length: int, **more: object) -> Upload:
        """A new upload, not created yet."""
        with self._lock:
            upload = Upload(len(self.uploads) + 1, what, dialect, length)
            for name, value in more.items():
                setattr(upload, name, value)
            self.uploads.append(upload)
            return upload

    def located(self, upload: Upload, path: str) -> None:
        """The server told the upload's URL."""
        if upload.path not in (None, path):
            raise self.broken(f"another Location was told: {path}", upload)
        upload.path = path

    def sending(self, upload: Upload, start: int, stop: int | None = None) -> Sent:
        """A request is about to bring bytes from `start` on; with `stop`, all of them or none."""
        with self._lock:
            self._tints += 1
            sent = Sent(start, stop if stop is not None else start, self._tints, whole=stop is not None)
            upload.sent.append(sent)
            return sent

    def never_sent(self, upload: Upload, sent: Sent) -> None:
        """The connection was not even made."""
        with self._lock:
            upload.sent.remove(sent)

    @contextmanager
    def flying(self, flight: Flight) -> Iterator[Flight]:
        """Show a request to everybody while it is under way."""
        with self._lock:
            self.flights.add(flight)
        try:
            yield flight
        finally:
            with self._lock:
                self.flights.discard(flight)

    def under_way(self) -> list[Flight]:
        """The requests with a body that are under way."""
        with self._lock:
            return list(self.flights)

    # -- the server's word ---------------------------------------------------------------------------------------------

    def tell(self, upload: Upload, offset: int, floor: int, who: str) -> None:
        """An offset was told. `floor`: what was told to anybody before the question was asked."""
        if offset < floor:
            raise self.broken(f"{who} tells {offset}, but {floor} had been told before", upload)
        if not self._possible(upload, offset):
            raise self.broken(f"{who} tells {offset}, which no request can have brought about", upload)
        with self._lock:
            upload.told = max(upload.told, offset)

    def finished(self, upload: Upload, who: str) -> None:
        """The server said that the upload is complete."""
        if upload.told != upload.length:
            raise self.broken(f"{who} says it is complete at {upload.told}", upload)
        if not upload.complete:
            self.note(f"#{upload.number} is complete, says {who}")
        upload.complete = True

    def _possible(self, upload: Upload, offset: int) -> bool:
        if offset == 0 or (upload.parts and offset == upload.length):
            return True
        with self._lock:
            return any(
                offset in (sent.start, sent.stop) if sent.whole else sent.start <= offset <= sent.stop
                for sent in upload.sent
            )
