"""The writing end of an upload into S3: parts fill in memory and are sent while the next one fills.

    write → run (memory) ── part full ──▶ part on its way (up to WINDOW) ──▶ acknowledged ──▶ noted with an offset
                         └─ memory wanted, or the request ends ──▶ tail, put into the part when that is full

What is told as durable (`noted`) are acknowledged parts without a gap, and behind the last of them tails.

Locks: `_changed` guards everything here. The budget's lock is never asked for while it is held, since the budget asks
for it (:meth:`S3Writer.spill`).
"""

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from ferryman_server.storage.base import Mark, StoreError
from ferryman_server.storage.ledger import Noted
from ferryman_server.storage.s3_books import (
    CREATING,
    LARGE_PART,
    LARGEST_OBJECT,
    LEAST_PART,
    Books,
    Part,
    Tail,
    crc_of,
    part_note,
    part_size,
    tail_note,
    upload_notes,
    whole_notes,
)
from ferryman_server.storage.s3_calls import delete
from ferryman_server.storage.s3_memory import SMALL, GivenUp
from ferryman_server.storage.s3_publishing import PutOnce
from ferryman_server.storage.s3_retry import again
from ferryman_server.storage.s3_run import Run
from ferryman_server.storage.s3_sending import Load, Sender, sums_of_load
from ferryman_server.storage.s3_stop import Stop
from ferryman_server.storage.s3_taps import KeptParts
from ferryman_server.storage.s3_yard import Order, Yard

log = structlog.get_logger("ferryman.s3")

WINDOW: Final = 24 << 20  # bytes of one upload on their way: more do not make MinIO faster, and all of it is memory
MOST_TAILS: Final = 8  # in one part, beside those of a whole run: then they become one
LONGEST_RUN: Final = 32 << 20  # bytes of one part in memory: longer parts (of uploads above 281 GiB) gather as tails


class _LeftOff(Exception):
    """Nobody waits for space any more."""


