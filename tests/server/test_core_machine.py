"""The whole core against a plain model: whatever happens in whatever order, a told offset holds, its bytes are right.

The model of an upload is the file its client has, and the highest offset that was ever told. Requests come one after
another or stay half-way, are cut, taken over and refused; the disk refuses syncs or is full; the process is stopped,
killed, or loses its power, and another one starts.
"""

import asyncio
import gzip
import hashlib
import random
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ferryman_protocol.commands import Checksum
from ferryman_protocol.model import Phase, Reply
from ferryman_server.refusals import Declined, problem_of
from ferryman_server.storage.base import read_all
from ferryman_server.storage.memory import MemoryStore
from tests.server.core_model import Flight, Model, crc_of
from tests.support.core import RUFH, TUS, Core, Disk, Feed, held, until

T = TypeVar("T")

LONGEST = 400  # bytes of an upload
CHECKPOINT = 64  # bytes
CROWD = 3  # uploads at a time: few, so that much happens to each
KINDS = ("length", "chunked", "checksum", "wrong checksum")
WHICH = st.integers(0, CROWD - 1)  # of the uploads there are, or of those that are half-way
_BROKEN = (500, 501)  # statuses that no request may ever be answered with


def some_uploads(machine: "CoreMachine") -> bool:
    """There is an upload to do something with."""
    return bool(machine.models)


def some_flights(machine: "CoreMachine") -> bool:
    """There is a request that is half-way."""
    return bool(machine.flights)


