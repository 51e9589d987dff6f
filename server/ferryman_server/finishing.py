"""From the last byte to `complete`: check the whole, publish, say so; repeatable at every step.

`finishing` is committed with the last bytes (DESIGN §3). Whatever happens after that: a crash, a full disk, a store
that is away for a minute: the same steps are taken again until the object can be read, and only then is the upload
`complete`. Nobody is told that it is before that.

Where nothing has to be done between the last byte and `complete` (the bytes can be read where they are, and no digest
of the whole has to be compared), one commit passes through `finishing` (:mod:`ferryman_server.transfer`).
"""

import asyncio
from dataclasses import replace
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Phase
from ferryman_protocol.problems import Refused
from ferryman_protocol.transitions import advance
from ferryman_server.completion import completed
from ferryman_server.digests import Verifier, new_hash
from ferryman_server.events import Event, Events
from ferryman_server.losing import lose
from ferryman_server.state.base import Lease, Record, State
from ferryman_server.storage.base import BytesLost, Store
from ferryman_server.storage.ledger import KeepsNoBooks
from ferryman_server.threads import in_thread
from ferryman_server.transfer import Pace

READERS: Final = 4  # uploads read back at once: each keeps a thread busy, and syncs need those threads too


class Finisher:
    """Publishes uploads that have all their bytes."""

    def __init__(self, *, state: State, store: Store, events: Events, pace: Pace) -> None:
        self._state = state
        self._store = store
        self._events = events
        self._pace = pace
        self._readers = asyncio.Semaphore(READERS)
        self._hides = isinstance(store, KeepsNoBooks)  # what is not published cannot be read there

    async def finish(self, record: Record, lease: Lease) -> Record:
        """Take a record in FINISHING to COMPLETE. Raises Refused when its digests do not match (the upload has then
        FAILED), StoreError or StateError when it has to be tried again later: it stays FINISHING."""
        upload = record.upload
        if self._hides:
            await self._publish(record, lease)
        if record.repr_digests is not None:
            async with self._readers:
                wrong = await in_thread(self._mismatch, record)
            if wrong is not None:
                await self.fail(record, lease, wrong)
                if self._hides:
                    await in_thread(self._store.discard, upload.id, published=True)
                raise digest_mismatch(wrong)
        if not self._hides:
            await self._publish(record, lease)
        now = self._pace.clock()
        done = completed(record, offset=upload.offset, crc64=record.crc64, expires_at=upload.expires_at, now=now)
        await self._state.save(done, lease)
        self._events.publish(Event("complete", upload.id, now, {"length": upload.offset}, done))
        return done

    async def _publish(self, record: Record, lease: Lease) -> None:
        try:
            await in_thread(self._store.publish, record.upload.id, record.upload.offset)
        except BytesLost as loss:
            await lose(self._state, record, lease, loss, self._pace.clock())
            raise

    async def wanted(self, record: Record) -> Digests | None:
        """The digests of a complete upload that its client asked for (Want-Repr-Digest), the preferred first."""
        if not record.want_repr_digests or record.upload.phase is not Phase.COMPLETE:
            return None
        async with self._readers:
            return await in_thread(self._computed, record, record.want_repr_digests[0])

    def _computed(self, record: Record, algorithm: str) -> Digests:
        running = new_hash(algorithm)
        for piece in self._store.read(record.upload.id, 0, record.upload.offset):
            running.update(piece)
        return Digests(values=((algorithm, running.digest()),))

    def _mismatch(self, record: Record) -> str | None:
        verifier = Verifier.of(None, record.repr_digests)
        if verifier is None:
            return None
        for piece in self._store.read(record.upload.id, 0, record.upload.offset, published=self._hides):
            verifier.update(piece)
        return verifier.mismatch()

    async def fail(self, record: Record, lease: Lease, algorithm: str) -> Record:
        """Commit that an upload in FINISHING has failed because this digest of the whole differs, and say so."""
        now, reason = self._pace.clock(), digest_mismatch(algorithm).problem.detail
        failed = replace(record, upload=advance(record.upload, Phase.FAILED, reason=reason), updated_at=now)
        await self._state.save(failed, lease)
        self._events.publish(Event("failed", record.upload.id, now, {"reason": reason}))
        return failed


def digest_mismatch(algorithm: str) -> Refused:
    """The verdict on an upload whose whole has another digest than its client announced."""
    detail = f"the {algorithm} digest of the whole upload differs from the one in Repr-Digest"
    return Refused(problems.Problem(kind=problems.DIGEST_MISMATCH, detail=detail))
