"""Handing out the bytes of finished uploads: which of them, under which conditions, and safely.

Planning is pure (:func:`plan`), by RFC 9110: conditions in the order of §13.2.2, then one byte range (§14). Several
ranges, other units and malformed values are ignored, as §14.2 allows, and answered with the whole. Times have a
granularity of one second. A finished upload never changes under its URL, so both its ETag and its date are strong.

Sending is the business of :mod:`ferryman_server.sending`.

The bytes were sent by one person and are shown to another, in the name of this site. So their type is never guessed
from their content (`nosniff`), they run nothing and load nothing (`sandbox; default-src 'none'`), and only types that
cannot carry scripts are shown in place; everything else is an attachment.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from typing import Final

from starlette.responses import Response

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Request
from ferryman_protocol.problems import Problem
from ferryman_server.disposition import content_disposition, safe_media_type
from ferryman_server.media.piecing import Piece
from ferryman_server.sending import Download, problem_response
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Store
from ferryman_server.storage.ledger import Links

INLINE_TYPES: Final = frozenset(
    {"text/plain"}
    | {f"image/{name}" for name in ("apng", "avif", "bmp", "gif", "jpeg", "png", "webp")}
    | {f"audio/{name}" for name in ("aac", "flac", "mp4", "mpeg", "ogg", "wav", "webm", "x-wav")}
    | {f"video/{name}" for name in ("mp4", "ogg", "webm")}
)
"""Types that browsers show without running anything in them. SVG and PDF are not among them: both carry scripts."""

# A browser may keep the bytes, shared caches may not (the guard may allow them to one person only), and each use is
# asked for again, since the upload may have been deleted or forbidden; with the ETag that costs a 304.
CACHE_CONTROL: Final = "private, no-cache"
CONTENT_SECURITY_POLICY: Final = "sandbox; default-src 'none'"

_ENTITY_TAG: Final = re.compile(r'[ \t]*(?:(W/)?("[\x21\x23-\x7e\x80-\xff]*"))?[ \t]*(?:,|$)')  # RFC 9110 §8.8.3
# RFC 9110 §5.6.7: the one form to send, and the two obsolete ones to understand
_HTTP_DATE: Final = re.compile(
    r"[A-Za-z]{3}, [0-9]{2} [A-Za-z]{3} [0-9]{4} [0-9:]{8} GMT"
    r"|[A-Za-z]{6,9}, [0-9]{2}-[A-Za-z]{3}-[0-9]{2} [0-9:]{8} GMT"
    r"|[A-Za-z]{3} [A-Za-z]{3} [0-9 ][0-9] [0-9:]{8} [0-9]{4}"
)
_RANGE: Final = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)  # "range unit names are case-insensitive"
_RANGE_SPEC: Final = re.compile(r"([0-9]*)-([0-9]*)")
_BEYOND: Final = 10**18  # bytes: what longer numbers count as, more than any file has


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to answer: the status, the bytes [start, stop), and whether they are sent (HEAD: only described)."""

    status: int
    start: int = 0
    stop: int = 0
    send_bytes: bool = False
    problem: Problem | None = None  # for 412 and 416


def plan_for(request: Request, record: Record) -> Plan:
    """The plan for a GET or HEAD of a complete upload."""
    return plan(
        request.method,
        request.headers,
        length=record.upload.offset,
        etag=etag_of(record),
        last_modified=record.completed_at,
    )


def etag_of(record: Record) -> str:
    """The strong entity tag of a complete upload: CRC64/NVME and length of its stored bytes."""
    return f'"{record.crc64:016x}-{record.upload.offset:x}"'