class CoreMachine(RuleBasedStateMachine):
    """One disk, one process after another on it, and some uploads."""

    quick = True  # whether the store lets uploads be complete with one commit

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="ferryman-test-")
        self.store = MemoryStore()
        self.disk = Disk(Path(self.folder.name), self.store)
        self.models: list[Model] = []  # uploads that are not complete
        self.complete: list[Model] = []
        self.seed = 0
        self.core = self.new_core()
        self.run(self.core.start())

    def new_core(self) -> Core:
        """Another process on the same disk."""
        return Core(self.disk, checkpoint_size=CHECKPOINT, quick=self.quick)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop."""
        return self.runner.run(work)

    def teardown(self) -> None:
        """End everything."""
        self.run(self.end_flights())
        self.run(self.core.stop())
        self.runner.close()
        self.folder.cleanup()

    # Requests

    @precondition(lambda self: len(self.models) < CROWD)
    @rule(length=st.integers(0, LONGEST), share=st.sampled_from([0, 1, 2]), dialect=st.sampled_from([TUS, RUFH]))
    def create(self, length: int, share: int, dialect: Any) -> None:
        """A new upload, perhaps with half of its bytes or all of them."""
        self.seed += 1
        whole = random.Random(self.seed).randbytes(length)
        model = Model(upload_id="", whole=whole)
        feed = Feed(whole[: length * share // 2]) if share and length > 1 else None
        self.run(self.creating(model, feed, dialect, completes=share == 2 and feed is not None and dialect is RUFH))

    async def creating(self, model: Model, feed: Feed | None, dialect: Any, *, completes: bool) -> None:
        """Create; one whose URL is not told does not count."""
        try:
            reply = await self.core.create(len(model.whole), feed, dialect=dialect, completes=completes)
        except Exception as failure:
            self.refused(model, failure)
            return
        model.upload_id = dict(reply.headers)["Location"].rpartition("/")[2]
        self.models.append(model)
        self.answered(model, reply)

    @precondition(some_uploads)
    @rule(which=WHICH, share=st.floats(0, 1), kind=st.sampled_from(KINDS), off=st.sampled_from([0, 0, 0, 1, -3]))
    def append(self, which: int, share: float, kind: str, off: int) -> None:
        """A whole request, from where HEAD says or beside it; what is half-way is taken over."""
        self.run(self.appending(self.upload(which), share, kind, off))

    async def appending(self, model: Model, share: float, kind: str, off: int) -> None:
        """Append a share of what is missing, and hold the answer against what should become of it."""
        offset = await self.ask(model)
        if offset is None:
            return
        end = offset + round(share * (len(model.whole) - offset))
        body = model.whole[offset:end]
        feed = Feed(body, chunked=kind == "chunked")
        status = await self.answer_to(model, self.sending(model, offset + off, feed, kind, body))
        if off == 0 and kind != "wrong checksum" and not self.troubled:
            assert status == 204, f"an append at {offset} was answered {status}"
            assert model.told == end
        elif not self.troubled:
            # a checksum of nothing is compared as well
            assert status in ({409, 400, 204} if off else {460}), status

    @precondition(some_uploads)
    @rule(which=WHICH, extra=st.integers(1, 50))
    def overrun(self, which: int, extra: int) -> None:
        """A chunked body that is longer than what is missing: refused, and the upload is not complete by it."""
        self.run(self.overrunning(self.upload(which), extra))

    async def overrunning(self, model: Model, extra: int) -> None:
        """Send too much."""
        offset = await self.ask(model)
        if offset is None or offset == len(model.whole):
            return
        feed = Feed(model.whole[offset:], bytes(extra), chunked=True)
        status = await self.answer_to(model, self.core.append(model.upload_id, offset, feed))
        assert status == 413 or self.troubled
        assert await self.phase(model) in (Phase.EMPTY, Phase.RECEIVING)
        assert self.store.tail(model.upload_id, 0) < len(model.whole), "a kill now would complete the upload"

    @precondition(some_uploads)
    @rule(which=WHICH, cut=st.floats(0, 1))
    def coded(self, which: int, cut: float) -> None:
        """A gzip body of everything that is missing, cut somewhere: what was decoded is kept."""
        self.run(self.coding(self.upload(which), cut))

    async def coding(self, model: Model, cut: float) -> None:
        """Send a part of a gzip body."""
        offset = await self.ask(model)
        if offset is None or offset == len(model.whole):
            return
        body = gzip.compress(model.whole[offset:], 1)
        sent = round(cut * len(body))
        feed = Feed(body[:sent], length=len(body), whole=sent == len(body))
        if sent < len(body):
            feed.cut()
        await self.answer_to(model, self.core.append(model.upload_id, offset, feed, coding="gzip"))

    # Requests that stay half-way

    @precondition(lambda self: len(self.flights) < len(self.models))
    @rule(which=WHICH, share=st.floats(0, 1), kind=st.sampled_from(KINDS))
    def begin(self, which: int, share: float, kind: str) -> None:
        """A request for all that is missing brings a share of it, and then nothing for a while."""
        idle = [model for model in self.models if model.flight is None]
        self.run(self.beginning(idle[which % len(idle)], share, kind))

    async def beginning(self, model: Model, share: float, kind: str) -> None:
        """Begin, and wait until what was sent is stored."""
        offset = await self.ask(model)
        if offset is None or offset == len(model.whole):
            return
        rest = model.whole[offset:]
        feed = Feed(length=len(rest), chunked=kind == "chunked", whole=False)
        task = asyncio.create_task(self.sending(model, offset, feed, kind, rest))
        model.flight = Flight(kind, offset, 0, feed, task, doomed=self.troubled)
        await self.sending_more(model, round(share * (len(rest) - 1)))

    @precondition(some_flights)
    @rule(which=WHICH, size=st.integers(1, LONGEST))
    def more(self, which: int, size: int) -> None:
        """Some more of what is half-way."""
        self.run(self.sending_more(self.half_way(which), size))

    async def sending_more(self, model: Model, size: int) -> None:
        """Send more, but not the last byte."""
        flight = model.flight
        assert flight is not None
        end = min(flight.sent + size, len(model.whole) - flight.start - 1)
        piece = model.whole[flight.start + flight.sent : flight.start + end]
        flight.feed.send(bytes(len(piece)) if flight.kind == "wrong checksum" else piece)
        flight.sent = end
        expected = flight.start + end
        await until(lambda: flight.task.done() or self.store.tail(model.upload_id, 0) >= expected or expected == 0)
        await self.look_at_flight(model)

    @precondition(some_flights)
    @rule(which=WHICH, way=st.sampled_from(["cut", "end"]))
    def finish_flight(self, which: int, way: str) -> None:
        """What is half-way is cut, or brought to its end."""
        self.run(self.finishing_flight(self.half_way(which), way))

    async def finishing_flight(self, model: Model, way: str) -> None:
        """End it."""
        flight = model.flight
        assert flight is not None
        if way == "cut":
            flight.feed.cut()
        else:
            rest = model.whole[flight.start + flight.sent :]
            flight.feed.send(bytes(len(rest)) if flight.kind == "wrong checksum" else rest)
            flight.feed.end()
        await asyncio.wait([flight.task], timeout=10)
        assert flight.task.done(), "a request hangs"
        await self.look_at_flight(model)

    @rule()
    def settle(self) -> None:
        """Small contents that are complete become files, if the disk lets them."""
        assert self.run(self.core.house.settler.settle()) or self.troubled

    # Looking

    @precondition(some_uploads)
    @rule(which=WHICH, takes_over=st.booleans())
    def head(self, which: int, takes_over: bool) -> None:
        """HEAD of either protocol. One that takes over ends what is half-way; the other one does not."""
        model = self.upload(which)
        flight = model.flight
        self.run(self.ask(model, takes_over=takes_over))
        if flight is not None and not takes_over and not flight.doomed:
            assert not flight.task.done(), "a tus HEAD ended a transfer"

    @precondition(some_uploads)
    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        """DELETE ends what is half-way and frees the bytes."""
        self.run(self.deleting(self.upload(which)))

    async def deleting(self, model: Model) -> None:
        """Delete."""
        await self.core.terminate(model.upload_id)
        self.models.remove(model)
        if model.flight is not None:
            await asyncio.wait([model.flight.task], timeout=10)
            assert model.flight.task.done(), "a request hangs"
            await self.look_at_flight(model)
        assert self.store.tail(model.upload_id, 0) == -1

    # The disk and the process

    @rule(kind=st.sampled_from(["none", "none", "syncs fail", "full"]), room=st.integers(0, 300))
    def trouble(self, kind: str, room: int) -> None:
        """The disk refuses syncs, has only so much room left, or is well again."""
        used = sum(stray.size for stray in self.store.strays())
        self.store.syncs_fail = kind == "syncs fail"
        self.store.capacity = used + room if kind == "full" else None
        self.doom_flights()

    @precondition(some_uploads)
    @rule(way=st.sampled_from(["stop", "kill", "power cut"]))
    def restart(self, way: str) -> None:
        """The process ends well, is killed, or loses its power, and another one starts on what is left.

        After a kill all that was written is adopted where it may be; after a power cut nothing but commits counts.
        """
        self.run(self.stopping() if way == "stop" else self.dying())
        if way == "power cut":
            self.store.power_cut()
        self.store.syncs_fail = False
        self.core = self.new_core()
        self.run(self.starting(same_boot=way != "power cut"))

    async def stopping(self) -> None:
        """End well."""
        await self.end_flights()
        await self.core.stop()

    async def standing(self, *, adopting: bool) -> dict[str, int]:
        """The committed offset of each upload; or the one that a start after a kill should come to."""
        found = {}
        for model in self.models:
            record = await self.core.record(model.upload_id)
            offset, tail = record.upload.offset, self.store.tail(model.upload_id, 0)
            adopted = adopting and record.adoptable and record.upload.phase in (Phase.EMPTY, Phase.RECEIVING)
            found[model.upload_id] = max(offset, tail) if adopted else offset
        return found

    async def dying(self) -> None:
        """From here on the process does nothing; its tasks end somehow."""
        await self.core.die()
        await self.end_flights()

    async def starting(self, *, same_boot: bool) -> None:
        """Start, and go on with what was half-way."""
        await self.core.open()
        expected = await self.standing(adopting=same_boot)
        recovered = await self.core.recover(same_boot=same_boot)
        assert recovered.lost == 0, "acknowledged bytes are missing"
        assert await self.standing(adopting=False) == expected
        for record in recovered.pending:
            await self.answer_to(None, self.core.uploads.publisher.finish_pending(record.upload.id))

    async def end_flights(self) -> None:
        """Cancel all that is half-way."""
        for model in self.models:
            if model.flight is not None:
                model.flight.task.cancel()
                await asyncio.wait([model.flight.task], timeout=10)
                await self.look_at_flight(model)

    # What must always hold

    @invariant()
    def told_offsets_hold(self) -> None:
        """Never below what was told, the bytes right, the checksum that of the bytes, and durable."""
        self.run(self.checking())

    async def checking(self) -> None:
        """Look at every upload; those that are complete and at rest are looked at once more in the end."""
        for model in (*self.models, *self.complete):
            record = await self.core.record(model.upload_id)
            offset = record.upload.offset
            assert offset >= model.told, f"{model.told} was told, {offset} is committed"
            assert record.crc64 == crc_of(model.whole[:offset])
            if record.upload.phase is not Phase.COMPLETE:
                assert offset == 0 or held(self.store, model.upload_id, offset) == model.whole[:offset]
            else:
                assert offset == len(model.whole)
                assert read_all(self.store, model.upload_id, offset) == model.whole
                assert self.quick or self.store.tail(model.upload_id, 0) == -1
                if model.flight is None and model in self.models:
                    self.models.remove(model)
                    self.complete.append(model)

    # Inside

    @property
    def flights(self) -> list[Model]:
        """The uploads that have a request half-way."""
        return [model for model in self.models if model.flight is not None]

    def doom_flights(self) -> None:
        """Note that what is half-way may fail."""
        for model in self.flights:
            if model.flight is not None:
                model.flight.doomed |= self.troubled

    def upload(self, which: int) -> Model:
        """One of the uploads."""
        return self.models[which % len(self.models)]

    def half_way(self, which: int) -> Model:
        """One of the uploads that have a request half-way."""
        return self.flights[which % len(self.flights)]

    @property
    def troubled(self) -> bool:
        """Whether the disk may refuse what is asked of it."""
        return self.store.syncs_fail or self.store.capacity is not None

    def sending(self, model: Model, offset: int, feed: Feed, kind: str, body: bytes) -> Coroutine[Any, Any, Reply]:
        """A PATCH of this kind."""
        checksum = None
        if kind == "checksum":
            checksum = Checksum(algorithm="sha1", digest=hashlib.sha1(body).digest())
        elif kind == "wrong checksum":
            checksum = Checksum(algorithm="sha1", digest=bytes(20))
        return self.core.append(model.upload_id, offset, feed, checksum=checksum)

    async def ask(self, model: Model, *, takes_over: bool = False) -> int | None:
        """HEAD; None when it cannot tell because the disk is in trouble."""
        try:
            offset = await self.core.offset(model.upload_id, takes_over=takes_over)
        except Exception as failure:
            status = self.refused(model, failure)
            told_why = self.troubled or await self.phase(model) is Phase.FINISHING
            if status == 503 and told_why:
                return None
            raise
        assert offset >= model.told, f"HEAD tells {offset}, {model.told} was told before"
        model.told = offset
        if takes_over and model.flight is not None:
            await asyncio.wait([model.flight.task], timeout=10)
            assert model.flight.task.done(), "a request hangs"
        await self.look_at_flight(model)
        return offset

    async def answer_to(self, model: Model | None, work: Coroutine[Any, Any, Any]) -> int:
        """The status of an answer; it comes within ten seconds."""
        try:
            async with asyncio.timeout(10):
                reply = await work
        except Exception as failure:
            return self.refused(model, failure)
        finally:
            if model is not None:
                await self.look_at_flight(model)
        if model is not None:
            self.answered(model, reply)
        return reply.status if isinstance(reply, Reply) else 204

    def answered(self, model: Model, reply: Reply) -> None:
        """Note the offset that an answer tells."""
        model.told = max(model.told, int(dict(reply.headers).get("Upload-Offset", "0")))

    def refused(self, model: Model | None, failure: Exception) -> int:
        """The status of a refusal; what was not foreseen is a bug."""
        problem = problem_of(failure)
        if problem is None or problem.kind.status in _BROKEN:
            raise failure
        if model is not None and isinstance(failure, Declined) and failure.upload is not None:
            model.told = max(model.told, failure.upload.offset)
        return problem.kind.status

    async def look_at_flight(self, model: Model) -> None:
        """Forget a request that has come to its end."""
        flight = model.flight
        if flight is None or not flight.task.done():
            return
        model.flight = None
        if flight.task.cancelled():
            return
        failure = flight.task.exception()
        if isinstance(failure, Exception):
            self.refused(model, failure)
        else:
            self.answered(model, flight.task.result())

    async def phase(self, model: Model) -> Phase:
        """The phase as committed."""
        return await self.core.phase(model.upload_id)


class PublishingMachine(CoreMachine):
    """The same on a store that publishes every upload before it is complete."""

    quick = False


TestCore = CoreMachine.TestCase
TestCore.settings = settings(max_examples=80, stateful_step_count=40)
TestPublishingCore = PublishingMachine.TestCase
TestPublishingCore.settings = settings(max_examples=40, stateful_step_count=40)
