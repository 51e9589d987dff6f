"""One request through the protocol core, as the server takes it there: recognise, read, admit, answer.

The bytes of the body are taken as stored when they were admitted, so that the answer to a success is made as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.commands import Admission, Append, Command, Create, Describe, Fetch, Inspect, Terminate
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.model import Concat, Interim, Phase, Reply, Upload
from ferryman_protocol.negotiate import described, fallback, recognise
from ferryman_protocol.problems import Overrun, Problem, Refused
from ferryman_protocol.refusals import not_found, short_of_length
from ferryman_protocol.transitions import advance
from tests.fuzz.request_text import UPLOAD_ID, Situation

NOW: Final = 1_700_000_000.0  # seconds since the epoch
LOCATION: Final = f"/files/{UPLOAD_ID}"
_CHUNKED: Final = 7  # bytes that a body of unknown length turns out to have


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """Everything that came out; equal for equal situations."""

    dialect: Dialect
    reply: Reply
    command: Command | None = None
    admission: Admission | None = None
    after: Upload | None = None  # the upload that the answer tells about
    interims: tuple[Interim, ...] = ()
    invalidates: bool = False


def decide(situation: Situation) -> Decided:
    """Decide a request. Raises what the core raises beside Refused: that is a mistake of the core."""
    request, limits = situation.request, situation.limits
    dialect = fallback(request)
    command: Command | None = None
    admission: Admission | None = None
    after = situation.upload
    try:
        dialect = recognise(request, limits)
        if request.upload_id is not None and not is_id(request.upload_id) and request.method != "OPTIONS":
            raise Refused(not_found(request.upload_id))
        command = dialect.read(request, limits)
        if isinstance(command, Create):
            admission = dialect.admit_create(command, limits)
            after = _created(command, admission, dialect)
        elif not isinstance(command, Describe) and after is None:
            raise Refused(not_found(command.upload_id))
        elif isinstance(command, Append) and after is not None:
            admission = dialect.admit_append(command, after, limits)
            after = _stored(after, command, admission, offset=after.offset)
        reply, interims = _answer(situation, dialect, command, after)
    except Refused as refused:
        reply = dialect.refused(refused.problem, upload=after, limits=limits, now=NOW)
        return Decided(
            dialect=dialect, reply=reply, command=command, admission=admission, after=after,
            invalidates=isinstance(refused, Overrun),
        )  # fmt: skip
    return Decided(dialect=dialect, reply=reply, command=command, admission=admission, after=after, interims=interims)


def _answer(
    situation: Situation, dialect: Dialect, command: Command, upload: Upload | None
) -> tuple[Reply, tuple[Interim, ...]]:
    limits = situation.limits
    match command, upload:
        case Describe(), _:
            return described(limits, upload=command.upload_id is not None), ()
        case Create(), Upload():
            interims = (
                dialect.announced(upload, location=LOCATION, limits=limits, now=NOW),
                dialect.progressed(upload),
            )
            carried = command.content is not None
            reply = dialect.created(upload, location=LOCATION, limits=limits, now=NOW, carried=carried)
            return reply, tuple(interim for interim in interims if interim is not None)
        case Append(), Upload():
            interim = dialect.progressed(upload)
            reply = dialect.appended(upload, location=LOCATION, limits=limits, now=NOW)
            return reply, () if interim is None else (interim,)
        case ((Inspect() | Fetch()), Upload()):
            return dialect.inspected(upload, limits=limits, now=NOW), ()
        case Terminate(), Upload():
            return dialect.terminated(), ()
        case _:
            raise AssertionError(f"{command} with {upload} has no answer")


def _created(command: Create, admission: Admission, dialect: Dialect) -> Upload:
    upload = Upload(
        id=UPLOAD_ID,
        phase=Phase.WAITING if command.concat is Concat.FINAL else Phase.EMPTY,
        length=admission.length,
        dialect=dialect.name,
        metadata=command.metadata,
        concat=command.concat,
        concat_echo=command.concat_echo,
        parts=command.parts,
        content_type=command.content_type,
        content_encoding=command.content_encoding,
        filename=command.filename,
        expires_at=NOW + 3600,
    )
    return upload if upload.phase is Phase.WAITING else _stored(upload, command, admission, offset=0)


def _stored(upload: Upload, command: Create | Append, admission: Admission, *, offset: int) -> Upload:
    """The upload after the body, as far as the admission lets it in; raises Refused for one that ends short of it."""
    if upload.phase is Phase.COMPLETE:
        return upload
    size = 0 if command.content is None else command.content.length
    if size is None or (command.content is not None and command.content.coding != "identity"):
        size = _CHUNKED if admission.room is None else min(_CHUNKED, admission.room)
    end = offset + size
    length = admission.length
    if admission.completes:
        if length is not None and end != length:
            raise Refused(short_of_length(offset=end, length=length))
        length = end
    moved = advance(upload, _phase(upload, end), offset=end, length=length)
    if admission.completes or (admission.finishes_at_length and end == length):
        moved = advance(advance(moved, Phase.FINISHING), Phase.COMPLETE)
    return moved


def _phase(upload: Upload, end: int) -> Phase:
    return Phase.RECEIVING if end > upload.offset else upload.phase


def verdicts(upload: Upload | None) -> tuple[Problem, ...]:
    """Every refusal of the catalogue, as the server may meet it while the bytes of this upload move."""
    about = "an upload" if upload is None else upload.id
    return tuple(
        Problem(kind=kind, detail=f"met while the bytes of {about} moved") for kind in problems.CATALOGUE.values()
    )


def reordered(situation: Situation) -> tuple[Situation, ...]:
    """The same situation with the fields of different names in other orders; lines of one name keep theirs."""
    names = sorted({name for name, _ in situation.request.headers})
    return tuple(_in_order(situation, order) for order in (names, names[::-1]))


def _in_order(situation: Situation, names: Sequence[str]) -> Situation:
    headers = situation.request.headers
    fields = tuple((name, value) for name in names for value in headers.all(name))
    return replace(situation, request=replace(situation.request, headers=Headers(fields)))
