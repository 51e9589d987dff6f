"""The catalogue of refusals and the documents made from it."""

import json
import re

import pytest

from ferryman_protocol import problems, refusals
from ferryman_protocol.model import Phase, Upload
from ferryman_protocol.problems import CATALOGUE, Kind, Problem

ID = "ferryferryferryferryferry2"
rows = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE.keys())


@rows
def test_rows_are_complete(kind: Kind) -> None:
    """Every row has a kebab-case code, an error status, a title, and a remedy that is a sentence."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert 400 <= kind.status < 600
    # 501 and 505 say that the request asks for something this server does not speak: nothing failed in it
    assert (kind.status >= 500 and kind.status not in (501, 505)) is (kind.fault == "server")
    assert kind.title
    assert not kind.title.endswith(".")
    assert kind.remedy.endswith(".")


@rows
def test_rows_are_constants_of_the_module(kind: Kind) -> None:
    """Each row is found by code in the catalogue and as one constant in the module."""
    constants = [name for name, value in vars(problems).items() if value is kind]
    assert len(constants) == 1
    assert constants[0].isupper()


@rows
def test_documents_hold_what_rfc_9457_names(kind: Kind) -> None:
    """Type, title, status and detail are there, with the remedy, and it is JSON."""
    document = problems.document(Problem(kind=kind, detail="byte 3 of Upload-Metadata"), instance=f"/files/{ID}")
    assert json.loads(json.dumps(document)) == {
        "type": problems.type_uri(kind),
        "title": kind.title,
        "status": kind.status,
        "detail": "byte 3 of Upload-Metadata",
        "remedy": kind.remedy,
        "instance": f"/files/{ID}",
    }


def test_registered_types_have_their_address() -> None:
    """The two types of the IETF draft have the registry's address, all others a URN."""
    base = "https://iana.org/assignments/http-problem-types#"
    registered = {code for code, kind in CATALOGUE.items() if problems.type_uri(kind) == base + code}
    assert registered == {"mismatching-upload-offset", "inconsistent-upload-length"}
    assert problems.type_uri(problems.GONE) == "urn:ferryman:problem:gone"


def test_a_mismatching_offset_tells_both_offsets() -> None:
    """R18: expected-offset and provided-offset are members of the document."""
    document = problems.document(refusals.mismatching_offset(expected=12500000, provided=25000000))
    assert document["expected-offset"] == 12500000
    assert document["provided-offset"] == 25000000
    assert "instance" not in document


def test_members_never_hide_the_standard_ones() -> None:
    """A member called `status` does not change the status."""
    problem = Problem(kind=problems.GONE, detail="gone", members=(("status", 200), ("more", None)))
    document = problems.document(problem)
    assert document["status"] == 410
    assert document["more"] is None


def test_a_refusal_says_what_it_is() -> None:
    """The exception's text has status, code and detail, for logs."""
    error = refusals.refusal(problems.TOO_MANY_REQUESTS, "two at once")
    assert str(error) == "429 too-many-requests: two at once"


@pytest.mark.parametrize(
    ("phase", "code", "words"),
    [
        (Phase.EXPIRED, "gone", "expired"),
        (Phase.TERMINATED, "gone", "deleted"),
        (Phase.FAILED, "upload-failed", "the digest differs"),
        (Phase.INVALID, "upload-invalid", "7"),
    ],
)
def test_unusable_uploads_say_why(phase: Phase, code: str, words: str) -> None:
    """An upload that takes nothing any more is refused with the reason."""
    problem = refusals.unusable(Upload(id=ID, phase=phase, length=7, reason="the digest differs"))
    assert problem is not None
    assert problem.kind.code == code
    assert words in problem.detail


@pytest.mark.parametrize("phase", [Phase.EMPTY, Phase.RECEIVING, Phase.FINISHING, Phase.COMPLETE, Phase.WAITING])
def test_other_uploads_are_usable(phase: Phase) -> None:
    """Every other phase is judged by the request itself."""
    assert refusals.unusable(Upload(id=ID, phase=phase)) is None


def test_a_clients_value_is_shown_short_and_printable() -> None:
    """Details repeat a client's value without its control characters and without its bulk."""
    assert refusals.quoted("+5") == "'+5'"
    assert refusals.quoted("a\r\nb") == r"'a\r\nb'"
    assert len(refusals.quoted("x" * 5000)) < 70
