"""Requests of both protocols through the whole core: commands, admissions, answers, refusals."""

from dataclasses import replace

from ferryman_protocol.headers import Headers
from ferryman_protocol.negotiate import fallback
from ferryman_protocol.problems import Refused
from ferryman_protocol.tus1_read import read_trailer_checksum
from tests.fuzz import checks
from tests.fuzz.deciding import NOW, decide, reordered, verdicts
from tests.fuzz.request_text import Situation, read


def check_situation(situation: Situation) -> None:
    """A request has one answer, which is well-formed, whatever order its fields came in and whatever else is in it."""
    decided = decide(situation)
    checks.check_decided(decided)
    assert decide(situation) == decided, "the same input was answered differently"
    for other in reordered(situation):
        assert decide(other) == decided, "the order of different fields made a difference"
    assert decide(_with(situation, "x-unknown", "\xff")) == decided, "an unknown field made a difference"


def check_verdicts(situation: Situation) -> None:
    """Whatever the server meets while the bytes move can be told in the dialect of the request."""
    dialect = fallback(situation.request)
    for problem in verdicts(situation.upload):
        reply = dialect.refused(problem, upload=situation.upload, limits=situation.limits, now=NOW)
        checks.check_fields(reply.headers)
        assert reply.status == problem.kind.status


def check_tus(data: bytes) -> None:
    """A request made one of tus, so that more than its version is read; its fields as trailers too."""
    situation = read(data)
    check_situation(_with(situation, "tus-resumable", "1.0.0", once=True))
    try:
        read_trailer_checksum(tuple(situation.request.headers))
    except Refused as refused:
        checks.check_words(refused.problem)


def check_rufh(data: bytes) -> None:
    """A request made one of the IETF protocol."""
    situation = read(data)
    fields = [field for field in situation.request.headers if field[0] != "tus-resumable"]
    bare = replace(situation, request=replace(situation.request, headers=Headers(tuple(fields))))
    check_situation(_with(bare, "upload-draft-interop-version", "8", once=True))


def _with(situation: Situation, name: str, value: str, *, once: bool = False) -> Situation:
    headers = situation.request.headers
    if once and name in headers:
        return situation
    return replace(situation, request=replace(situation.request, headers=Headers((*headers, (name, value)))))
