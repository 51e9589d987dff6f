"""Resumable Uploads for HTTP: header fields → command.

The draft's own fields are structured fields, and an invalid value voids its field (R1): `Upload-Complete: true` is
absent, `Upload-Length: -5` says nothing. What HTTP itself needs (Content-Length) stays strict.
"""

from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.commands import Append, Command, Content, Create, Describe, Fetch, Inspect, Terminate
from ferryman_protocol.field_values import disposition_filename
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Request
from ferryman_protocol.refusals import method_not_allowed, refusal
from ferryman_protocol.request_fields import (
    content_length,
    digests,
    essence,
    one_coding,
    refuse_doubled,
    require_id,
    stored_media_type,
    wanted_digests,
)
from ferryman_protocol.rufh_versions import Version
from ferryman_protocol.structured_fields import boolean_field, integer_field

PARTIAL_UPLOAD: Final = "application/partial-upload"
COLLECTION_METHODS: Final = ("OPTIONS", "POST", "PUT", "PATCH")
UPLOAD_METHODS: Final = ("OPTIONS", "HEAD", "GET", "PATCH", "DELETE")


def read(request: Request, version: Version, *, draft: bool) -> Command:
    """The command a request of this version means; `draft`: it named the version. Raises Refused."""
    headers = request.headers
    if request.method == "OPTIONS":
        return Describe(upload_id=request.upload_id)
    refuse_doubled(headers)
    if request.upload_id is None:
        # Draft, creation: "all request methods that allow content are possible, such as POST, PUT, and PATCH".
        if request.method not in ("POST", "PUT", "PATCH"):
            raise method_not_allowed(request.method, COLLECTION_METHODS)
        return _create(headers, version)
    upload_id = require_id(request.upload_id)
    match request.method:
        case "HEAD":
            _forbid(headers, version.head_forbids, "HEAD", version)
            return Inspect(upload_id=upload_id, takes_over=True)
        case "GET":
            return Fetch(upload_id=upload_id, takes_over=draft)
        case "DELETE":
            _forbid(headers, version.delete_forbids, "DELETE", version)
            return Terminate(upload_id=upload_id)
        case "PATCH":
            return _append(upload_id, headers, version)
        case method:
            raise method_not_allowed(method, UPLOAD_METHODS)


def _create(headers: Headers, version: Version) -> Create:
    completes = _completes(headers, version)
    if completes is None:
        raise _missing_completeness(version)
    coding = one_coding(headers)
    disposition = headers.joined("content-disposition")
    body = _content(headers)
    return Create(
        length=integer_field(headers, "upload-length"),
        content=None if body.length == 0 and body.digests is None else body,
        completes=completes,
        content_type=stored_media_type(headers.joined("content-type")),
        content_encoding=None if coding == "identity" else coding,
        filename=None if disposition is None else disposition_filename(disposition),
        repr_digests=digests(headers, "Repr-Digest"),
        want_repr_digests=wanted_digests(headers),
    )


def _append(upload_id: str, headers: Headers, version: Version) -> Append:
    if version.partial_upload_type and essence(headers) != PARTIAL_UPLOAD:
        detail = f"An append must have Content-Type: {PARTIAL_UPLOAD}."
        raise refusal(problems.UNSUPPORTED_MEDIA_TYPE, detail, headers=[("Accept-Patch", PARTIAL_UPLOAD)])
    offset = integer_field(headers, "upload-offset")
    if offset is None:
        raise refusal(problems.MISSING_FIELD, "An append needs Upload-Offset, a whole number of bytes.")
    completes = _completes(headers, version)
    if completes is None:
        if not version.inverted or "upload-complete" in headers:
            raise _missing_completeness(version)
        # Draft -01, append: an upload is complete after a request "with the Upload-Incomplete header being omitted or
        # set to false".
        completes = True
    coding = one_coding(headers)
    return Append(
        upload_id=upload_id,
        offset=offset,
        content=_content(headers),
        length=integer_field(headers, "upload-length"),
        completes=completes,
        content_encoding=None if coding == "identity" else coding,
        repr_digests=digests(headers, "Repr-Digest"),
        want_repr_digests=wanted_digests(headers),
    )


def _content(headers: Headers) -> Content:
    return Content(length=content_length(headers), digests=digests(headers, "Content-Digest"))


def _completes(headers: Headers, version: Version) -> bool | None:
    said = boolean_field(headers, version.completeness.lower())
    return said if said is None else said is not version.inverted


def _missing_completeness(version: Version) -> problems.Refused:
    last, more = ("?0", "?1") if version.inverted else ("?1", "?0")
    detail = f"{version.completeness} must be {last} when the content ends the upload, or {more} when more will follow."
    return refusal(problems.MISSING_FIELD, detail)


def _forbid(headers: Headers, names: tuple[str, ...], method: str, version: Version) -> None:
    for name in names:
        if name.lower() in headers:
            detail = f"{method} must not carry {name} in interop version {version.number}."
            raise refusal(problems.BAD_REQUEST, detail)
