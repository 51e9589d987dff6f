"""Refusals that both protocols share, made from the catalogue's rows with the words that fit the case.

Functions called `refuse…` or returning :class:`Refused` are for `raise`; those returning :class:`Problem` are also for
the server, which meets the same cases while it moves bytes.
"""

from collections.abc import Iterable

from ferryman_protocol import problems
from ferryman_protocol.model import Phase, Upload
from ferryman_protocol.problems import Kind, Problem, Refused, Scalar

RETRY_SOON = (("Retry-After", "1"),)  # seconds; publishing is a rename or one request to the store
ACCEPT_ENCODING = ("Accept-Encoding", "gzip, zstd")
_SHOWN = 60  # characters of a client's value that a detail repeats


def refusal(
    kind: Kind,
    detail: str,
    *,
    members: Iterable[tuple[str, Scalar]] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> Refused:
    """The exception to raise for a refusal of this kind."""
    return Refused(Problem(kind=kind, detail=detail, members=tuple(members), headers=tuple(headers)))


def quoted(value: str) -> str:
    """A client's value for use in a detail: printable and short."""
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"


def method_not_allowed(method: str, allowed: tuple[str, ...]) -> Refused:
    """405 with Allow (RFC 9110 §15.5.6)."""
    allow = ", ".join(allowed)
    detail = f"{quoted(method)} cannot be used here; {allow} can."
    return refusal(problems.METHOD_NOT_ALLOWED, detail, headers=[("Allow", allow)])


def not_found(upload_id: str) -> Problem:
    """404: no upload has this id, or it is no id at all."""
    return Problem(kind=problems.NOT_FOUND, detail=f"No upload has the id {quoted(upload_id)}.")


def gone(upload: Upload) -> Problem:
    """410: the upload expired or was deleted; anything it held is freed."""
    why = "was not continued in time and has expired" if upload.phase is Phase.EXPIRED else "was deleted"
    return Problem(kind=problems.GONE, detail=f"The upload {upload.id} {why}.")


def unusable(upload: Upload) -> Problem | None:
    """Why no request but DELETE may use this upload any more, or None when it may be used."""
    match upload.phase:
        case Phase.EXPIRED | Phase.TERMINATED:
            return gone(upload)
        case Phase.FAILED:
            reason = upload.reason or "no reason was recorded"
            return Problem(kind=problems.UPLOAD_FAILED, detail=f"The upload {upload.id} failed: {reason}")
        case Phase.INVALID:
            detail = f"The upload {upload.id} was sent more bytes than its length of {upload.length}."
            return Problem(kind=problems.UPLOAD_INVALID, detail=detail)
        case _:
            return None


def finishing(upload: Upload) -> Problem:
    """503 with Retry-After: all bytes are there, publishing them is under way."""
    detail = f"The upload {upload.id} is being finished; its state will be known in a moment."
    return Problem(kind=problems.FINISHING, detail=detail, headers=RETRY_SOON)


def mismatching_offset(*, expected: int, provided: int) -> Problem:
    """409 with both offsets as members, as the IETF draft's problem type has them."""
    return Problem(
        kind=problems.MISMATCHING_UPLOAD_OFFSET,
        detail=f"The request starts at byte {provided}, the upload stands at byte {expected}.",
        members=(("expected-offset", expected), ("provided-offset", provided)),
    )


def inconsistent_length(detail: str) -> Problem:
    """400: two statements about the length contradict each other (R4)."""
    return Problem(kind=problems.INCONSISTENT_UPLOAD_LENGTH, detail=detail)


def short_of_length(*, offset: int, length: int) -> Problem:
    """400 for a chunked body that said it ends the upload and ended before the known length (R4, draft -12)."""
    return inconsistent_length(f"The content ended the upload at byte {offset}, but its length is {length} bytes.")


def overrun(kind: Kind, *, room: int) -> Problem:
    """The refusal for more bytes than an :class:`Admission`'s room; `kind` is its `overrun`."""
    return Problem(kind=kind, detail=f"At this point the upload takes at most {room} bytes more.")


def unsupported_coding(detail: str) -> Refused:
    """415 caused by a coding: carries Accept-Encoding (RFC 9110 §12.5.3)."""
    return refusal(problems.UNSUPPORTED_CODING, detail, headers=[ACCEPT_ENCODING])
