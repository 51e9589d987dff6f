"""Runs the decision vectors (negotiate.json, tus1.json, rufh.json): one request each, as a server would decide it."""

import base64
import dataclasses
import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from ferryman_protocol import negotiate, problems, refusals, tus1_read
from ferryman_protocol.commands import Admission, Append, Checksum, Command, Create, Describe, Terminate
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Concat, Interim, Limits, Phase, Reply, Request, Upload
from ferryman_protocol.problems import Overrun, Problem, Refused

VECTORS = Path(__file__).parents[2] / "protocol" / "vectors"
Json = dict[str, Any]


@dataclass(kw_only=True)
class Decision:
    """Everything that came out of one case."""

    dialect: Dialect
    command: Command | None = None
    admission: Admission | None = None
    checksum: Checksum | None = None
    reply: Reply | None = None
    announced: Interim | None = None
    progressed: Interim | None = None
    invalidates: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a file says for all its cases."""

    now: float
    location: str


def each(name: str) -> pytest.MarkDecorator:
    """Parametrise a test with `setting` and `case` over all cases of a file."""
    document = json.loads((VECTORS / name).read_text("utf-8"))
    setting = Setting(now=document["now"], location=document["location"])
    return pytest.mark.parametrize(
        ("setting", "case"), [pytest.param(setting, case, id=case["name"]) for case in document["cases"]]
    )


def decide(setting: Setting, case: Json) -> Decision:
    """Decide the case's request and make the answer."""
    said: Json = case["limits"]
    limits = dataclasses.replace(Limits(**said), extensions=tuple(said.get("extensions", Limits().extensions)))
    request = Request(
        method=case["request"]["method"],
        upload_id=case["request"]["upload"],
        headers=Headers(tuple((name.lower(), value) for name, value in case["request"]["headers"])),
    )
    before = case["upload"] and _upload(case["upload"])
    after = _upload({**(case["upload"] or {}), **case["after"]}) if "after" in case else before
    decision = Decision(dialect=negotiate.fallback(request))
    try:
        decision.dialect = negotiate.recognise(request, limits)
        decision.command = decision.dialect.read(request, limits)
        _carry_out(decision, case, before, after, limits, setting)
    except Refused as refused:
        decision.invalidates = isinstance(refused, Overrun)
        decision.reply = decision.dialect.refused(refused.problem, upload=after, limits=limits, now=setting.now)
    return decision


def check(decision: Decision, expected: Json) -> None:
    """Compare what came out with what the case expects."""
    for key in ("command", "admission"):
        if key in expected:
            _check_part(getattr(decision, key), expected[key])
    if "trailer_checksum" in expected:
        _check_part(decision.checksum, expected["trailer_checksum"])
    if "dialect" in expected:
        assert decision.dialect.name == expected["dialect"]
    if "interop" in expected:
        assert decision.dialect.interop == expected["interop"]
    if "invalidates" in expected:
        assert decision.invalidates is expected["invalidates"]
    for key in ("announced", "progressed"):
        if key in expected:
            _check_interim(getattr(decision, key), expected[key], with_location=key == "announced")
    if "reply" in expected:
        assert decision.reply is not None, "no answer was made: the case has no state to answer from"
        _check_reply(decision.reply, expected["reply"])


def _carry_out(
    decision: Decision, case: Json, before: Upload | None, after: Upload | None, limits: Limits, setting: Setting
) -> None:
    dialect, command, now = decision.dialect, decision.command, setting.now
    if isinstance(command, Describe):
        decision.reply = negotiate.described(limits, upload=command.upload_id is not None)
        return
    if isinstance(command, Create):
        decision.admission = dialect.admit_create(command, limits)
    else:
        assert command is not None
        if before is None:
            raise Refused(refusals.not_found(command.upload_id))
        if isinstance(command, Append):
            decision.admission = dialect.admit_append(command, before, limits)
    if "trailers" in case:
        decision.checksum = tus1_read.read_trailer_checksum([(name, value) for name, value in case["trailers"]])
    if "raised" in case:
        raise Refused(Problem(kind=problems.CATALOGUE[case["raised"]], detail="met while the bytes moved"))
    if after is not None:
        _answer(decision, after, limits, now, setting.location)


def _answer(decision: Decision, upload: Upload, limits: Limits, now: float, location: str) -> None:
    dialect, command = decision.dialect, decision.command
    decision.announced = dialect.announced(upload, location=location, limits=limits, now=now)
    decision.progressed = dialect.progressed(upload)
    if isinstance(command, Create):
        carried = command.content is not None
        decision.reply = dialect.created(upload, location=location, limits=limits, now=now, carried=carried)
    elif isinstance(command, Append):
        decision.reply = dialect.appended(upload, location=location, limits=limits, now=now)
    elif isinstance(command, Terminate):
        decision.reply = dialect.terminated()
    else:
        decision.reply = dialect.inspected(upload, limits=limits, now=now)


def _upload(fields: Json) -> Upload:
    concat = fields.get("concat")
    return Upload(
        **{
            **fields,
            "phase": Phase(fields["phase"]),
            "concat": Concat(concat) if concat else None,
            "parts": tuple(fields.get("parts", ())),
        }
    )


def _plain(value: object) -> object:
    """The value as JSON has it: digests in base64, catalogue rows by their code, commands with their `kind`."""
    if isinstance(value, problems.Kind):
        return value.code
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    return value


def _check_part(value: object, expected: Json) -> None:
    assert value is not None, "the request was refused before this was decided"
    found = cast(Json, _plain(value))
    assert _restricted(found, expected) == expected


def _restricted(found: object, expected: object) -> object:
    if isinstance(found, dict) and isinstance(expected, dict):
        return {key: _restricted(found[key], expected[key]) for key in expected}
    return found


def _check_interim(interim: Interim | None, expected: Json | None, *, with_location: bool) -> None:
    if expected is None:
        assert interim is None
        return
    assert interim is not None
    assert interim.status == 104
    headers = _headers(interim.headers)
    assert {name: headers.get(name.lower()) for name in expected} == expected
    # Draft, append: "These interim responses MUST NOT include the Location header field."
    assert ("location" in headers) is with_location


def _check_reply(reply: Reply, expected: Json) -> None:
    code = reply.problem.kind.code if reply.problem else None
    assert (reply.status, code) == (expected["status"], expected.get("problem", code))
    headers = _headers(reply.headers)
    wanted = expected.get("headers", {})
    assert {name: headers.get(name.lower()) for name in wanted} == wanted
    assert [name for name in expected.get("absent", ()) if name.lower() in headers] == []
    if "members" in expected:
        assert reply.problem is not None
        document = problems.document(reply.problem)
        assert {name: document.get(name) for name in expected["members"]} == expected["members"]


def _headers(fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    names = [name.lower() for name, _ in fields]
    assert len(set(names)) == len(names), "no field is sent twice"
    return dict(zip(names, (value for _, value in fields), strict=True))
