"""Handing out the bytes of finished uploads: which of them, under which conditions, and safely.

Planning is pure (:func:`plan`), by RFC 9110: conditions in the order of §13.2.2, then one byte range (§14). Several
ranges, other units and malformed values are ignored, as §14.2 allows, and answered with the whole. Times have a
granularity of one second. A finished upload never changes under its URL, so both its ETag and its date are strong.

Sending (:class:`Download`): one thread hop a piece; the next piece is read while the last one is being sent. A client
that goes away ends the reading at once and is no error. The first piece is read before the status is sent, so a store
that fails answers 503; one that fails later leaves the response short, which breaks the connection, as it must.

The bytes were sent by one person and are shown to another, in the name of this site. So their type is never guessed
from their content (`nosniff`), they run nothing and load nothing (`sandbox; default-src 'none'`), and only types that
cannot carry scripts are shown in place; everything else is an attachment.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Request
from ferryman_protocol.problems import Problem
from ferryman_server.disposition import content_disposition, safe_media_type
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.ledger import Links
from ferryman_server.threads import in_thread
from ferryman_server.wire_cycle import EXTENSION

log = structlog.get_logger("ferryman.downloads")

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


def plan(method: str, headers: Headers, *, length: int, etag: str, last_modified: float | None) -> Plan:
    """Decide about a GET or HEAD from its conditional fields and its range.

    `length` in bytes; `etag` a strong one, quoted; `last_modified` in seconds since the epoch, None if not known.
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
    if sent and _range_applies(headers, etag, modified):
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


def representation_headers(record: Record) -> dict[str, str]:
    """The fields that describe a complete upload's bytes, for GET and for HEAD; without Content-Length."""
    upload = record.upload
    media_type = safe_media_type(upload.content_type)
    harmless = media_type.partition(";")[0] in INLINE_TYPES
    headers = {
        "Content-Type": media_type,
        "Content-Disposition": content_disposition("inline" if harmless else "attachment", upload.filename),
        "Accept-Ranges": "bytes",
        **_validators(record),
        **_PROTECTION,
    }
    if upload.content_encoding is not None:
        headers["Content-Encoding"] = upload.content_encoding
    return headers


_PROTECTION: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


def _validators(record: Record) -> dict[str, str]:
    headers = {"ETag": etag_of(record), "Cache-Control": CACHE_CONTROL}
    if record.completed_at is not None:
        headers["Last-Modified"] = formatdate(int(record.completed_at), usegmt=True)
    return headers


def respond(plan: Plan, store: Store, record: Record) -> Response:
    """The response to a plan; an ASGI application that reads the bytes from the store while it sends them, or sends the
    client there."""
    if plan.problem is not None:
        return _refusal(plan, record, plan.problem)
    if plan.status == 304:
        return Response(status_code=304, headers=_validators(record))
    headers = representation_headers(record) | {"Content-Length": str(plan.stop - plan.start)}
    if plan.status == 206:
        headers["Content-Range"] = f"bytes {plan.start}-{plan.stop - 1}/{record.upload.offset}"
    if not plan.send_bytes or plan.start == plan.stop:
        return Response(status_code=plan.status, headers=headers)
    link = store.link(record.target) if isinstance(store, Links) and record.target is not None else None
    if link is not None:
        return Response(status_code=307, headers=_validators(record) | {"Location": link})
    return Download(plan, store, record.upload.id, headers)


def _refusal(plan: Plan, record: Record, problem: Problem) -> Response:
    headers = _validators(record)
    if plan.status == 416:
        headers["Content-Range"] = f"bytes */{record.upload.offset}"
        headers["Accept-Ranges"] = "bytes"
    return _problem_response(problem, headers)


def _problem_response(problem: Problem, headers: dict[str, str]) -> Response:
    body = json.dumps(problems.document(problem)).encode()
    return Response(body, problem.kind.status, headers, media_type="application/problem+json")


class Download(Response):
    """Sends a range of a stored upload."""

    def __init__(self, plan: Plan, store: Store, upload_id: str, headers: dict[str, str]) -> None:
        super().__init__(status_code=plan.status, headers=headers)
        self._upload_id = upload_id
        self._size = plan.stop - plan.start
        self._pieces = _Pieces(store, upload_id, plan.start, plan.stop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; raises nothing because of the client or the store."""
        try:
            with suppress(OSError):  # ASGI: how `send` says that the client has left
                await self._answer(scope, receive, send)
        finally:
            await in_thread(self._pieces.close)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            first = await in_thread(self._pieces.next)
        except StoreError as failure:
            log.warning("a download could not begin", upload_id=self._upload_id, error=str(failure))
            await _unavailable()(scope, receive, send)
            return
        try:
            await self._send_until_gone(first, receive, send)
        except StoreError as failure:
            log.warning("a download broke off", upload_id=self._upload_id, error=str(failure))
            wire = scope.get("extensions", {}).get(EXTENSION)
            if wire is not None:  # else the server takes it for our mistake, and says so in the log
                wire.break_off()

    async def _send_until_gone(self, first: memoryview | None, receive: Receive, send: Send) -> None:
        """Send everything, or stop when the client leaves: not every server's `send` tells, `receive` does."""
        sending = asyncio.create_task(self._send_all(first, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_all(self, piece: memoryview | None, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._size
        while piece is not None and left > 0:
            left -= len(piece)
            # Servers keep what they could not send yet, so memory that may be written again is copied, and that
            # before the store is asked for the next piece.
            body = piece if piece.readonly else bytes(piece)
            ahead = in_thread(self._pieces.next) if left > 0 else None
            try:
                await send({"type": "http.response.body", "body": body, "more_body": left > 0})
                piece = await ahead if ahead is not None else None
            finally:
                if ahead is not None:
                    ahead.cancel()
        if left:
            raise StoreError(f"the store handed out {self._size - left} bytes instead of {self._size}")


class _Pieces:
    """The store's pieces, read and closed in worker threads: closing waits for a read that is under way."""

    def __init__(self, store: Store, upload_id: str, start: int, stop: int) -> None:
        self._read = partial(store.read, upload_id, start, stop)
        self._iterator: Iterator[memoryview] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def next(self) -> memoryview | None:
        """The next piece; None: there is none. Raises StoreError."""
        with self._lock:
            if self._closed:
                return None
            if self._iterator is None:
                self._iterator = self._read()
            return next(self._iterator, None)

    def close(self) -> None:
        """Free what the iterator holds; afterwards there are no more pieces."""
        with self._lock:
            self._closed = True
            close: Callable[[], None] | None = getattr(self._iterator, "close", None)  # generators have one
            if close is not None:
                close()


async def _gone(receive: Receive) -> None:
    """Return when the client has left; what it sends meanwhile is of no interest."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _unavailable() -> Response:
    problem = Problem(kind=problems.STORAGE_UNAVAILABLE, detail="the server cannot read the file's bytes at the moment")
    return _problem_response(problem, {"Retry-After": "5"})