def plan(
    method: str, headers: Headers, *, length: int, etag: str, last_modified: float | None, ranges: bool = True
) -> Plan:
    """Decide about a GET or HEAD from its conditional fields and its range.

    `length` in bytes; `etag` a strong one, quoted; `last_modified` in seconds since the epoch, None if not known;
    `ranges`: whether there are any.
    """
    modified = None if last_modified is None else int(last_modified)
    failed = _failed_precondition(headers, etag, modified)
    if failed is not None:
        detail = f"{failed} does not hold: the file's ETag is {etag}"
        return Plan(status=412, problem=Problem(kind=problems.PRECONDITION_FAILED, detail=detail))
    if _not_modified(headers, etag, modified):
        return Plan(status=304)
    sent = method == "GET"
    # "For this specification, GET is the only method for which range handling is defined." (RFC 9110 §14.2)
    if sent and ranges and _range_applies(headers, etag, modified):
        return _ranged(headers.joined("range") or "", length)
    return Plan(status=200, stop=length, send_bytes=sent)


def _failed_precondition(headers: Headers, etag: str, modified: int | None) -> str | None:
    """The name of the field whose condition is false (RFC 9110 §13.2.2, steps 1 and 2)."""
    if "if-match" in headers:
        return None if _matches(headers.joined("if-match"), etag, weakly=False) else "If-Match"
    date = _http_date(headers.joined("if-unmodified-since"))
    if date is not None and modified is not None and modified > date:
        return "If-Unmodified-Since"
    return None


def _not_modified(headers: Headers, etag: str, modified: int | None) -> bool:
    """RFC 9110 §13.2.2, steps 3 and 4: If-Modified-Since counts only without If-None-Match."""
    if "if-none-match" in headers:
        return _matches(headers.joined("if-none-match"), etag, weakly=True)
    date = _http_date(headers.joined("if-modified-since"))
    return date is not None and modified is not None and modified <= date


def _range_applies(headers: Headers, etag: str, modified: int | None) -> bool:
    """RFC 9110 §13.1.5: a range is served only while the validator in If-Range is exactly the current one."""
    if "range" not in headers:
        return False
    validator = headers.joined("if-range")
    if validator is None:
        return True
    date = _http_date(validator)
    return validator == etag or (date is not None and date == modified)


def _ranged(value: str, length: int) -> Plan:
    whole = Plan(status=200, stop=length, send_bytes=True)
    wanted = _parse_range(value)
    if wanted is None:
        return whole
    first, last = wanted
    if first is None:
        if length == 0 and last:
            return whole  # the last bytes of nothing are all of it, which Content-Range cannot say
        first, last = max(0, length - last), length - 1
    if first >= length:
        detail = f"the range begins at byte {first}, and the file has {length} bytes"
        return Plan(status=416, stop=length, problem=Problem(kind=problems.RANGE_NOT_SATISFIABLE, detail=detail))
    return Plan(status=206, start=first, stop=min(last + 1, length), send_bytes=True)


def _parse_range(value: str) -> tuple[int | None, int] | None:
    """(first, last) of the only byte range, (None, n) for the last n bytes; None: ignore the field."""
    match = _RANGE.fullmatch(value)
    # a recipient takes empty list elements (RFC 9110 §5.6.1.2)
    specs = [spec for spec in (part.strip(" \t") for part in match[1].split(",")) if spec] if match else []
    spec = _RANGE_SPEC.fullmatch(specs[0]) if len(specs) == 1 else None
    if spec is None or spec[0] == "-":
        return None
    if not spec[1]:
        return None, _number(spec[2])
    first, last = _number(spec[1]), _number(spec[2]) if spec[2] else _BEYOND
    # "An int-range is invalid if the last-pos value is present and less than first-pos." (RFC 9110 §14.1.1)
    return (first, last) if first <= last else None


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= 18 else _BEYOND


