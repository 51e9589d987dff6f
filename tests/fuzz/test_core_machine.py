"""Whole lives of uploads against the protocol core, beside a plain model: a few numbers that a client could keep.

Clients of both protocols work on the same uploads: they append at right and wrong offsets, bring too much, break off,
repeat what they sent, look, delete. Whatever the order: an offset that was told never goes back, what is told is what
was stored, a length never changes, an end is an end, and the offset that a HEAD tells is taken by the next request.
"""

from dataclasses import dataclass
from typing import Any, Final

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Limits, Phase, Reply
from ferryman_protocol.structured_fields import boolean_field, integer_field
from tests.fuzz.budget import ROUND, patience, rounds, share
from tests.fuzz.checks import check_fields, check_problem, fields_of
from tests.fuzz.shelf import Body, Shelf

VERSIONS: Final = (None, "3", "4", "5", "6", "7", "8", "9", "10")  # None: tus
SHARE: Final = 10


@dataclass(kw_only=True)
class Known:
    """What one upload is known to be: what was sent, and what was told about it."""

    stored: int = 0  # bytes
    told: int = 0
    length: int | None = None
    ietf: bool  # the IETF protocol made it: its length alone does not complete it (R3), as a tus client might think
    complete: bool = False
    ended: bool = False  # deleted, expired or overrun


bodies = st.builds(
    lambda size, missing, chunked: Body(size=size, arrives=max(0, size - missing), chunked=chunked),
    size=st.integers(0, 8),
    missing=st.sampled_from([0, 0, 0, 1, 3]),
    chunked=st.booleans(),
)
lengths = st.none() | st.integers(0, 12)
sizes = st.none() | st.integers(1, 12)


def spoken(version: str | None, *, last: bool, content: bool) -> dict[str, str]:
    """The fields that name the protocol, and say whether the body ends the upload."""
    if version is None:
        return {"tus-resumable": "1.0.0"} | ({"content-type": "application/offset+octet-stream"} if content else {})
    said = {"upload-draft-interop-version": version}
    if content:
        said["content-type"] = "application/partial-upload"
        name, value = ("upload-incomplete", not last) if version == "3" else ("upload-complete", last)
        said[name] = "?1" if value else "?0"
    return said


