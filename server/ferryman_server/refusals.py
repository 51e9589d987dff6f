"""From what went wrong inside to what the client is told: one mapping, used in one place.

Store, state and decoder raise exceptions of their own; the client gets a row of the catalogue. Texts of operating
system errors stay in the logs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem, Refused
from ferryman_server.body import End
from ferryman_server.decoding import Corrupt, DecodingError, Truncated, WindowTooLarge
from ferryman_server.state.base import Fenced, StateError
from ferryman_server.storage.base import StoreError, StoreFull


class Declined(Exception):
    """A refusal about an upload: the problem, and the upload as committed (its offset may have to be told)."""

    def __init__(self, problem: Problem, upload: Upload | None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.upload = upload


@contextmanager
def about(upload: Upload) -> Iterator[None]:
    """Say of every refusal raised inside which upload it is about."""
    try:
        yield
    except Refused as refused:
        raise Declined(refused.problem, upload) from refused


def problem_of(failure: Exception) -> Problem | None:
    """The catalogue's row for an exception; None when it was not foreseen (a bug: 500, its trace in the log)."""
    match failure:
        case Refused():
            return failure.problem
        case Declined():
            return failure.problem
        case Truncated():
            kind = problems.TRUNCATED_ENCODING
        case WindowTooLarge():
            kind = problems.WINDOW_TOO_LARGE
        case Corrupt() | DecodingError():
            kind = problems.CORRUPT_ENCODING
        case StoreFull():
            return Problem(kind=problems.STORAGE_FULL, detail="the server has no room left for these bytes")
        case StoreError() | StateError():
            return Problem(
                kind=problems.STORAGE_UNAVAILABLE,
                detail="the server could not make the bytes durable; what it confirmed before is safe",
                headers=(("Retry-After", "5"),),
            )
        case Fenced():
            return superseded()
        case _:
            return None
    return Problem(kind=kind, detail=str(failure))


def superseded() -> Problem:
    """A newer request has taken the upload over."""
    return Problem(
        kind=problems.SUPERSEDED, detail="a newer request for this upload arrived and took over; this one was ended"
    )


def ended(end: End) -> Problem:
    """What a request is told whose body did not come to its end."""
    match end:
        case End.STALLED:
            return Problem(kind=problems.BODY_STALLED, detail="no byte of the body arrived for too long")
        case End.SHUTDOWN:
            return Problem(
                kind=problems.SHUTTING_DOWN,
                detail="the server is stopping; what an upload had received is kept",
                headers=(("Retry-After", "5"),),
            )
        case End.DISCONNECTED:
            return Problem(kind=problems.DISCONNECTED, detail="the connection ended before the body did")
        case _:
            return superseded()