def _matches(value: str | None, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags, or `*`, holds ours (a strong one); a malformed list holds nothing."""
    if value is None or value == "*":
        return value == "*"
    position, found = 0, False
    while position < len(value):
        match = _ENTITY_TAG.match(value, position)
        if match is None:
            return False
        found = found or (match[2] == etag and (weakly or match[1] is None))
        position = match.end()
    return found


def _http_date(value: str | None) -> int | None:
    """An HTTP date in seconds since the epoch; None when absent or not one (then its condition is ignored)."""
    if value is None or _HTTP_DATE.fullmatch(value) is None:
        return None
    try:
        parsed = parsedate_to_datetime(value)
        return int(parsed.replace(tzinfo=UTC).timestamp())  # also the form that names no zone means UTC
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Bytes that somebody may be sent, and what is told of them."""

    upload_id: str  # which they come from
    size: int  # bytes
    pieces: Callable[[int, int], Iterator[Piece]]  # bytes [start, stop) of them; may raise StoreError
    etag: str  # strong, quoted
    last_modified: float | None  # seconds since the epoch
    described: Mapping[str, str]  # the fields that say what it is
    ranges: bool = True  # whether parts of it may be asked for
    caching: str = CACHE_CONTROL
    vary: str | None = None

    def plan(self, method: str, headers: Headers) -> Plan:
        """The plan for a GET or HEAD of it."""
        return plan(
            method, headers, length=self.size, etag=self.etag, last_modified=self.last_modified, ranges=self.ranges
        )

    @property
    def headers(self) -> dict[str, str]:
        """The fields of an answer with all of it."""
        ranges = {"Accept-Ranges": "bytes"} if self.ranges else {}
        return {**self.described, **ranges, **self.validators, **PROTECTION}

    @property
    def validators(self) -> dict[str, str]:
        """The fields that an answer without it has too."""
        headers = {"ETag": self.etag, "Cache-Control": self.caching}
        if self.last_modified is not None:
            headers["Last-Modified"] = formatdate(int(self.last_modified), usegmt=True)
        if self.vary is not None:
            headers["Vary"] = self.vary
        return headers


PROTECTION: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


def respond(plan: Plan, store: Store, record: Record, *, caching: str = CACHE_CONTROL) -> Response:
    """The response to a plan for a complete upload; an ASGI application that reads the bytes from the store while it
    sends them, or sends the client there."""
    content = content_of(store, record, caching)
    if plan.problem is None and plan.send_bytes and plan.start < plan.stop:
        link = store.link(record.target) if isinstance(store, Links) and record.target is not None else None
        if link is not None:  # which holds for a while only
            validators = content.validators | {"Cache-Control": CACHE_CONTROL}
            return Response(status_code=307, headers=validators | {"Location": link})
    return answered(plan, content)


def content_of(store: Store, record: Record, caching: str = CACHE_CONTROL) -> Content:
    """A complete upload's bytes, as they lie in the store."""
    upload = record.upload
    media_type = safe_media_type(upload.content_type)
    coding = {} if upload.content_encoding is None else {"Content-Encoding": upload.content_encoding}
    return Content(
        upload_id=upload.id,
        size=upload.offset,
        pieces=partial(store.read, upload.id),
        etag=etag_of(record),
        last_modified=record.completed_at,
        described={**described_as(media_type, upload.filename), **coding},
        caching=caching,
    )


def described_as(media_type: str, filename: str | None) -> dict[str, str]:
    """The fields that name a safe media type and a file. Only what is harmless is shown in place."""
    harmless = media_type.partition(";")[0] in INLINE_TYPES
    disposition = content_disposition("inline" if harmless else "attachment", filename)
    return {"Content-Type": media_type, "Content-Disposition": disposition}


def answered(plan: Plan, content: Content) -> Response:
    """The response to a plan; it reads the bytes while it sends them."""
    if plan.problem is not None:
        return _refusal(plan, content, plan.problem)
    if plan.status == 304:
        return Response(status_code=304, headers=content.validators)
    headers = content.headers | {"Content-Length": str(plan.stop - plan.start)}
    if plan.status == 206:
        headers["Content-Range"] = f"bytes {plan.start}-{plan.stop - 1}/{content.size}"
    if not plan.send_bytes or plan.start == plan.stop:
        return Response(status_code=plan.status, headers=headers)
    pieces = partial(content.pieces, plan.start, plan.stop)
    return Download(plan.status, headers, pieces, plan.stop - plan.start, upload_id=content.upload_id)


def _refusal(plan: Plan, content: Content, problem: Problem) -> Response:
    headers = content.validators | {"Cache-Control": CACHE_CONTROL}  # of the content, not of what is wrong with asking
    if plan.status == 416:
        headers["Content-Range"] = f"bytes */{content.size}"
        headers["Accept-Ranges"] = "bytes"
    return problem_response(problem, headers)
