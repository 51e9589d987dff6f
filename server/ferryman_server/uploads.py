"""What the server does with uploads: create, append, inspect, terminate, fetch.

This is the one place where protocol, claims, state and store meet. Every method takes a command and the dialect it came
in, and returns the reply; refusals are raised as :class:`ferryman_protocol.problems.Refused`.
"""

import asyncio
import os
from dataclasses import replace

from ferryman_protocol.admission import refuse_unappendable
from ferryman_protocol.commands import Admission, Append, Content, Create, Inspect, Terminate
from ferryman_protocol.digest_fields import format_digests
from ferryman_protocol.ids import new_id
from ferryman_protocol.model import Concat, Phase, Reply, Upload
from ferryman_protocol.problems import Overrun, Refused
from ferryman_protocol.refusals import gone, not_found
from ferryman_protocol.transitions import advance
from ferryman_server import request_log, turns
from ferryman_server.auth import Action, ask
from ferryman_server.claims import Claim, Intent
from ferryman_server.events import Event
from ferryman_server.house import Exchange, House
from ferryman_server.publishing import Publisher, publish
from ferryman_server.receiving import Receiver
from ferryman_server.refusals import Declined, about, superseded
from ferryman_server.small import Small
from ferryman_server.state.base import Lease, Record, StateFull
from ferryman_server.storage.ledger import KeepsNoBooks
from ferryman_server.threads import in_thread
from ferryman_server.turns import turn


