"""What schemathesis needs to know beside the description; loaded into its process by SCHEMATHESIS_HOOKS.

A description cannot say which fields belong together, nor which uploads there are. So most requests are made sensible
here before they are sent: one protocol's fields, the URL of an upload that was really created, the offset where it
stands. The others go as they were generated. In a sequence of linked requests, which has URLs of its own, only the
fields are touched.
"""

import http.client
import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import schemathesis
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, CheckContext, HookContext, Response

LEAK: Final = re.compile(r"Traceback|File \"|\.py\b|site-packages|sqlite|Errno", re.IGNORECASE)
LOCATION: Final = re.compile(r"/files/([a-z2-7]{26})")
SLUG: Final = re.compile(r'"slug":"([^"]+)"')
_UPLOADS: Final = "/files/"
_API: Final = "/api/"
_TUS: Final = (
    *("Tus-Resumable", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Checksum"),
    "X-HTTP-Method-Override",
)
_IETF: Final = ("Upload-Complete", "Upload-Incomplete", "Upload-Draft-Interop-Version", "Content-Disposition")
_DIGESTS: Final = ("Content-Digest", "Repr-Digest", "Content-Encoding", "Upload-Checksum")  # seldom right by chance
_OVERRIDES: Final = ("PATCH", "HEAD", "PATCH", "GET", "PATCH", "DELETE")
_KEPT: Final = 20  # uploads that requests are sent to: those created last

_read_status: Final = http.client.HTTPResponse._read_status  # type: ignore[attr-defined]

_numbers: Final[Iterator[int]] = count()
_ids: Final[list[str]] = []
_offsets: Final[dict[str, str]] = {}
_slugs: Final[list[str]] = []  # of media that are or were there


def read_final_status(response: http.client.HTTPResponse) -> tuple[str, int, str]:
    """Go past interim answers, as every client must (RFC 9110 §15.2); Python's own goes past 100 only."""
    while True:
        version, status, reason = _read_status(response)
        if not 101 < status < 200:
            return version, status, reason
        http.client.parse_headers(response.fp)


http.client.HTTPResponse._read_status = read_final_status  # type: ignore[attr-defined]


@schemathesis.serializer("application/offset+octet-stream", "application/partial-upload")
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Content of uploads is bytes; what a negative test makes of it is sent as its text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", errors="replace")


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Make most requests about uploads ones that a client could send."""
    case.operation.schema.config.max_stream_events = 1  # how things stand, at once; streams have no end to wait for
    number = next(_numbers)
    if number % 4 == 0:
        return
    if case.path.startswith(_API):
        _point_at_what_is_there(case, number)
    if not case.path.startswith(_UPLOADS):
        return
    if case.method in ("POST", "PATCH", "PUT"):
        case.headers = CaseInsensitiveDict(_sensible(case, number))
    if "id" in case.path_parameters and not _linked(case) and _ids:
        case.path_parameters = {**case.path_parameters, "id": _ids[-1 - number % min(len(_ids), _KEPT)]}
    if "Upload-Offset" in case.headers and number % 5:
        case.headers["Upload-Offset"] = _offsets.get(str(case.path_parameters.get("id")), "0")


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Remember which uploads and media there are, and where uploads stand."""
    if case.path.startswith(_API) and response.status_code == 200 and response.content:
        _slugs.extend(slug for slug in SLUG.findall(response.content.decode(errors="replace")) if slug not in _slugs)
    location = LOCATION.search(" ".join(response.headers.get("location", [])))
    upload_id = location[1] if location else str(case.path_parameters.get("id"))
    if location and upload_id not in _offsets:
        _ids.append(upload_id)
    if location or upload_id in _offsets:
        _offsets[upload_id] = response.headers.get("upload-offset", [_offsets.get(upload_id, "0")])[0]


@schemathesis.check
def is_no_mistake(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """No answer is a fault of the server but "not yet", for an upload that is being put together or finished."""
    if response.status_code < 500:
        return
    if response.status_code != 503 or "retry-after" not in response.headers:
        raise AssertionError("a mistake of the server")
    if response.content and not response.json()["type"].endswith(":finishing"):
        raise AssertionError("the server is not well, and was given no reason")


@schemathesis.check
def tells_only_what_it_may(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """No answer shows a trace or a path of the server, and HEAD has no content."""
    if response.status_code >= 400 and LEAK.search(response.content.decode("utf-8", errors="replace")):
        raise AssertionError("the answer tells what is inside the server")
    if case.method.upper() == "HEAD" and response.content:
        raise AssertionError("HEAD was answered with content")


def _linked(case: Case[Any]) -> bool:
    """Whether it is one of a sequence, which has URLs of its own."""
    return case.meta is not None and case.meta.phase.name.value == "stateful"


def _point_at_what_is_there(case: Case[Any], number: int) -> None:
    """Ask for a medium or an upload that is there. What deletes media finds them in its sequences, soon enough."""
    if _linked(case) or case.method == "DELETE":
        return
    if "slug" in case.path_parameters and _slugs:
        case.path_parameters = {**case.path_parameters, "slug": _slugs[-1 - number % len(_slugs)]}
    elif "id" in case.path_parameters and _ids:
        case.path_parameters = {**case.path_parameters, "id": _ids[-1 - number % min(len(_ids), _KEPT)]}


def _sensible(case: Case[Any], number: int) -> dict[str, str]:
    """The fields of one protocol, with what names it and lengths that can be right; digests seldom."""
    appends = "id" in case.path_parameters
    overrides = appends and case.method == "POST"
    creates_by_tus = case.method == "POST" and case.media_type == "application/offset+octet-stream"
    tus = overrides or creates_by_tus or (appends and number % 2 == 0)
    unwanted = [*(_IETF if tus else _TUS), *(_DIGESTS if number % 6 else ())]
    if appends and number % 7:
        unwanted.append("Upload-Length")
    fields = {name: value for name, value in case.headers.items() if name not in unwanted}
    if appends:
        case.media_type = "application/offset+octet-stream" if tus else "application/partial-upload"
    if overrides:
        fields["X-HTTP-Method-Override"] = _OVERRIDES[number % len(_OVERRIDES)]
    return _as_tus(fields, number, appends=appends) if tus else _as_ietf(fields, number)


def _as_tus(fields: dict[str, str], number: int, *, appends: bool) -> dict[str, str]:
    if fields.get("Upload-Concat", "").startswith("final") and _ids:
        return {"Tus-Resumable": "1.0.0", "Upload-Concat": f"final;/files/{_ids[-1]}"}
    if "Upload-Defer-Length" in fields:
        fields.pop("Upload-Length", None)
    elif not appends:
        fields["Upload-Length"] = str(number % 50)
    return {**fields, "Tus-Resumable": "1.0.0"}


def _as_ietf(fields: dict[str, str], number: int) -> dict[str, str]:
    if "Upload-Length" in fields:
        fields["Upload-Length"] = str(number % 50)
    name = "Upload-Incomplete" if fields.get("Upload-Draft-Interop-Version") == "3" else "Upload-Complete"
    return {**fields, name: "?0" if number % 3 else "?1"}