class S3Writer:
    """Appends to one upload. See :class:`ferryman_server.storage.ledger.Noting` for what it promises."""

    def __init__(self, yard: Yard, order: Order, books: Books) -> None:
        """Goes on where the books end."""
        self._yard = yard
        self._order = order
        self._stop = Stop()
        self._sender = Sender(yard, order, books, self._stop)
        self._kept = KeptParts(yard.taps, order.upload_id)
        self._changed = threading.Condition()
        self._failure: StoreError | None = None
        self._closed = False
        self._published: Noted | None = None
        self._prepared_to_send = False
        self._busy = False  # bytes are being put into the run
        self._flows = False  # they are read right into it
        self._left_off = False  # nobody is to wait for space
        self._durable = books.parts_end  # the offset up to which parts are, without a gap
        self._durable_crc = crc_of(books.parts)
        self._unnoted: list[Part] = []  # of these, what no commit has told of
        self._tails_noted = list(books.tails)
        self._flight: deque[Load] = deque()  # parts behind the durable ones, in order
        self._part_start = books.parts_end
        self._tails = [Load(tail.start, tail.stop, result=tail) for tail in books.tails]  # of the part that fills
        self._run = Run(books.end, yard.slices)
        self._part_stop = max(self._plan(self._part_start), books.end)  # it may have been planned larger before
        self._to_note: tuple[list[Part], list[Tail]] = ([], self._tails_noted)
        self.last_moved = time.monotonic()
        yard.memory.enter(self)

    @property
    def written(self) -> int:
        """The offset just after the last byte written (bytes), durable or not."""
        return self._run.stop

    # -- filling ------------------------------------------------------------------------------------------------------

    def write(self, piece: memoryview) -> None:
        """Append the whole piece; waits where memory or the way is full. Raises StoreError."""
        while piece:
            space = self._space(flows=False)
            count = min(len(space), len(piece))
            space[:count] = piece[:count]
            self.filled(count)
            piece = piece[count:]

    def space(self) -> memoryview:
        """Where the next bytes go; see :class:`ferryman_server.storage.base.Roomy`."""
        self._flows = True
        try:
            return self._space(flows=True)
        except _LeftOff:
            return memoryview(b"")

    def leave_off(self) -> None:
        """Nothing more is to be filled; see :class:`ferryman_server.storage.base.Roomy`."""
        with self._changed:
            self._left_off = True
            self._changed.notify_all()

    def _space(self, *, flows: bool) -> memoryview:
        """The run is not spilt until `filled`."""
        while True:
            with self._changed:
                run, space = self._prepared(flows)
                if space is not None:
                    self._busy = True
                    return space[: self._run_stop - run.stop]
                wanted = run.wanted(self._run_stop - run.start, flows=flows)
                if not wanted:
                    run.grow()
                    continue
            self._take(run, wanted, flows)

    def _prepared(self, flows: bool) -> tuple[Run, memoryview | None]:
        """The run that the next byte goes into, once what is full is on its way, and the space in it."""
        self._check()
        while self._run.stop == self._part_stop:
            if not self._may_send():
                self._check_left_off(flows)
                self._changed.wait()
                self._check()
                continue
            self._send_part()
        if self._run.size >= LONGEST_RUN:
            self._send_tail()
        return self._run, self._run.space()

    @property
    def _run_stop(self) -> int:
        """Where the run ends at the latest."""
        return min(self._part_stop, self._run.start + LONGEST_RUN)

    def _check_left_off(self, flows: bool) -> None:
        """Raises _LeftOff where whoever fills memory is not to wait for it any more."""
        if flows and self._left_off:
            raise _LeftOff

    def _take(self, run: Run, wanted: int, flows: bool) -> None:
        memory = self._yard.memory
        try:
            memory.take(wanted, lambda: self._closed or self._failure is not None or (flows and self._left_off))
        except GivenUp:
            with self._changed:
                self._check()
                self._check_left_off(flows)
            raise
        with self._changed:
            kept = self._run is run and not self._closed
            run.taken += wanted if kept else 0
        if not kept:  # it was spilt meanwhile
            memory.give(wanted)

    def filled(self, count: int) -> None:
        """So many bytes are there; see :class:`ferryman_server.storage.base.Roomy`."""
        empty = 0
        with self._changed:
            self._busy = False
            if count:
                self._run.advance(count)
                self.last_moved = time.monotonic()
            if not self._prepared_to_send and self._run.stop - self._part_start > SMALL:
                self._prepared_to_send = True
                self._yard.senders.submit(self._prepare_to_send)
            length, full = self._order.length, self._run.stop == self._part_stop and not self._closed
            if full and length is not None and self._part_stop < length and self._may_send():
                self._send_part()  # else it may be the last one, or all there is
            if not self._run.size:
                empty = self._run.free()  # it could not be spilt
            self._changed.notify_all()
        self._yard.memory.give(empty)

    # -- sending ------------------------------------------------------------------------------------------------------

    def _prepare_to_send(self) -> None:
        """While the first part fills: its number, and the multipart upload. If that fails, the part says so."""
        length = self._order.length
        if self._durable or (length is not None and length > self._part_stop):  # else it may be all there is
            with suppress(StoreError):
                self._sender.reserve(self._sender.numbers.next)

    def _may_send(self) -> bool:
        """Two parts may be on their way, and more while they are small."""
        sizes = [load.stop - load.start for load in self._flight if load.result is None]
        return len(sizes) < 2 or sum(sizes) < WINDOW

    def _send_part(self) -> None:
        """What has filled goes off as a part, whatever its size."""
        stop = self._run.stop
        load = Load(self._part_start, stop, self._run, tuple(self._tails), number=self._sender.numbers.take())
        self._flight.append(load)
        self._part_start, self._tails, self._run = stop, [], Run(stop, self._yard.slices)
        self._part_stop = self._plan(stop)
        self._yard.senders.submit(self._deliver, load)

    def _send_tail(self, *, spilt: bool = False) -> Load:
        """What is in memory goes off as a tail; where there are many, all of them become one."""
        most = MOST_TAILS + (self._part_stop - self._part_start) // LONGEST_RUN
        merged = tuple(self._tails) if len(self._tails) >= most else ()
        start = merged[0].start if merged else self._run.start
        load = Load(start, self._run.stop, self._run, merged, spilt=spilt)
        self._tails = [load] if merged else [*self._tails, load]
        self._run = Run(load.stop, self._yard.slices)
        self._yard.senders.submit(self._deliver, load)
        return load

    def _plan(self, start: int) -> int:
        """Where the part that begins at `start` ends, if it comes to that."""
        order, memory = self._order, self._yard.memory
        coming = 0 if order.ends_at is None else order.ends_at - start
        large = self._flows and coming >= LARGE_PART and memory.free >= memory.total // 2
        large = large and self._yard.taps.get(order.upload_id) is None  # what is kept for readers is memory, too
        least = LARGE_PART if large else LEAST_PART
        try:
            size = part_size(start, self._sender.numbers.next, length=order.length, least=least)
        except ValueError as error:
            raise StoreError(f"upload {order.upload_id} cannot go on: {error}") from error
        end = order.length if order.length is not None else LARGEST_OBJECT
        return max(start + 1, min(start + size, end))

    def _deliver(self, load: Load) -> None:
        """In a thread of the senders: they take loads in order, so those that this one waits for are on their way."""
        try:
            self._await(load.tails)
            result = self._sender.send(load)
        except StoreError as error:
            self._fail(error)
            result = None
        except Exception as bug:
            log.exception("sending failed", upload_id=self._order.upload_id)
            self._fail(StoreError(f"sending bytes of upload {self._order.upload_id} failed: {bug!r}"))
            result = None
        self._free(load, read_along=isinstance(result, Part))
        if result is not None:
            with self._changed:
                load.result = result
                self._changed.notify_all()
            self._order.on_durable()

    def _free(self, load: Load, *, read_along: bool) -> None:
        """It was sent, or is given up. `read_along`: somebody may want to read it first."""
        run = load.run
        if run is not None and not (read_along and self._kept.keep(run, load.start)):
            self._yard.memory.give(run.free(), spilt=load.spilt)

    def _await(self, loads: "tuple[Load, ...] | list[Load]") -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or all(load.result for load in loads))
            if self._failure is not None:
                raise self._failure

    def _fail(self, error: StoreError) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    # -- making durable -----------------------------------------------------------------------------------------------

    def sync(self) -> int:
        """Make everything durable that was written before this call; returns the offset up to which it is."""
        with self._changed:
            self._check_and_rest()
            target = self._run.stop
            if self._run.stop == self._part_stop and self._run.stop > self._part_start:
                self._send_part()
            elif self._run.size:
                self._send_tail()
            loads = [*self._flight, *self._tails]
        self._await(loads)
        return target

    def complete(self) -> bool:
        """Everything is written: make it durable in the shape in which it is published. True: it is published."""
        with self._changed:
            self._check_and_rest()
            alone = not self._durable and not self._flight
            if not alone and self._run.stop > self._part_start:
                self._send_part()
            loads = [*self._flight, *self._tails]
            self._busy = alone  # the run stays where it is
        try:
            self._await(loads)
            if alone:
                self._put_alone()
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        return alone

    def _put_alone(self) -> None:
        """One PUT: all of it is in memory, or in a few tails and in memory."""
        self._sender.abort_all()
        order = self._order
        load = Load(0, self._run.stop, self._run, tuple(self._tails))
        sums = sums_of_load(load)
        put = PutOnce(self._yard.client, order.target, lambda: self._sender.body(load), load.stop, sums, order.headers)

        def still_ours() -> None:
            self._yard.ledger.note(order.upload_id, {}, order.fence)

        again(lambda: put(still_ours), patience=self._yard.patience, stop=self._stop)
        mark = Mark(load.stop, sums.crc64)
        self._published = Noted(mark=mark, notes=whole_notes(sums), published=True)

    def noted(self) -> Noted:
        """How far all is durable, and the notes that say where it is. To be committed before it is asked again."""
        if self._published is not None:
            return self._published
        with self._changed:
            while self._flight and isinstance(part := self._flight[0].result, Part):
                self._flight.popleft()
                self._durable = part.stop
                self._unnoted.append(part)
                self._durable_crc = crc_of([part], self._durable_crc)
            tails = _done(self._flight[0].tails if self._flight else self._tails)
            offset = tails[-1].stop if tails else self._durable
            self._to_note = (list(self._unnoted), tails)
            return Noted(mark=Mark(offset, crc_of(tails, self._durable_crc)), notes=self._notes(tails))

    def _notes(self, tails: list[Tail]) -> dict[str, str | None]:
        sender, before = self._sender, self._tails_noted
        notes: dict[str, str | None] = dict(part_note(part) for part in self._unnoted)
        notes |= {tail_note(tail)[0]: None for tail in before if tail not in tails}
        notes |= dict(tail_note(tail) for tail in tails if tail not in before)
        if self._unnoted:
            notes |= upload_notes(sender.multipart) | ({} if sender.haunted else {CREATING: None})
        return notes

    def committed(self) -> None:
        """What `noted` told last is committed: tails that it replaced are deleted in the background."""
        with self._changed:
            parts, tails = self._to_note
            del self._unnoted[: len(parts)]
            before = self._tails_noted
            replaced = [tail for tail in before if tail not in tails]
            self._tails_noted = tails
            if self._published is not None:
                self._published = replace(self._published, notes={})
        self._kept.committed(parts)
        for tail in replaced if self._published is None else before:
            self._yard.senders.submit(self._drop, tail)

    def _drop(self, tail: Tail) -> None:
        with suppress(StoreError):  # the next walk through the store finds it
            delete(self._yard.client, tail.key)

    # -- letting go ---------------------------------------------------------------------------------------------------

    @property
    def spillable(self) -> int:
        """Bytes of memory that a spill would free now."""
        return 0 if self._busy or self._closed or not self._run.size else self._run.taken

    def spill(self) -> int:
        """Send what is in memory as a tail, to free it."""
        with self._changed:
            taken = self.spillable
            if taken:
                self._send_tail(spilt=True)
            return taken

    def rest(self) -> None:
        """Nothing is held that is not needed."""

    def close(self) -> None:
        """Let go of what was not sent yet; what is on its way frees its memory by itself. Idempotent."""
        self._yard.memory.leave(self)
        with self._changed:
            if not self._closed:
                self._yard.unused.keep(self._order.upload_id, self._sender.numbers)
            self._closed = True
            taken = self._run.free()
            self._changed.notify_all()
        self._stop.set()
        self._yard.memory.give(taken)
        self._kept.close()
        with suppress(RuntimeError):  # the store is closed
            self._yard.senders.submit(self._yard.slices.rest)  # some ms, which nobody has to wait for

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StoreError(f"the writer of upload {self._order.upload_id} is closed")

    def _check_and_rest(self) -> None:
        """Wait until nothing is half-way into the run."""
        self._check()
        while self._busy:
            self._changed.wait()
            self._check()


def _done(loads: "tuple[Load, ...] | list[Load]") -> list[Tail]:
    """The tails that are there without a gap; for one that is not, those that it is made of."""
    found: list[Tail] = []
    for load in loads:
        if not isinstance(load.result, Tail):
            return found + _done(load.tails)
        found.append(load.result)
    return found
