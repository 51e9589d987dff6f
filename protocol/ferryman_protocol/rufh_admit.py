"""Resumable Uploads for HTTP: may this transfer begin, and how many bytes may it bring?

The length of an upload can be indicated in several ways (R4): `Upload-Length`, the record of an earlier request, and
the end of a request that says `Upload-Complete: ?1` and has a Content-Length. They must all agree. An upload is
complete only by `?1` (R3); offset = length alone completes it only where tus made the upload, whose rule that is.
"""

from ferryman_protocol import problems
from ferryman_protocol.admission import (
    Room,
    refuse_long_upload,
    refuse_other_offset,
    refuse_unappendable,
    tightest,
)
from ferryman_protocol.commands import Admission, Append, Create
from ferryman_protocol.model import Limits, Phase, Upload
from ferryman_protocol.problems import Overrun, Refused
from ferryman_protocol.refusals import inconsistent_length, overrun, refusal, unsupported_coding


def admit_create(command: Create, limits: Limits) -> Admission:
    """Admit a creation and what its body brings; raises Refused."""
    size = 0 if command.content is None else command.content.length
    end = size if command.completes else None
    length = _agreed(said=command.length, recorded=None, end=end)
    _refuse_beyond(length, size)
    refuse_long_upload(length, limits)
    if not command.completes and length is not None and length < limits.min_size:
        detail = f"Resumable uploads are for files of at least {limits.min_size} bytes; this one has {length}."
        raise refusal(problems.BELOW_MIN_SIZE, detail)
    _refuse_short_append(size, limits, exempt=command.completes or size == 0)
    room = _room(offset=0, length=length, limits=limits)
    _refuse_beyond_room(size, room)
    return _admission(length=length, room=room, completes=command.completes, finishes_at_length=False)


def admit_append(command: Append, upload: Upload, limits: Limits) -> Admission:
    """Admit an append to the upload as committed; raises Refused, or Overrun where the upload must become invalid."""
    refuse_unappendable(upload)
    coding = command.content_encoding
    if coding is not None and coding != upload.content_encoding:
        recorded = upload.content_encoding or "no coding"
        raise unsupported_coding(f"The upload was created with {recorded}; an append cannot have {coding}.")
    refuse_other_offset(command.offset, upload)
    if upload.phase is Phase.COMPLETE:
        return _replay(command, upload)
    size = command.content.length
    end = upload.offset + size if command.completes and size is not None else None
    length = _agreed(said=command.length, recorded=upload.length, end=end)
    if length is not None and length < upload.offset:
        detail = f"Upload-Length says {length} bytes, but {upload.offset} are stored already."
        raise Refused(inconsistent_length(detail))
    if upload.length is None:
        _refuse_beyond(length, None if size is None else upload.offset + size)
        refuse_long_upload(length, limits)
    _refuse_short_append(size, limits, exempt=command.completes)
    room = _room(offset=upload.offset, length=length, limits=limits)
    _refuse_beyond_room(size, room)
    return _admission(length=length, room=room, completes=command.completes, finishes_at_length=upload.dialect == "tus")


def _agreed(*, said: int | None, recorded: int | None, end: int | None) -> int | None:
    """The one length that every indication gives, None when there is none; raises Refused (400)."""
    indications = [
        (name, length)
        for name, length in (
            ("the recorded length", recorded),
            ("Upload-Length", said),
            ("the end of this content", end),
        )
        if length is not None
    ]
    if len({length for _, length in indications}) > 1:
        words = ", ".join(f"{name} is {length}" for name, length in indications)
        raise Refused(inconsistent_length(f"The lengths differ: {words} (bytes)."))
    return indications[0][1] if indications else None


def _refuse_beyond(length: int | None, end: int | None) -> None:
    """Refuse a request whose own content goes beyond the length it states itself."""
    if length is not None and end is not None and end > length:
        detail = f"Upload-Length says {length} bytes, but this content alone reaches byte {end}."
        raise Refused(inconsistent_length(detail))


def _refuse_short_append(size: int | None, limits: Limits, *, exempt: bool) -> None:
    # Draft, limits: min-append-size "does not apply to upload creation requests with no content, or to requests
    # completing the upload".
    if exempt or size is None or limits.min_append_size is None or size >= limits.min_append_size:
        return
    detail = f"The content has {size} bytes, one request must bring at least {limits.min_append_size}."
    raise refusal(problems.BELOW_MIN_APPEND_SIZE, detail)


def _room(*, offset: int, length: int | None, limits: Limits) -> Room:
    return tightest(
        offset=offset,
        length=length,
        limits=limits,
        beyond_length=problems.OVERRUN,
        append_limit=limits.max_append_size,
    )


def _refuse_beyond_room(size: int | None, room: Room) -> None:
    if size is None or room.bytes is None or size <= room.bytes:
        return
    problem = overrun(room.overrun, room=room.bytes)
    # Draft, append: "marking the upload resource invalid and rejecting any further interaction with it".
    raise Overrun(problem) if room.overrun is problems.OVERRUN else Refused(problem)


def _admission(*, length: int | None, room: Room, completes: bool, finishes_at_length: bool) -> Admission:
    return Admission(
        room=room.bytes,
        length=length,
        finishes_at_length=finishes_at_length,
        completes=completes,
        overrun_invalidates=room.bytes is not None and room.overrun is problems.OVERRUN,
        overrun=room.overrun,
    )


def _replay(command: Append, upload: Upload) -> Admission:
    """Admit the repetition of the append that completed the upload, its answer having been lost (R21)."""
    if not command.completes or command.content.length not in (0, None):
        raise refusal(problems.COMPLETED_UPLOAD, f"The upload {upload.id} is complete with {upload.offset} bytes.")
    _agreed(said=command.length, recorded=upload.length, end=None)
    return Admission(
        room=0,
        length=upload.length,
        finishes_at_length=False,
        completes=True,
        overrun_invalidates=False,
        overrun=problems.COMPLETED_UPLOAD,
    )
