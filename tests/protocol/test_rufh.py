"""Resumable Uploads for HTTP: the decision vectors, and what must hold for every request and version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.commands import Append, Content, Create
from ferryman_protocol.model import Limits, Phase, Request, Upload
from ferryman_protocol.problems import INCONSISTENT_UPLOAD_LENGTH, Overrun, Refused
from ferryman_protocol.refusals import short_of_length
from ferryman_protocol.rufh import Rufh
from ferryman_protocol.rufh_versions import NEWEST, VERSIONS
from ferryman_protocol.structured_fields import Item, parse_dictionary
from tests.protocol import decisions, requests

ID = "ferryferryferryferryferry2"
dialects = st.sampled_from([Rufh(None), *(Rufh(number) for number in VERSIONS)])
sizes = st.none() | st.integers(0, 60)


@decisions.each("rufh.json")
def test_vectors(setting: decisions.Setting, case: decisions.Json) -> None:
    """Each case is decided and answered as it says."""
    decisions.check(decisions.decide(setting, case), case["expect"])


@decisions.each("rufh.json")
def test_every_refusal_tells_completeness(setting: decisions.Setting, case: decisions.Json) -> None:
    """A client knows from ?0 or ?1 whether the refusal comes from the upload logic (R12, R18)."""
    decision = decisions.decide(setting, case)
    if decision.reply is not None and decision.reply.problem is not None:
        names = {name for name, _ in decision.reply.headers}
        assert names & {"Upload-Complete", "Upload-Incomplete"}


def test_the_versions_are_those_that_are_announced() -> None:
    """Interop 3 to 10 are spoken, the newest is what clients without a version get."""
    assert list(VERSIONS) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert Rufh(None).version is NEWEST is VERSIONS[10]
    with pytest.raises(ValueError, match="interop version 2"):
        Rufh(2)


def test_a_chunked_end_short_of_the_length_is_inconsistent() -> None:
    """The row for a ?1 body that ends before the known length, with both numbers in its words."""
    problem = short_of_length(offset=60, length=100)
    assert problem.kind is INCONSISTENT_UPLOAD_LENGTH
    assert "60" in problem.detail
    assert "100" in problem.detail


@given(dialects, requests.requests(), requests.limits)
def test_any_request_is_a_command_or_a_refusal(dialect: Rufh, request: Request, limits: Limits) -> None:
    """Reading raises nothing but Refused, and the refusal can be sent."""
    requests.read_or_refuse(dialect, request, limits)


@given(dialects, requests.uploads(), requests.limits, st.floats(0, 4e9))
def test_every_answer_can_be_sent(dialect: Rufh, upload: Upload, limits: Limits, now: float) -> None:
    """Header values of every answer about any upload are latin-1 without control characters."""
    requests.check_answers(dialect, upload, limits, now)


@given(dialects, requests.uploads(), requests.limits, st.floats(0, 4e9))
def test_upload_limit_is_a_dictionary_of_whole_numbers(
    dialect: Rufh, upload: Upload, limits: Limits, now: float
) -> None:
    """R7: whatever the limits, Upload-Limit parses, is not empty, and holds no negative number."""
    reply = dialect.created(upload, location="/files/x", limits=limits, now=now, carried=False)
    members = parse_dictionary([dict(reply.headers)["Upload-Limit"]])
    assert members
    for member in members.values():
        assert isinstance(member, Item)
        assert isinstance(member.value, int)
        assert member.value >= 0


@given(
    stored=st.integers(0, 50),
    length=sizes,
    said=sizes,
    size=sizes,
    max_size=sizes,
    completes=st.booleans(),
)
def test_an_admitted_append_stays_within_every_bound(
    stored: int, length: int | None, said: int | None, size: int | None, max_size: int | None, completes: bool
) -> None:
    """Lengths agree (R4), the room keeps within them, and only the known length makes an overrun fatal (R6)."""
    recorded = length if length is not None and stored <= length else None
    upload = Upload(id=ID, phase=Phase.RECEIVING, offset=stored, length=recorded, dialect="rufh")
    command = Append(upload_id=ID, offset=stored, content=Content(length=size), length=said, completes=completes)
    try:
        admission = Rufh(8).admit_append(command, upload, Limits(max_size=max_size))
    except Overrun:
        assert recorded is not None
        assert size is not None
        assert stored + size > recorded
        return
    except Refused:
        return
    assert {admission.length} >= {value for value in (recorded, said) if value is not None}
    if completes and size is not None:
        assert admission.length == stored + size
    if size is not None and admission.room is not None:
        assert size <= admission.room
    if max_size is not None:
        assert admission.room is not None
        assert admission.room <= max(0, max_size - stored)
    if admission.overrun_invalidates:
        assert admission.length is not None
        assert admission.room == admission.length - stored


@given(said=sizes, size=sizes, max_size=sizes, completes=st.booleans())
def test_an_admitted_creation_stays_within_every_bound(
    said: int | None, size: int | None, max_size: int | None, completes: bool
) -> None:
    """No creation is admitted whose stated sizes exceed the length or the maximum."""
    content = None if size == 0 else Content(length=size)
    command = Create(length=said, content=content, completes=completes)
    try:
        admission = Rufh(8).admit_create(command, Limits(max_size=max_size))
    except Overrun:
        pytest.fail("there is no upload yet that could become invalid")
    except Refused:
        return
    for stated in (size, said):
        assert stated is None or max_size is None or stated <= max_size
    assert size is None or admission.length is None or size <= admission.length