class Uploads(RuleBasedStateMachine):
    """The machine; `ids` are the URLs that clients were told."""

    ids: Bundle[str] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf(limits=Limits())
        self.known: dict[str, Known] = {}

    @initialize(limits=st.builds(Limits, max_size=sizes, max_append_size=sizes, max_age=sizes))
    def begin(self, limits: Limits) -> None:
        """Every life has limits of its own."""
        self.shelf.limits = limits

    @rule(target=ids, version=st.sampled_from(VERSIONS), length=lengths, last=st.booleans(), body=bodies)
    def create(self, version: str | None, length: int | None, last: bool, body: Body) -> Any:
        """A new upload, with or without its first bytes."""
        fields = spoken(version, last=last, content=True)
        if length is not None:
            fields["upload-length"] = str(length)
        elif version is None:
            fields["upload-defer-length"] = "1"
        before = set(self.shelf.uploads)
        self.shelf.announced = None
        reply = self.shelf.ask("POST", None, fields, body)
        headers = self.judged(reply)
        told = reply.status == 201 or self.shelf.announced is not None
        new = set(self.shelf.uploads) - before
        if not new or not told:
            return multiple()
        (upload_id,) = new
        upload = self.shelf.uploads[upload_id]
        known = self.known[upload_id] = Known(stored=upload.offset, length=upload.length, ietf=version is not None)
        if reply.status == 201:
            assert headers.joined("location") == f"/files/{upload_id}"
            assert upload.offset == body.size
            self.learn(known, headers, whole=upload.phase is Phase.COMPLETE)
        known.ended = upload.phase is Phase.INVALID
        return upload_id

    @rule(
        upload_id=ids,
        version=st.sampled_from(VERSIONS),
        beside=st.sampled_from([0, 0, 0, 0, 1, -1, 5]),
        length=st.sampled_from([None, None, None, 4, 8]),
        last=st.booleans(),
        body=bodies,
    )
    def append(
        self, upload_id: str, version: str | None, beside: int, length: int | None, last: bool, body: Body
    ) -> None:
        """Bytes at the right place, or beside it."""
        known = self.known[upload_id]
        offset = max(0, known.stored + beside)
        fields = spoken(version, last=last, content=True) | {"upload-offset": str(offset)}
        if length is not None:
            fields["upload-length"] = str(length)
        waiting = self.shelf.uploads[upload_id].phase is Phase.FINISHING
        reply = self.shelf.ask("PATCH", upload_id, fields, body)
        headers = self.judged(reply)
        after = self.shelf.uploads[upload_id]
        if known.ended:
            assert reply.status == 410, reply
        elif waiting:
            assert reply.status == 503, reply
        elif offset != known.stored:
            assert reply.status == 409, reply
            assert integer_field(headers, "upload-offset") == known.stored
        elif reply.problem is None:
            assert not body.cut
            known.stored += body.size
            self.learn(known, headers, whole=after.phase is Phase.COMPLETE)
        else:
            assert reply.status in (400, 409, 413), reply
            known.ended = after.phase is Phase.INVALID
            assert known.stored <= after.offset <= known.stored + body.arrives
            assert after.phase in (Phase.RECEIVING, Phase.EMPTY, Phase.INVALID) or known.complete, (
                "what failed ends nothing"
            )
            known.stored = after.offset
        if not known.ended and known.length is None:
            known.length = after.length

    @rule(upload_id=ids, version=st.sampled_from(VERSIONS))
    def look(self, upload_id: str, version: str | None) -> None:
        """HEAD tells what is stored; the next request at the offset it told is not refused for its offset."""
        known = self.known[upload_id]
        waiting = self.shelf.uploads[upload_id].phase is Phase.FINISHING
        reply = self.shelf.ask("HEAD", upload_id, spoken(version, last=False, content=False), Body())
        headers = self.judged(reply)
        if known.ended or waiting:
            assert reply.status == (410 if known.ended else 503), reply
            return
        assert integer_field(headers, "upload-offset") == known.stored
        assert integer_field(headers, "upload-length") == known.length
        self.learn(known, headers, whole=known.complete)
        fields = spoken(version, last=False, content=True) | {"upload-offset": str(known.stored)}
        again = self.shelf.ask("PATCH", upload_id, fields, Body())
        assert again.problem is None or again.problem.kind.code != "mismatching-upload-offset", "R16"

    @rule(upload_id=ids, version=st.sampled_from(VERSIONS))
    def delete(self, upload_id: str, version: str | None) -> None:
        """DELETE works once, and also on what became invalid."""
        before = self.shelf.uploads[upload_id].phase
        reply = self.shelf.ask("DELETE", upload_id, spoken(version, last=False, content=False), Body())
        self.judged(reply)
        assert reply.status == (410 if before in (Phase.TERMINATED, Phase.EXPIRED) else 204)
        self.known[upload_id].ended = True

    @rule(upload_id=ids)
    def expire(self, upload_id: str) -> None:
        """Its time is over, if it is not finished."""
        self.shelf.expire(upload_id)
        if self.shelf.uploads[upload_id].phase is Phase.EXPIRED:
            self.known[upload_id].ended = True

    @rule(publishes=st.booleans())
    def store_comes_and_goes(self, publishes: bool) -> None:
        """Publishing works, or takes its time."""
        self.shelf.publishes = publishes
        if publishes:
            self.shelf.publish()

    @invariant()
    def the_model_agrees(self) -> None:
        """Offsets, lengths and ends are what the client knows, and within the limits."""
        for upload_id, known in self.known.items():
            upload = self.shelf.uploads[upload_id]
            if upload.phase is Phase.COMPLETE:
                known.complete = True
                known.length = upload.length
            assert known.told <= upload.offset, "what was told is stored"
            assert known.stored == upload.offset
            assert upload.length is None or upload.offset <= upload.length
            assert known.length is None or upload.length == known.length, "a length never changes"
            assert self.shelf.limits.max_size is None or upload.offset <= self.shelf.limits.max_size
            if known.complete and not known.ended:
                assert upload.phase is Phase.COMPLETE, "what is complete stays complete"
                assert upload.offset == upload.length

    def judged(self, reply: Reply) -> Headers:
        """The answer's fields, well-formed."""
        check_fields(reply.headers)
        if reply.problem is not None:
            check_problem(reply)
        return fields_of(reply)

    def learn(self, known: Known, headers: Headers, *, whole: bool) -> None:
        """Take in what an answer tells: never less than before, and complete only what is."""
        offset = integer_field(headers, "upload-offset")
        if offset is not None:
            assert offset >= known.told, "an offset went back"
            assert offset == known.stored
            known.told = offset
        length = integer_field(headers, "upload-length")
        if length is not None and known.length is not None:
            assert length == known.length
        complete = boolean_field(headers, "upload-complete")
        incomplete = boolean_field(headers, "upload-incomplete")
        if complete is not None or incomplete is not None:
            assert (complete is True or incomplete is False) is whole, "complete was told"
        if offset is not None and offset == length and "tus-resumable" in headers and not known.ietf:
            assert whole, "offset = length is complete to a tus client"


@patience(share(SHARE))
def test_every_life_of_an_upload_agrees_with_the_model() -> None:
    """Any sequence of requests leaves uploads as a client's own bookkeeping says, for as long as the time lasts."""
    lives = settings(ROUND, max_examples=50, stateful_step_count=20)
    for number in rounds(share(SHARE)):
        run_state_machine_as_test(seed(number)(Uploads), settings=lives)
