"""Small uploads that come whole in one request: received on the event loop, complete with one commit.

The ordinary way of a body costs several hops between threads, two syncs and two commits, however few bytes it has. A
body that is all there, is the whole upload and is small needs none of that: it is checked in memory, and its content
rides in the transaction that makes its row `complete` (:mod:`ferryman_server.settling` makes the file). The promises
are the same: nothing is told before it is durable, nothing of a refused body is stored.

Whatever does not fit (a coding, a pause in the body, too many contents waiting for their files) goes the ordinary way;
nothing has been taken from the body then.
"""

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import Final

from ferryman_protocol.commands import Admission, Content
from ferryman_protocol.model import Phase
from ferryman_protocol.transitions import advance
from ferryman_server.auth import Action, ask
from ferryman_server.body import End
from ferryman_server.claims import Claim
from ferryman_server.completion import completed
from ferryman_server.digests import Crc64, Verifier
from ferryman_server.events import Event
from ferryman_server.finishing import digest_mismatch
from ferryman_server.house import Exchange, House
from ferryman_server.publishing import tell_finals
from ferryman_server.receiving import check_digests
from ferryman_server.refusals import Declined, problem_of
from ferryman_server.state.base import Lease, Record

MOST: Final = 16 << 10  # bytes of an upload that counts as small


class Small:
    """Takes small uploads in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._looking: set[asyncio.Task[None]] = set()

    async def body(
        self, record: Record, admission: Admission, content: Content, x: Exchange, claim: Claim | None = None
    ) -> bytes | None:
        """The request's body, if it is a whole small upload and all there; None: it goes the ordinary way. `create` or
        `append` has to follow: room is reserved for it."""
        length = content.length
        if (
            length is None
            or length > MOST
            or record.upload.phase is not Phase.EMPTY
            or content.coding != "identity"
            or (admission.length is not None and admission.length != length)
            or not (admission.completes or (admission.finishes_at_length and admission.length is not None))
            or (admission.room is not None and length > admission.room)
            or (content.checksum is not None and content.checksum.digest is None)
        ):
            return None
        settler = self._house.settler
        if not settler.takes and not await settler.room():
            return None
        settler.reserve(length)
        data = b"" if length == 0 else None
        try:
            if data is None:
                data = await self._whole(x, claim)
        finally:
            if data is None:
                settler.release(length)
        return data

    async def _whole(self, x: Exchange, claim: Claim | None) -> bytes | None:
        if claim is None:
            return await x.body.whole(MOST)
        claim.on_superseded(lambda: x.body.stop(End.SUPERSEDED))
        try:
            return await x.body.whole(MOST)
        finally:
            claim.on_superseded(None)

    async def create(self, record: Record, data: bytes, content: Content, x: Exchange) -> Record:
        """Make an upload that is complete at once. Raises Refused: then there is none."""
        house = self._house
        wrong = await self._checked(record, data, content, x)
        if wrong is not None:
            house.settler.release(len(data))
            raise digest_mismatch(wrong)
        done = self._completed(record, data)
        await self._commit(done, data, None)
        house.events.publish(Event("created", done.upload.id, done.created_at, {"length": done.upload.length}))
        await self._tell(done)
        return done

    async def append(self, record: Record, lease: Lease, data: bytes, content: Content, x: Exchange) -> Record:
        """Complete an upload that is empty. Raises Declined: it still is, or a wrong digest has made it FAILED."""
        house = self._house
        try:
            wrong = await self._checked(record, data, content, x)
            if wrong is not None:
                house.settler.release(len(data))
                finishing = replace(record, upload=advance(record.upload, Phase.FINISHING))
                record = await house.finisher.fail(finishing, lease, wrong)
                raise digest_mismatch(wrong)
            done = self._completed(record, data)
            await self._commit(done, data, lease)
        except Exception as failure:
            foreseen = problem_of(failure)
            if foreseen is None:
                raise
            raise Declined(foreseen, record.upload) from failure
        await self._tell(done)
        return done

    async def _checked(self, record: Record, data: bytes, content: Content, x: Exchange) -> str | None:
        """Hold everything against the body that can speak against it. Returns the first of the whole upload's digests
        that differs; raises Refused for the rest, and gives the room back then."""
        house = self._house
        house.metrics.received_bytes.labels(x.dialect.name).inc(len(data))
        try:
            _check(content, data, x)
            wrong = _mismatch(record, data)
            if wrong is None:
                await ask(house.guard, x.caller, Action.FINISH, record.upload)
        except BaseException:
            house.settler.release(len(data))
            raise
        return wrong

    def _completed(self, record: Record, data: bytes) -> Record:
        now = self._house.pace.clock()
        running = Crc64()
        running.update(memoryview(data))
        expires_at = now + self._house.pace.upload_ttl if data else record.upload.expires_at
        return completed(record, offset=len(data), crc64=running.value, expires_at=expires_at, now=now)

    async def _commit(self, done: Record, data: bytes, lease: Lease | None) -> None:
        """Commit record and content together. Without a lease the upload is new."""
        house, upload_id = self._house, done.upload.id
        began = perf_counter()
        house.settler.keep(upload_id, data)
        try:
            if lease is None:
                await house.state.create(done, content=data)
            else:
                await house.state.save(done, lease, content=data)
        except asyncio.CancelledError:
            await asyncio.shield(self._find_out(upload_id))
            raise
        except BaseException:
            house.settler.let_go(upload_id)
            raise
        house.settler.committed(upload_id)
        house.metrics.commit_seconds.observe(perf_counter() - began)
        house.metrics.stored_bytes.inc(len(data))

    def _find_out(self, upload_id: str) -> "asyncio.Task[None]":
        """Whoever waited for a commit was cancelled; the commit is carried out all the same, or fails."""

        async def look() -> None:
            held = await self._house.state.lease(upload_id)  # reads behind that commit
            if held is not None and held[0].upload.phase is Phase.COMPLETE:
                self._house.settler.committed(upload_id)
            else:
                self._house.settler.let_go(upload_id)

        task = asyncio.create_task(look())
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        return task

    async def _tell(self, done: Record) -> None:
        events, upload, now = self._house.events, done.upload, done.updated_at
        events.publish(Event("progress", upload.id, now, {"offset": upload.offset, "length": upload.length}))
        events.publish(Event("complete", upload.id, now, {"length": upload.offset}))
        await tell_finals(self._house, upload)


def _check(content: Content, data: bytes, x: Exchange) -> None:
    """Compare the body's own digests. Raises Refused."""
    verifier = Verifier.of(content.checksum, content.digests)
    if verifier is not None:
        verifier.update(memoryview(data))
        check_digests(verifier, content, x.body)


def _mismatch(record: Record, data: bytes) -> str | None:
    """The first of the whole upload's digests that differs."""
    verifier = Verifier.of(None, record.repr_digests)
    if verifier is None:
        return None
    verifier.update(memoryview(data))
    return verifier.mismatch()
