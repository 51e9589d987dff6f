"""What holds for every answer of the protocol core, whatever the request was."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.admission import told_offset
from ferryman_protocol.commands import Create
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import TUS_VERSION, Concat, Phase, Reply, Upload
from ferryman_protocol.problems import Problem
from ferryman_protocol.request_fields import MAX_NUMBER
from ferryman_protocol.structured_fields import Item, Token, boolean_field, integer_field, parse_dictionary, parse_list
from tests.fuzz.deciding import Decided

MAX_DETAIL: Final = 400  # characters: a refusal may repeat a part of what was sent, and not all of it
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.1
_VALUE: Final = re.compile(r"[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?")  # RFC 9110 §5.5
_DATE: Final = "%a, %d %b %Y %H:%M:%S GMT"
_LISTS: Final = ("allow", "accept-encoding", "tus-extension", "tus-checksum-algorithm")
_LIMITS: Final = {"max-size", "min-size", "max-append-size", "min-append-size", "max-age", "expires"}


def check_decided(decided: Decided) -> None:
    """The whole answer can be sent, says what its dialect owes, and agrees with the upload it is about."""
    reply = decided.reply
    check_fields(reply.headers)
    for interim in decided.interims:
        assert interim.status == 104
        assert decided.dialect.interop is not None, "only who named a version may be sent 104 (R27)"
        check_fields(interim.headers)
    headers = fields_of(reply)
    if reply.problem is None:
        assert reply.status in (200, 201, 204), reply
        assert decided.command is not None
    else:
        check_problem(reply)
    if decided.dialect.name == "tus":
        # "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
        assert headers.all("tus-resumable") == (TUS_VERSION,), reply
    elif reply.status >= 400:
        version = "upload-incomplete" if "upload-incomplete" in headers else "upload-complete"
        assert boolean_field(headers, version) is not None, reply
    if isinstance(decided.command, Create) and reply.problem is None:
        assert reply.status == 201, reply
        assert "location" in headers, reply
    if reply.status == 412:
        assert headers.all("tus-version") == (TUS_VERSION,), reply
    _check_against(decided.after, headers)
    _check_admission(decided)


def check_problem(reply: Reply) -> None:
    """A refusal is a row of the catalogue, in words that can be read and sent, with what its status owes."""
    problem, headers = reply.problem, fields_of(reply)
    assert problem is not None
    assert problems.CATALOGUE[problem.kind.code] is problem.kind
    assert reply.status == problem.kind.status
    check_words(problem)
    match reply.status:
        case 405:
            assert "allow" in headers, reply
        case 409 if problem.kind is problems.MISMATCHING_UPLOAD_OFFSET:
            assert integer_field(headers, "upload-offset") == dict(problem.members)["expected-offset"], reply
        case 415:
            assert "accept-encoding" in headers or "accept-patch" in headers, reply
        case 503 if problem.kind is problems.FINISHING:
            assert "retry-after" in headers, reply


def check_words(problem: Problem) -> None:
    """The document of a problem is JSON, and its words are short and printable whatever was sent."""
    json.dumps(problems.document(problem), ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert problem.detail
    assert problem.detail.isprintable(), problem.detail
    assert len(problem.detail) <= MAX_DETAIL, problem.detail


def check_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Names are tokens and come once, values end no line, and each field follows its own grammar."""
    headers = Headers(tuple((name.lower(), value) for name, value in fields))
    names = [name for name, _ in headers]
    assert len(names) == len(set(names)), names
    for name, value in headers:
        assert _NAME.fullmatch(name), name
        assert _VALUE.fullmatch(value), (name, value)
        _check_grammar(headers, name, value)


def fields_of(reply: Reply) -> Headers:
    """The header fields of an answer, to be looked up as a client does it."""
    return Headers(tuple((name.lower(), value) for name, value in reply.headers))


def _check_grammar(headers: Headers, name: str, value: str) -> None:
    match name:
        case "upload-offset" | "upload-length" | "tus-max-size":
            number = integer_field(headers, name)
            assert number is not None, (name, value)
            assert number <= MAX_NUMBER, (name, value)
        case "upload-complete" | "upload-incomplete":
            assert boolean_field(headers, name) is not None, (name, value)
        case "upload-limit":
            _check_limits(value)
        case "upload-expires":
            assert datetime.strptime(value, _DATE), value
        case "location":
            assert value.startswith("/"), value
        case _ if name in _LISTS:
            assert all(isinstance(member, Item) and isinstance(member.value, Token) for member in parse_list([value]))


def _check_limits(value: str) -> None:
    members = parse_dictionary([value])
    assert members, "an empty Upload-Limit: min-size=0 says that there are none"
    assert set(members) <= _LIMITS, value
    for member in members.values():
        assert isinstance(member, Item), value
        assert type(member.value) is int, value
        assert member.value >= 0, value


def _check_against(upload: Upload | None, headers: Headers) -> None:
    """What the answer tells of the upload is what the upload is."""
    offset = integer_field(headers, "upload-offset")
    assert offset is None or offset == told_offset(upload)
    length = integer_field(headers, "upload-length")
    assert length is None or (upload is not None and length == upload.length)
    expires = headers.joined("upload-expires")
    if expires is not None:
        assert upload is not None
        assert upload.phase not in (Phase.COMPLETE, Phase.EXPIRED, Phase.TERMINATED)
    if offset is not None and upload is not None and upload.length is not None:
        assert offset <= upload.length
    echo = headers.joined("upload-metadata")
    assert echo is None or (upload is not None and echo == upload.metadata)


def _check_admission(decided: Decided) -> None:
    """What is admitted stays within the length and the limits; nobody is admitted to a final upload's bytes."""
    admission, after = decided.admission, decided.after
    if admission is None:
        return
    assert admission.room is None or admission.room >= 0
    assert not admission.overrun_invalidates or admission.overrun is problems.OVERRUN
    if after is not None and after.concat is Concat.FINAL:
        assert admission.room == 0
    if after is not None and admission.length is not None and decided.reply.problem is None:
        assert after.offset <= admission.length
