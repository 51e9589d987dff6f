"""Uploads that come whole in one request and are not large: received on the event loop, complete with one commit.

The ordinary way of a body costs several hops between threads, however few bytes it has. A body that is all there and is
the whole upload is checked in memory instead, and then made durable together with others:

- a small one rides in the transaction that makes its row `complete` (:mod:`ferryman_server.settling` makes the file);
- a larger one is stored first, in one batch with those that came meanwhile (:mod:`ferryman_server.together`);
- in a store of objects either is one object, by one request.

The promises are the same: nothing is told before it is durable, nothing of a refused body is stored. Whatever does not
fit (a coding, a pause in the body, no room in memory) goes the ordinary way; nothing has been taken from the body then.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ferryman_protocol.commands import Admission, Content
from ferryman_protocol.model import Phase
from ferryman_protocol.transitions import advance
from ferryman_server.auth import Action, ask
from ferryman_server.body import End
from ferryman_server.claims import Claim
from ferryman_server.digests import Verifier
from ferryman_server.events import Event
from ferryman_server.finishing import digest_mismatch
from ferryman_server.house import Exchange, House
from ferryman_server.pouring import uninterrupted
from ferryman_server.publishing import tell_finals
from ferryman_server.read_along import ARCHIVE
from ferryman_server.receiving import check_digests
from ferryman_server.refusals import Declined, problem_of
from ferryman_server.small_ways import InAFile, InAnObject, InItsRow, Way
from ferryman_server.state.base import Lease, Record
from ferryman_server.storage.ledger import PutsWhole

MOST: Final = 16 << 10  # bytes of an upload that counts as small


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole upload in memory, and how it is made durable; room is reserved for it there."""

    chunks: Sequence[bytes]
    size: int  # bytes
    way: Way

    def release(self) -> None:
        """It is refused."""
        self.way.release(self.size)


class Small:
    """Takes such uploads in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._little: Way = InItsRow(house)
        self._more: Way = InAFile(house)
        if isinstance(house.store, PutsWhole):
            self._little = self._more = InAnObject(house, house.store)

    @property
    def needs_row(self) -> bool:
        """Whether an upload has to have its row before its content can be taken."""
        return self._little.needs_row

    async def body(
        self, record: Record, admission: Admission, content: Content, x: Exchange, claim: Claim | None = None
    ) -> Whole | None:
        """The request's body, if it is a whole upload that is not large, and all there; None: it goes the ordinary way.
        `create` or `append` has to follow: room is reserved for it."""
        length = content.length
        if (
            length is None
            or record.upload.phase is not Phase.EMPTY
            or content.coding != "identity"
            or (admission.length is not None and admission.length != length)
            or not (admission.completes or (admission.finishes_at_length and admission.length is not None))
            or (admission.room is not None and length > admission.room)
            or (content.checksum is not None and content.checksum.digest is None)
        ):
            return None
        way = self._little
        if length > MOST:
            if content.checksum is not None or content.digests is not None or record.repr_digests is not None:
                return None  # hashing it would hold up the event loop
            way = self._more
        if not await way.reserve(length):
            return None
        chunks: Sequence[bytes] | None = () if length == 0 else None
        try:
            if chunks is None:
                chunks = await _whole(length, x, claim)
        finally:
            if chunks is None:
                way.release(length)
        return None if chunks is None else Whole(chunks, length, way)

    async def create(self, record: Record, whole: Whole, content: Content, x: Exchange) -> Record:
        """Make an upload that is complete at once. Raises Refused: then there is none."""
        wrong = await self._checked(record, whole, content, x)
        if wrong is not None:
            whole.release()
            raise digest_mismatch(wrong)
        return await self._through(record, whole, None)

    async def append(self, record: Record, lease: Lease, whole: Whole, content: Content, x: Exchange) -> Record:
        """Complete an upload that is empty. Raises Declined: it still is, or a wrong digest has made it FAILED."""
        try:
            wrong = await self._checked(record, whole, content, x)
            if wrong is not None:
                whole.release()
                finishing = replace(record, upload=advance(record.upload, Phase.FINISHING))
                record = await self._house.finisher.fail(finishing, lease, wrong)
                raise digest_mismatch(wrong)
            return await self._through(record, whole, lease)
        except Exception as failure:
            foreseen = problem_of(failure)
            if foreseen is None:
                raise
            raise Declined(foreseen, record.upload) from failure

    async def _checked(self, record: Record, whole: Whole, content: Content, x: Exchange) -> str | None:
        """Hold everything against the body that can speak against it. Returns the first of the whole upload's digests
        that differs; raises Refused for the rest, and gives the room back then."""
        house = self._house
        house.metrics.received_bytes.labels(x.dialect.name).inc(whole.size)
        try:
            _check(content, whole.chunks, x)
            wrong = _mismatch(record, whole.chunks)
            if wrong is None:
                await ask(house.guard, x.caller, Action.FINISH, record.upload)
        except BaseException:
            whole.release()
            raise
        return wrong

    async def _through(self, record: Record, whole: Whole, lease: Lease | None) -> Record:
        """Commit and tell. Whoever waits may be cancelled: what takes several steps comes to its end all the same."""
        if not whole.way.in_steps:
            return await self._complete(record, whole, lease)
        return await uninterrupted(asyncio.create_task(self._complete(record, whole, lease)))

    async def _complete(self, record: Record, whole: Whole, lease: Lease | None) -> Record:
        done = await whole.way.commit(record, whole.chunks, lease)
        self._house.metrics.stored_bytes.inc(whole.size)
        events, upload, now = self._house.events, done.upload, done.updated_at
        if lease is None:
            events.publish(Event("created", upload.id, done.created_at, {"length": upload.length}))
        self._house.indexer.begun(done, archive=b"".join(whole.chunks[:4])[: len(ARCHIVE)] == ARCHIVE)
        events.publish(Event("progress", upload.id, now, {"offset": upload.offset, "length": upload.length}, done))
        events.publish(Event("complete", upload.id, now, {"length": upload.offset}, done))
        await tell_finals(self._house, upload)
        return done


async def _whole(length: int, x: Exchange, claim: Claim | None) -> list[bytes] | None:
    if claim is None:
        return await x.body.whole(length)
    claim.on_superseded(lambda: x.body.stop(End.SUPERSEDED))
    try:
        return await x.body.whole(length)
    finally:
        claim.on_superseded(None)


def _check(content: Content, chunks: Sequence[bytes], x: Exchange) -> None:
    """Compare the body's own digests. Raises Refused."""
    verifier = _fed(Verifier.of(content.checksum, content.digests), chunks)
    if verifier is not None:
        check_digests(verifier, content, x.body)


def _mismatch(record: Record, chunks: Sequence[bytes]) -> str | None:
    """The first of the whole upload's digests that differs."""
    verifier = _fed(Verifier.of(None, record.repr_digests), chunks)
    return None if verifier is None else verifier.mismatch()


def _fed(verifier: Verifier | None, chunks: Sequence[bytes]) -> Verifier | None:
    if verifier is not None:
        for chunk in chunks:
            verifier.update(memoryview(chunk))
    return verifier
