"""tus 1.0.0: the decision vectors, and what must hold for every request."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ferryman_protocol import negotiate, tus1_read
from ferryman_protocol.commands import Append, Content
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Limits, Phase, Request, Upload
from ferryman_protocol.problems import MISMATCHING_UPLOAD_OFFSET, Refused
from ferryman_protocol.tus1 import Tus1
from tests.protocol import decisions, requests

ID = "ferryferryferryferryferry2"


@decisions.each("tus1.json")
def test_vectors(setting: decisions.Setting, case: decisions.Json) -> None:
    """Each case is decided and answered as it says."""
    decisions.check(decisions.decide(setting, case), case["expect"])


@decisions.each("tus1.json")
def test_every_answer_names_the_version(setting: decisions.Setting, case: decisions.Json) -> None:
    """T1: Tus-Resumable is on every answer, and Tus-Version on every 412."""
    reply = decisions.decide(setting, case).reply
    if reply is not None:
        assert ("Tus-Resumable", "1.0.0") in reply.headers
        assert reply.status != 412 or ("Tus-Version", "1.0.0") in reply.headers


def test_an_extra_extension_the_storage_lacks_is_refused() -> None:
    """What OPTIONS does not announce is refused rather than half done."""
    headers = {
        "termination": ("DELETE", ID, ()),
        "creation-defer-length": ("POST", None, (("upload-defer-length", "1"),)),
        "checksum": ("PATCH", ID, (("upload-offset", "0"), ("upload-checksum", "sha1 x"))),
        "checksum-trailer": ("PATCH", ID, (("upload-offset", "0"), ("trailer", "upload-checksum"))),
        "creation": ("POST", None, (("upload-length", "1"),)),
    }
    common = (("tus-resumable", "1.0.0"), ("content-type", "application/offset+octet-stream"))
    for missing, (method, upload_id, fields) in headers.items():
        limits = Limits(extensions=tuple(name for name in Limits().extensions if name != missing))
        request = Request(method=method, upload_id=upload_id, headers=Headers((*common, *fields)))
        with pytest.raises(Refused, match=f"extension {missing} is not offered"):
            Tus1().read(request, limits)


def test_a_trailer_checksum_must_come_once() -> None:
    """A doubled Upload-Checksum in the trailer is refused like a missing one."""
    line = ("Upload-Checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
    assert tus1_read.read_trailer_checksum([line]).algorithm == "sha1"
    with pytest.raises(Refused, match="2 times"):
        tus1_read.read_trailer_checksum([line, line])


@given(requests.requests(tus=True), requests.limits)
def test_any_request_is_a_command_or_a_refusal(request: Request, limits: Limits) -> None:
    """Reading raises nothing but Refused, and the refusal can be sent."""
    requests.read_or_refuse(Tus1(), request, limits)


@given(
    stored=st.integers(0, 50),
    length=st.none() | st.integers(0, 60),
    said=st.none() | st.integers(0, 60),
    size=st.none() | st.integers(0, 60),
    max_size=st.none() | st.integers(0, 60),
)
def test_an_admitted_append_stays_within_every_bound(
    stored: int, length: int | None, said: int | None, size: int | None, max_size: int | None
) -> None:
    """Room never reaches beyond the length or the maximum size, and a stated size always fits into it."""
    known = length is not None and stored <= length
    upload = Upload(id=ID, phase=Phase.RECEIVING, offset=stored, length=length if known else None)
    command = Append(upload_id=ID, offset=stored, content=Content(length=size), length=said)
    try:
        admission = Tus1().admit_append(command, upload, Limits(max_size=max_size))
    except Refused:
        return
    assert admission.length == (upload.length if upload.length is not None else said)
    bounds = [bound for bound in (admission.length, max_size) if bound is not None]
    assert admission.room == (max(0, min(bounds) - stored) if bounds else None)
    assert size is None or admission.room is None or size <= admission.room


@given(offset=st.integers(0, 60), stored=st.integers(0, 50), size=st.none() | st.integers(0, 100))
def test_any_other_offset_is_a_conflict(offset: int, stored: int, size: int | None) -> None:
    """T6: an append elsewhere than at the upload's offset is 409, whatever else is wrong with it."""
    assume(offset != stored)
    upload = Upload(id=ID, phase=Phase.RECEIVING, offset=stored, length=50)
    command = Append(upload_id=ID, offset=offset, content=Content(length=size))
    with pytest.raises(Refused) as caught:
        Tus1().admit_append(command, upload, Limits(max_size=20))
    assert caught.value.problem.kind is MISMATCHING_UPLOAD_OFFSET


@given(requests.uploads(), requests.limits, st.floats(0, 4e9))
def test_every_answer_can_be_sent(upload: Upload, limits: Limits, now: float) -> None:
    """Header values of every answer about any upload are latin-1 without control characters."""
    requests.check_answers(Tus1(), upload, limits, now)
    requests.check_fields(negotiate.described(limits).headers)
