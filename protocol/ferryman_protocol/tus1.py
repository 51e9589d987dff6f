"""tus 1.0.0 with all its extensions as a :class:`ferryman_protocol.dialect.Dialect`.

Reading is in :mod:`ferryman_protocol.tus1_read`; judging and answering are here. An upload is complete when its offset
reaches its length (0 bytes: at its creation), whichever protocol created it.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ferryman_protocol import problems, tus1_read
from ferryman_protocol.admission import (
    refuse_long_upload,
    refuse_other_offset,
    refuse_unappendable,
    stated_size,
    tightest,
    told_offset,
)
from ferryman_protocol.commands import Admission, Append, Command, Content, Create
from ferryman_protocol.field_values import http_date
from ferryman_protocol.limit_fields import UNFINISHED
from ferryman_protocol.model import TUS_VERSION, Concat, Interim, Limits, Phase, Reply, Request, Upload
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.refusals import (
    ACCEPT_ENCODING,
    finishing,
    inconsistent_length,
    overrun,
    unsupported_coding,
    unusable,
)

Field: TypeAlias = tuple[str, str]
_RESUMABLE: Field = ("Tus-Resumable", TUS_VERSION)


@dataclass(frozen=True, slots=True)
class Tus1:
    """The protocol in its only version."""

    @property
    def name(self) -> Literal["tus"]:
        """The protocol's name, as uploads record it."""
        return "tus"

    @property
    def interop(self) -> None:
        """tus has no interop version, and no 104."""
        return

    def read(self, request: Request, limits: Limits) -> Command:
        """Read the header fields into a command; raises Refused."""
        return tus1_read.read(request, limits)

    def admit_create(self, command: Create, limits: Limits) -> Admission:
        """How many bytes the creation's body may bring; raises Refused (413)."""
        if command.concat is Concat.FINAL:
            return _admission(0, None, problems.FINAL_UPLOAD, finishes=False)
        refuse_long_upload(command.length, limits)
        return _admit(0, command.length, command.content, limits)

    def admit_append(self, command: Append, upload: Upload, limits: Limits) -> Admission:
        """Check the append against the upload as committed; raises Refused."""
        refuse_unappendable(upload)
        if upload.content_encoding is not None and command.content.coding != "identity":
            detail = f"The upload's bytes are {upload.content_encoding} already: append them as they are."
            raise unsupported_coding(detail)
        refuse_other_offset(command.offset, upload)
        length = _length(command, upload)
        if length != upload.length:
            refuse_long_upload(length, limits)
        return _admit(upload.offset, length, command.content, limits)

    def created(self, upload: Upload, *, location: str, limits: Limits, now: float, carried: bool) -> Reply:
        """Answer a creation (201); a body's bytes are told by Upload-Offset."""
        fields = [_RESUMABLE, ("Location", location)]
        if carried:
            fields.append(("Upload-Offset", str(upload.offset)))
        return Reply(status=201, headers=(*fields, *_expires(upload), ACCEPT_ENCODING))

    def appended(self, upload: Upload, *, location: str, limits: Limits, now: float) -> Reply:
        """Answer an append whose body has been stored whole (204)."""
        return Reply(status=204, headers=(_RESUMABLE, ("Upload-Offset", str(upload.offset)), *_expires(upload)))

    def inspected(self, upload: Upload, *, limits: Limits, now: float) -> Reply:
        """Answer HEAD (200); raises Refused for an upload that is gone, failed, invalid or being finished."""
        problem = unusable(upload)
        if problem is not None:
            raise Refused(problem)
        if upload.phase is Phase.FINISHING and upload.concat is not Concat.FINAL:
            # Offset = length means "complete" to a tus client, and the bytes cannot be read yet.
            raise Refused(finishing(upload))
        fields = [_RESUMABLE, ("Cache-Control", "no-store")]
        offset = told_offset(upload)
        if offset is not None:
            fields.append(("Upload-Offset", str(offset)))
        return Reply(status=200, headers=(*fields, *_length_fields(upload), *_echoes(upload), *_expires(upload)))

    def terminated(self) -> Reply:
        """Answer a DELETE that was carried out."""
        return Reply(status=204, headers=(_RESUMABLE,))

    def refused(self, problem: Problem, *, upload: Upload | None, limits: Limits, now: float) -> Reply:
        """Turn a refusal into an answer: 412 tells the versions, 409 the offset."""
        fields = [_RESUMABLE]
        if problem.kind.status == 412:
            fields.append(("Tus-Version", TUS_VERSION))
        offset = told_offset(upload) if problem.kind.status == 409 else None
        if offset is not None:
            fields.append(("Upload-Offset", str(offset)))
        if upload is not None:
            fields += _expires(upload)
        return Reply(status=problem.kind.status, headers=(*fields, *problem.headers), problem=problem)

    def announced(self, upload: Upload, *, location: str, limits: Limits, now: float) -> Interim | None:
        """None: tus has no interim answers."""
        return None

    def progressed(self, upload: Upload) -> Interim | None:
        """None: tus has no interim answers."""
        return None


def _length(command: Append, upload: Upload) -> int | None:
    """The upload's length after this request's Upload-Length, which may settle a deferred one; raises Refused (400)."""
    said = command.length
    known = upload.offset if upload.phase is Phase.COMPLETE else upload.length
    if said is None or said == known:
        return known
    if known is not None:
        # "Once set the length MUST NOT be changed."
        raise Refused(inconsistent_length(f"Upload-Length says {said} bytes, but the upload's length is {known}."))
    end = upload.offset + (stated_size(command.content) or 0)
    if said < end:
        detail = f"Upload-Length says {said} bytes, but the upload reaches byte {end} with this request."
        raise Refused(inconsistent_length(detail))
    return said


def _admit(offset: int, length: int | None, content: Content | None, limits: Limits) -> Admission:
    room = tightest(offset=offset, length=length, limits=limits, beyond_length=problems.EXCEEDS_LENGTH)
    size = stated_size(content)
    if size is not None and room.bytes is not None and size > room.bytes:
        raise Refused(overrun(room.overrun, room=room.bytes))
    return _admission(room.bytes, length, room.overrun, finishes=True)


def _admission(room: int | None, length: int | None, kind: problems.Kind, *, finishes: bool) -> Admission:
    return Admission(
        room=room,
        length=length,
        finishes_at_length=finishes,
        completes=False,
        overrun_invalidates=False,
        overrun=kind,
    )


def _length_fields(upload: Upload) -> list[Field]:
    if upload.length is not None:
        return [("Upload-Length", str(upload.length))]
    # A final upload's length is not deferred: it will be known when its parts' lengths are.
    return [] if upload.concat is Concat.FINAL else [("Upload-Defer-Length", "1")]


def _echoes(upload: Upload) -> list[Field]:
    echoes = (("Upload-Metadata", upload.metadata), ("Upload-Concat", upload.concat_echo))
    return [(name, value) for name, value in echoes if value is not None]


def _expires(upload: Upload) -> list[Field]:
    if upload.expires_at is None or upload.phase not in UNFINISHED:
        return []
    return [("Upload-Expires", http_date(upload.expires_at))]
