"""Sending what was filled: parts of a multipart upload, and tails.

The multipart upload is created with the first part, and noted before that: an S3 server may not list one whose id was
lost with its process, but under its exact key it is found (MinIO), and aborted.

A sender that is stopped while a request of it is under way clears away what that request made: whoever looked before
could not find it.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_books import CREATING, NEXT, Books, Multipart, Part, Stretch, Tail, sums_of
from ferryman_server.storage.s3_errors import telling_of_lost_parts
from ferryman_server.storage.s3_retry import again
from ferryman_server.storage.s3_run import Run
from ferryman_server.storage.s3_stop import Stop
from ferryman_server.storage.s3_sums import Sums
from ferryman_server.storage.s3_yard import Order, Yard

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Load:
    """Bytes [start, stop) that are sent off together: tails that lie in the store already, and a run behind them."""

    start: int
    stop: int
    run: Run | None = None  # None: it was sent before
    tails: "tuple[Load, ...]" = ()  # each of them is done before this one is sent
    number: int | None = None  # of the part that it becomes; None: a tail
    spilt: bool = False  # because its memory is wanted
    result: Part | Tail | None = None  # once it is durable

    @property
    def sources(self) -> list[Tail]:
        """The tails as they lie in the store, once all are done."""
        return [tail.result for tail in self.tails if isinstance(tail.result, Tail)]


class Sender:
    """Sends the loads of one upload; used from several threads at once."""

    def __init__(self, yard: Yard, order: Order, books: Books, stop: Stop) -> None:
        """`stop` ends attempts that would be repeated."""
        self._yard = yard
        self._order = order
        self._stop = stop
        self._creation = threading.Lock()
        self._creating = self.haunted = books.creating  # by a process that is gone: one may still come into being
        self._begun = False
        self.multipart = books.upload
        self.numbers = yard.unused.numbers(order.upload_id, books.next)

    def send(self, load: Load) -> Part | Tail:
        """Make a load durable and return what it has become. Raises StoreError."""
        if load.number is not None:
            self.reserve(load.number)
        with self._yard.traffic.sending(self._order.upload_id):
            self._check()
            return self._send_tail(load) if load.number is None else self._send_part(load, load.number)

    def reserve(self, number: int) -> None:
        """See that this number is reserved, and that the multipart upload is there. Raises StoreError."""
        with self._creation:
            self._check()
            self.numbers.reserve(number, self._note)
            if self.multipart is None:
                self.multipart = self._create()

    def _note(self, free: int) -> None:
        """In one commit, so that whoever finds numbers reserved finds what was begun with them."""
        notes = {NEXT: str(free)} | ({} if self.multipart is not None else {CREATING: "1"})
        self._yard.ledger.note(self._order.upload_id, notes, self._order.fence)

    def abort_all(self) -> None:
        """Abort what multipart uploads there may be: the object is made without, or an earlier process has created one
        and died before its id was known to anybody."""
        if self._creating or self.multipart is not None:
            self._yard.traffic.wait_for_quiet(self._order.upload_id)
            self._again(lambda: s3_calls.abort_all(self._yard.client, self._order.target))

    def _create(self) -> Multipart:
        client, order = self._yard.client, self._order
        self.abort_all()
        self._creating = True
        with self._yard.traffic.sending(order.upload_id):
            upload = again(self._begin, patience=self._yard.patience)  # never broken off: it might be there
            if self._stop.is_set():
                s3_calls.abort(client, order.target, upload.id)
                self._check()
        return upload

    def _begin(self) -> Multipart:
        """One attempt. What one before it made, and nobody was told of, is aborted first."""
        self._check()
        client, order = self._yard.client, self._order
        if self._begun:
            s3_calls.abort_all(client, order.target)
        self._begun = True
        return s3_calls.begin(client, order.target, order.headers)

    def _send_part(self, load: Load, number: int) -> Part:
        upload, sums = self.multipart, sums_of_load(load)
        assert upload is not None

        def request() -> str:
            client, key, size = self._yard.client, self._order.target, load.stop - load.start
            return s3_calls.send_part(client, key, upload, number, self.body(load), size, sums)

        with telling_of_lost_parts(self._order.upload_id):
            etag = self._again(request)
        return Part(start=load.start, stop=load.stop, sums=sums, number=number, etag=etag)

    def _send_tail(self, load: Load) -> Tail:
        key, sums = self._yard.names.new_tail(self._order.upload_id, load.start), sums_of_load(load)

        def request() -> None:
            size = load.stop - load.start
            s3_calls.put(self._yard.client, key, self.body(load), size, sums, {})

        self._again(request)
        if self._stop.is_set():
            s3_calls.delete(self._yard.client, key)
            self._check()
        return Tail(start=load.start, stop=load.stop, sums=sums, key=key)

    def body(self, load: Load) -> Iterator[bytes | memoryview]:
        """The bytes of a load: of tails, read back piece by piece, and of the run behind them."""
        yield from s3_calls.get_all(self._yard.client, load.sources)
        if load.run is not None:
            yield from load.run.chunks()

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoreError(f"the writer of upload {self._order.upload_id} is closed")

    def _again(self, request: Callable[[], T]) -> T:
        return again(request, patience=self._yard.patience, stop=self._stop)


def sums_of_load(load: Load) -> Sums:
    """The checksums of a load whose tails are done."""
    stretches: list[Stretch] = list(load.sources)
    if load.run is not None:
        stretches.append(Stretch(start=load.run.start, stop=load.run.stop, sums=load.run.sums))
    return sums_of(stretches)
