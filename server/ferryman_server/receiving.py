"""Receiving a body into an upload, up to its completion, and what each way of going wrong means for the upload."""

from dataclasses import replace
from functools import partial

from ferryman_protocol import problems
from ferryman_protocol.commands import Admission, Content
from ferryman_protocol.model import Phase
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.refusals import overrun, short_of_length
from ferryman_protocol.transitions import advance
from ferryman_protocol.tus1_read import read_trailer_checksum
from ferryman_server.auth import Action, ask
from ferryman_server.body import Body, End
from ferryman_server.claims import Claim
from ferryman_server.decoding import TooLarge
from ferryman_server.digests import Verifier
from ferryman_server.events import Event
from ferryman_server.house import Exchange, House
from ferryman_server.intake import Intake
from ferryman_server.publishing import publish, tell_finals
from ferryman_server.refusals import Declined, about, ended, problem_of
from ferryman_server.state.base import Lease, Record
from ferryman_server.storage.base import Settles
from ferryman_server.transfer import Transfer


class Receiver:
    """Takes bodies in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._settles = house.store if isinstance(house.store, Settles) else None

    async def receive(
        self, record: Record, lease: Lease, claim: Claim, admission: Admission, content: Content, x: Exchange
    ) -> Record:
        """Take the exchange's body into the upload. Returns the record as committed, COMPLETE when it was completed;
        raises Declined with the upload as committed."""
        house = self._house

        async def committed(record: Record) -> None:
            upload = record.upload
            if transfer.archive is False:
                house.indexer.begun(record, archive=False)
            data = {"offset": upload.offset, "length": upload.length}
            house.events.publish(Event("progress", upload.id, record.updated_at, data, record))
            if upload.phase is Phase.COMPLETE:
                house.events.publish(Event("complete", upload.id, record.updated_at, {"length": upload.offset}, record))
                house.mover.move_later(upload.id, upload.offset)
            interim = x.dialect.progressed(upload)
            if interim is not None and upload.phase is Phase.RECEIVING:
                x.inform(interim)

        async def check(intake: Intake, body: Body) -> None:
            check_digests(intake.verifier, content, body)
            if admission.completes or (admission.finishes_at_length and intake.reach == admission.length):
                await ask(house.guard, x.caller, Action.FINISH, transfer.record.upload)

        transfer = Transfer(
            record=record,
            lease=lease,
            claim=claim,
            admission=admission,
            content=content,
            state=house.state,
            store=house.store,
            metrics=house.metrics,
            pace=house.pace,
            on_commit=committed,
            settles=self._settles,
            archive=house.indexer.follows(record.upload.id),
            on_archive=partial(house.indexer.begun, record, archive=True) if house.indexer.wants(record) else None,
        )
        try:
            with house.metrics.transfers_in_flight.track_inprogress():
                end = await transfer.run(x.body, check)
            if end is not End.COMPLETE:
                raise Refused(ended(end))
            return await self._concluded(transfer.record, lease, admission)
        except TooLarge as too_large:
            record = transfer.record
            if admission.overrun_invalidates:
                record = await self.invalidate(record, lease)
            raise Declined(overrun(admission.overrun, room=admission.room or 0), record.upload) from too_large
        except Exception as failure:
            foreseen = problem_of(failure)
            if foreseen is None:
                raise
            raise Declined(foreseen, transfer.record.upload) from failure
        finally:
            house.metrics.received_bytes.labels(x.dialect.name).inc(x.body.received)

    async def receive_nothing(self, record: Record, admission: Admission, content: Content, x: Exchange) -> None:
        """A repeated request on a complete upload may bring no byte. Raises Declined when it does, or breaks off."""
        if content.length == 0:
            return
        with about(record.upload):
            try:
                end = await x.body.pour(_Nothing())
            except TooLarge as too_large:
                raise Refused(overrun(admission.overrun, room=0)) from too_large
            if end is not End.COMPLETE:
                raise Refused(ended(end))

    async def _concluded(self, record: Record, lease: Lease, admission: Admission) -> Record:
        upload = record.upload
        if upload.phase is Phase.FINISHING:
            return await publish(self._house, record, lease)
        if upload.phase is Phase.COMPLETE:
            await tell_finals(self._house, upload)
            return record
        if admission.completes:
            raise Refused(short_of_length(offset=upload.offset, length=upload.length or 0))
        return record

    async def invalidate(self, record: Record, lease: Lease) -> Record:
        """RUFH R6: an upload that was sent more bytes than its length is dead; its bytes stay until it expires."""
        invalid = replace(record, upload=advance(record.upload, Phase.INVALID), updated_at=self._house.pace.clock())
        await self._house.state.save(invalid, lease)
        return invalid


class _Nothing:
    """The sink of a body that must be empty."""

    offset = 0

    def write(self, piece: memoryview) -> None:
        """Refuse the first byte."""
        if len(piece):
            raise TooLarge("the upload is complete, it takes no more bytes")


def check_digests(verifier: Verifier | None, content: Content, body: Body) -> None:
    """Compare the digests of a body that was taken whole with what the request said. Raises Refused."""
    if verifier is None:
        return
    checksum = content.checksum
    if checksum is not None and checksum.digest is None:
        checksum = read_trailer_checksum(body.trailers)
        verifier.expect(checksum)
    wrong = verifier.mismatch()
    if wrong is None:
        return
    if checksum is not None:
        detail = f"the {wrong} of the body differs from the one in Upload-Checksum; nothing of it was stored"
        raise Refused(Problem(kind=problems.CHECKSUM_MISMATCH, detail=detail))
    detail = f"the {wrong} digest of the body differs from the one in Content-Digest; nothing of it was stored"
    raise Refused(Problem(kind=problems.CONTENT_DIGEST_MISMATCH, detail=detail))