class Uploads:
    """The operations on uploads."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._receiver = Receiver(house)
        self._small = Small(house)
        self._keyed = house.store if isinstance(house.store, KeepsNoBooks) else None
        self.publisher = Publisher(house)

    # -- creation -----------------------------------------------------------------------------------------------------

    async def create(self, command: Create, x: Exchange) -> Reply:
        """Make an upload and store the body that came with it."""
        house = self._house
        allowed = await ask(house.guard, x.caller, Action.CREATE, None)
        admission = x.dialect.admit_create(command, house.limits)
        record = await self._new_record(command, admission, allowed.owner, x)
        small = await self._created_small(command, admission, record, x)
        if small is not None:
            return await self._answered(self._created(small, command, x), small)
        await house.state.create(record)
        upload = record.upload
        house.events.publish(Event("created", upload.id, record.created_at, {"length": upload.length}))
        request_log.bind_upload(upload.id)
        told = self._announce(record, x)
        if upload.concat is Concat.FINAL:
            if upload.phase is Phase.FINISHING:
                house.assembler.start(upload.id)
            else:
                await house.assembler.reconsider(upload.id)  # a part may have changed before there was a row to find
        elif command.content is not None or command.completes or upload.length == 0:
            record = await self._first_body(command, admission, record, x, told=told)
        return await self._answered(self._created(record, command, x), record)

    async def _created_small(self, command: Create, admission: Admission, record: Record, x: Exchange) -> Record | None:
        """A small upload whose creation brings all of it: its row is inserted complete. None: it goes the ordinary way.

        Its URL is not announced before: there is nothing at it until all is there.
        """
        carries = command.content is not None or command.completes or record.upload.length == 0
        waits = x.dialect.interop is not None and "expect" in x.caller.headers  # for a 100, and for our 104 before it
        if command.concat is Concat.FINAL or not carries or waits or self._small.needs_row:
            return None
        content = command.content or Content(length=0)
        whole = await self._small.body(record, admission, content, x)
        if whole is None:
            return None
        request_log.bind_upload(record.upload.id)
        done = await self._small.create(record, whole, content, x)
        self._announce(done, x)
        return done

    def _announce(self, record: Record, x: Exchange) -> bool:
        """Tell the URL of an upload that has its row, where the protocol has an interim answer for it."""
        house, upload = self._house, record.upload
        announced = x.dialect.announced(
            upload, location=house.location(upload.id), limits=house.limits, now=record.created_at
        )
        if announced is not None:
            x.inform(announced)
        return announced is not None

    def _created(self, record: Record, command: Create, x: Exchange) -> Reply:
        house = self._house
        return x.dialect.created(
            record.upload,
            location=house.location(record.upload.id),
            limits=house.limits,
            now=house.pace.clock(),
            carried=command.content is not None,
        )

    async def _new_record(self, command: Create, admission: Admission, owner: str | None, x: Exchange) -> Record:
        house, now = self._house, self._house.pace.clock()
        phase, length = Phase.EMPTY, admission.length
        if command.concat is Concat.FINAL:
            for part_id in dict.fromkeys(command.parts):
                part = await house.state.get(part_id)
                await ask(house.guard, x.caller, Action.CONCATENATE, part.upload if part else None)
            await ask(house.guard, x.caller, Action.FINISH, None)  # nobody is there to be asked once the parts are
            phase, length = await house.assembler.plan(command)
        upload = Upload(
            id=new_id(os.urandom(16)),
            phase=phase,
            length=length,
            dialect=x.dialect.name,
            metadata=command.metadata,
            concat=command.concat,
            concat_echo=command.concat_echo,
            parts=command.parts,
            content_type=command.content_type,
            content_encoding=command.content_encoding,
            filename=command.filename,
            expires_at=now + house.pace.upload_ttl,
        )
        return Record(
            upload=upload,
            created_at=now,
            updated_at=now,
            owner=owner,
            target=self._keyed.target(upload, now) if self._keyed is not None else None,
            repr_digests=command.repr_digests,
            want_repr_digests=command.want_repr_digests,
        )

    async def _first_body(
        self, command: Create, admission: Admission, record: Record, x: Exchange, *, told: bool
    ) -> Record:
        """Receive the creation's own body. Nobody knows the URL of an upload whose creation is refused or breaks off
        before its Location was told: such an upload is freed at once."""
        house, upload_id = self._house, record.upload.id
        content = command.content or Content(length=0)
        async with house.claims.take(upload_id, 0) as claim:
            held = await house.state.lease(upload_id)
            if held is None:
                raise Refused(not_found(upload_id))
            record, lease = held
            try:
                if self._small.needs_row:
                    whole = await self._small.body(record, admission, content, x, claim)
                    if whole is not None:
                        return await self._small.append(record, lease, whole, content, x)
                return await self._receiver.receive(record, lease, claim, admission, content, x)
            except Declined as declined:
                unreachable = not told and declined.upload is not None and declined.upload.phase is not Phase.COMPLETE
                if unreachable:
                    await self._undo(upload_id, lease)
                    data = {"offset": declined.upload.offset if declined.upload else 0}
                    house.events.publish(Event("terminated", upload_id, house.pace.clock(), data))
                    raise Declined(declined.problem, None) from declined
                raise

    async def _undo(self, upload_id: str, lease: Lease) -> None:
        """Free an upload that nobody knows. Whatever of it fails or is cut short, the reaper does: it finds a file
        without a row, and where the row has the books of the data, a row that is over."""
        house = self._house
        record = await house.state.get(upload_id)
        if record is None or self._keyed is None:
            await house.state.delete(upload_id, lease)
            await in_thread(house.store.discard, upload_id, published=True)  # a publication may be half done
            return
        upload = advance(record.upload, Phase.TERMINATED, expires_at=house.pace.clock())
        await house.state.save(replace(record, upload=upload), lease)
        await in_thread(house.store.discard, upload_id, published=True)
        await house.state.delete(upload_id, lease)

    # -- append -------------------------------------------------------------------------------------------------------

    async def append(self, command: Append, x: Exchange) -> Reply:
        """Store a body at an offset; a transfer of the same upload that is under way gives way to it."""
        house, upload_id = self._house, command.upload_id
        record = await self._known(upload_id, x, Action.APPEND)
        if record.upload.concat is Concat.FINAL:
            with about(record.upload):
                refuse_unappendable(record.upload)  # before the claim: it may be being assembled, for minutes
        if record.upload.phase is Phase.FINISHING:
            await self.publisher.settled(record)
        claim = house.claims.take_at_once(upload_id, command.offset)
        if claim is None:
            async with turn(house, upload_id, command.offset) as claim:
                record = await self._append(command, claim, x)
        else:
            try:
                record = await self._append(command, claim, x)
            finally:
                house.claims.leave(upload_id, claim)
        reply = x.dialect.appended(
            record.upload, location=house.location(upload_id), limits=house.limits, now=house.pace.clock()
        )
        return await self._answered(reply, record)

    async def _append(self, command: Append, claim: Claim, x: Exchange) -> Record:
        """Store the body under this claim; the record as committed."""
        house = self._house
        held = await house.state.lease(command.upload_id)
        if held is None:
            raise Refused(not_found(command.upload_id))
        record, lease = held
        with about(record.upload):
            self._still_wanted(claim)
            record = await self._finished(record, lease)
            admission = await self._admitted(command, record, lease, x)
        if record.upload.phase is Phase.COMPLETE:
            record = _with_digests(record, command)
            await self._receiver.receive_nothing(record, admission, command.content, x)
            return record
        digested = _with_digests(record, command)
        whole = await self._small.body(digested, admission, command.content, x, claim)
        if whole is not None:
            return await self._small.append(digested, lease, whole, command.content, x)
        if digested is not record:
            await house.state.save(digested, lease)  # before a byte: a start after a crash may complete it
        return await self._receiver.receive(digested, lease, claim, admission, command.content, x)

    async def _admitted(self, command: Append, record: Record, lease: Lease, x: Exchange) -> Admission:
        try:
            return x.dialect.admit_append(command, record.upload, self._house.limits)
        except Overrun as overrun:
            invalid = await self._receiver.invalidate(record, lease)
            raise Declined(overrun.problem, invalid.upload) from overrun

    async def _finished(self, record: Record, lease: Lease) -> Record:
        """Publish what an earlier request left in FINISHING (its publication failed)."""
        if record.upload.phase is Phase.FINISHING and record.upload.concat is not Concat.FINAL:
            return await publish(self._house, record, lease)
        return record

    # -- the rest -----------------------------------------------------------------------------------------------------

    async def inspect(self, command: Inspect, x: Exchange) -> tuple[Reply, Record]:
        """Tell where an upload stands. A tus HEAD disturbs nobody; one whose offset must be accepted takes over."""
        house, upload_id = self._house, command.upload_id
        record = await self._known(upload_id, x, Action.INSPECT)
        record = await self._current(record, takes_over=command.takes_over)
        with about(record.upload):
            return x.dialect.inspected(record.upload, limits=house.limits, now=house.pace.clock()), record

    async def fetch(self, upload_id: str, x: Exchange, *, takes_over: bool) -> Record:
        """The record behind a GET. Only an offset retrieval of the IETF protocol takes over."""
        record = await self._known(upload_id, x, Action.DOWNLOAD)
        if takes_over:
            await ask(self._house.guard, x.caller, Action.INSPECT, record.upload)  # who may only read disturbs nobody
        if takes_over or record.upload.phase is Phase.FINISHING:
            record = await self._current(record, takes_over=takes_over)
        if record.upload.phase is Phase.FINISHING:  # a final upload: its client was told 201 and wants to see it
            await asyncio.wait({self._house.assembler.start(upload_id)}, timeout=turns.PATIENCE)
            record = await self._house.state.get(upload_id) or record
        return record

    async def terminate(self, command: Terminate, x: Exchange) -> Reply:
        """Delete an upload for its client."""
        await self._known(command.upload_id, x, Action.TERMINATE)
        await self.end(command.upload_id)
        return x.dialect.terminated()

    async def end(self, upload_id: str) -> None:
        """Delete an upload: a transfer under way is ended, the data are freed, the URL answers 410 from now on. The
        caller has asked the guard. Raises Refused, and Declined: also when the upload is over already."""
        house = self._house
        async with turn(house, upload_id, Intent.DELETE):
            try:
                upload = await self._terminated(upload_id)
            except StateFull:
                # a disk full to its last block takes no commit either: the unwanted data make the room for it
                await in_thread(house.store.discard, upload_id, published=True)
                upload = await self._terminated(upload_id)
            await in_thread(house.store.discard, upload_id, published=True)
        house.events.publish(Event("terminated", upload_id, house.pace.clock(), {"offset": upload.offset}))
        if upload.concat is Concat.PARTIAL:
            await house.assembler.part_changed(upload_id)

    async def _terminated(self, upload_id: str) -> Upload:
        """Commit that it is over."""
        house = self._house
        held = await house.state.lease(upload_id)
        if held is None:
            raise Refused(not_found(upload_id))
        record, lease = held
        with about(record.upload):
            if record.upload.phase in (Phase.TERMINATED, Phase.EXPIRED):
                raise Refused(gone(record.upload))
        now = house.pace.clock()
        upload = advance(record.upload, Phase.TERMINATED, expires_at=now)
        await house.state.save(replace(record, upload=upload, updated_at=now), lease)
        return upload

    async def _current(self, record: Record, *, takes_over: bool) -> Record:
        """The record, as fresh as the request may have it."""
        house, upload_id = self._house, record.upload.id
        if record.upload.phase is not Phase.FINISHING:
            if takes_over and house.claims.busy(upload_id):
                async with turn(house, upload_id, Intent.LOOK):
                    return await house.state.get(upload_id) or record
            holder = house.claims.holder(upload_id)
            if holder is not None and holder.checkpoint is not None:
                await holder.checkpoint()
            record = await house.state.get(upload_id) or record
        if record.upload.phase is Phase.FINISHING:
            return await self.publisher.settled(record)
        return record

    async def _known(self, upload_id: str, x: Exchange, action: Action) -> Record:
        house = self._house
        record = await house.state.get(upload_id)
        if record is None:
            raise Refused(not_found(upload_id))
        await ask(house.guard, x.caller, action, record.upload)
        return record

    def _still_wanted(self, claim: Claim) -> None:
        if claim.superseded:
            raise Refused(superseded())

    async def _answered(self, reply: Reply, record: Record) -> Reply:
        wanted = await self._house.finisher.wanted(record)
        if wanted is None:
            return reply
        return replace(reply, headers=(*reply.headers, ("Repr-Digest", format_digests(wanted))))


def _with_digests(record: Record, command: Append) -> Record:
    """The record with the digests of the whole that an append says, if it says any."""
    if command.repr_digests is None and not command.want_repr_digests:
        return record
    return replace(
        record,
        repr_digests=command.repr_digests or record.repr_digests,
        want_repr_digests=command.want_repr_digests or record.want_repr_digests,
    )
