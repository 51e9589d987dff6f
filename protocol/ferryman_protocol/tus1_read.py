"""tus 1.0.0: header fields → command.

Checked in this order, so that the first thing wrong is the one that is told: the version, doubled fields, the method
(with `X-HTTP-Method-Override`), the id, then the fields of the method. A value is refused rather than repaired.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.commands import (
    Append,
    Checksum,
    Command,
    Content,
    Create,
    Describe,
    Fetch,
    Inspect,
    Terminate,
)
from ferryman_protocol.digest_fields import CHECKSUM_ALGORITHMS, parse_checksum
from ferryman_protocol.headers import Headers
from ferryman_protocol.metadata import Metadata, parse_metadata
from ferryman_protocol.model import TUS_VERSION, Concat, Limits, Request
from ferryman_protocol.refusals import method_not_allowed, quoted, refusal
from ferryman_protocol.request_fields import (
    content_length,
    digests,
    essence,
    number,
    one_coding,
    refuse_doubled,
    require_id,
    stored_media_type,
    wanted_digests,
)
from ferryman_protocol.tus1_concat import read_concat

OFFSET_STREAM: Final = "application/offset+octet-stream"
COLLECTION_METHODS: Final = ("OPTIONS", "POST")
UPLOAD_METHODS: Final = ("OPTIONS", "HEAD", "GET", "PATCH", "DELETE")


def read(request: Request, limits: Limits) -> Command:
    """The command a tus request means; raises Refused."""
    headers = request.headers
    if request.method == "OPTIONS":
        # "The Client SHOULD NOT include the Tus-Resumable header in the request and the Server MUST ignore the header."
        return Describe(upload_id=request.upload_id)
    _require_version(headers)
    refuse_doubled(headers)
    method = _method(request)
    if method == "OPTIONS":
        return Describe(upload_id=request.upload_id)
    if request.upload_id is None:
        if method != "POST":
            raise method_not_allowed(method, COLLECTION_METHODS)
        return _create(headers, limits)
    upload_id = require_id(request.upload_id)
    match method:
        case "HEAD":
            return Inspect(upload_id=upload_id, takes_over=False)
        case "GET":
            return Fetch(upload_id=upload_id, takes_over=False)
        case "DELETE":
            _require_extension("termination", limits)
            return Terminate(upload_id=upload_id)
        case "PATCH":
            return _append(upload_id, headers, limits)
        case _:
            raise method_not_allowed(method, UPLOAD_METHODS)


def read_trailer_checksum(trailers: Sequence[tuple[str, str]]) -> Checksum:
    """The checksum that `Trailer: Upload-Checksum` promised, from the trailer's fields; raises Refused (400)."""
    values = [value for name, value in trailers if name.lower() == "upload-checksum"]
    if len(values) != 1:
        detail = f"The trailer must hold Upload-Checksum once, as the Trailer field promised, not {len(values)} times."
        raise refusal(problems.INVALID_CHECKSUM, detail)
    return _checksum(values[0].strip(" \t"))


def _require_version(headers: Headers) -> None:
    versions = headers.all("tus-resumable")
    if len(versions) < 2 and versions != (TUS_VERSION,):
        # "If the version specified by the Client is not supported by the Server, it MUST respond with the 412
        # Precondition Failed status and MUST include the Tus-Version header".
        said = f"Tus-Resumable says {quoted(versions[0])}" if versions else "Tus-Resumable is missing"
        raise refusal(problems.UNSUPPORTED_VERSION, f"{said}; {TUS_VERSION} is spoken here.")


def _method(request: Request) -> str:
    # "The actual method of the request MUST be ignored."
    override = request.headers.joined("x-http-method-override")
    return request.method if override is None else override.upper()


def _require_extension(name: str, limits: Limits) -> None:
    if name not in limits.extensions:
        raise refusal(problems.EXTENSION_UNAVAILABLE, f"The extension {name} is not offered with this storage.")


def _create(headers: Headers, limits: Limits) -> Create:
    _require_extension("creation", limits)
    role, parts = read_concat(headers, limits)
    if role is not None:
        _require_extension("concatenation", limits)
    metadata = _metadata(headers)
    return Create(
        length=_length(headers, role, limits),
        content=_creation_content(headers, role, limits),
        metadata=headers.joined("upload-metadata") or None,
        concat=role,
        concat_echo=headers.joined("upload-concat"),
        parts=parts,
        content_type=stored_media_type(metadata.text("filetype", "type", "content_type", "contentType")),
        filename=metadata.text("filename", "name") or None,
        repr_digests=digests(headers, "Repr-Digest"),
        want_repr_digests=wanted_digests(headers),
    )


def _length(headers: Headers, role: Concat | None, limits: Limits) -> int | None:
    length = number(headers, "Upload-Length")
    deferred = headers.joined("upload-defer-length")
    if deferred not in (None, "1"):
        raise refusal(problems.INVALID_FIELD, f"Upload-Defer-Length must be 1, not {quoted(deferred or '')}.")
    if role is Concat.FINAL:
        # "The Client MUST NOT include the Upload-Length header in the final upload creation."
        if length is not None or deferred is not None:
            detail = "A final upload has the length of its parts: send neither Upload-Length nor Upload-Defer-Length."
            raise refusal(problems.INVALID_CONCATENATION, detail)
        return None
    if (length is None) is (deferred is None):
        which = "neither came" if length is None else "both came"
        raise refusal(problems.AMBIGUOUS_LENGTH, f"Upload-Length or Upload-Defer-Length is needed; {which}.")
    if deferred is not None:
        _require_extension("creation-defer-length", limits)
    return length


def _metadata(headers: Headers) -> Metadata:
    try:
        return parse_metadata(headers.joined("upload-metadata") or "")
    except ValueError as error:
        raise refusal(problems.INVALID_METADATA, str(error)) from error


def _creation_content(headers: Headers, role: Concat | None, limits: Limits) -> Content | None:
    content = _content(headers, limits)
    if content.length == 0 and content.checksum is None and content.digests is None:
        return None
    if role is Concat.FINAL:
        raise refusal(problems.INVALID_CONCATENATION, "A final upload is created without content.")
    _require_extension("creation-with-upload", limits)
    # "The Client MUST include the Content-Type: application/offset+octet-stream header."
    _require_stream(headers)
    return content


def _append(upload_id: str, headers: Headers, limits: Limits) -> Append:
    _require_stream(headers)
    offset = number(headers, "Upload-Offset")
    if offset is None:
        raise refusal(problems.MISSING_FIELD, "PATCH needs Upload-Offset, the byte where its content starts.")
    return Append(
        upload_id=upload_id,
        offset=offset,
        content=_content(headers, limits),
        length=number(headers, "Upload-Length"),
        repr_digests=digests(headers, "Repr-Digest"),
        want_repr_digests=wanted_digests(headers),
    )


def _require_stream(headers: Headers) -> None:
    if essence(headers) != OFFSET_STREAM:
        detail = f"The content must have Content-Type: {OFFSET_STREAM}."
        raise refusal(problems.UNSUPPORTED_MEDIA_TYPE, detail, headers=[("Accept-Patch", OFFSET_STREAM)])


def _content(headers: Headers, limits: Limits) -> Content:
    return Content(
        length=content_length(headers),
        coding=one_coding(headers),
        checksum=_announced_checksum(headers, limits),
        digests=digests(headers, "Content-Digest"),
    )


def _announced_checksum(headers: Headers, limits: Limits) -> Checksum | None:
    value = headers.joined("upload-checksum")
    in_trailer = "trailer" in headers and "upload-checksum" in _members(headers.all("trailer"))
    if value is not None and in_trailer:
        raise refusal(problems.INVALID_CHECKSUM, "Upload-Checksum came in the header and was promised in the trailer.")
    if in_trailer:
        _require_extension("checksum-trailer", limits)
        return Checksum(algorithm="", digest=None)
    if value is None:
        return None
    _require_extension("checksum", limits)
    return _checksum(value)


def _members(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip(" \t").lower() for line in lines for name in line.split(","))


def _checksum(value: str) -> Checksum:
    name = value.partition(" ")[0]
    if name not in CHECKSUM_ALGORITHMS:
        detail = f"Upload-Checksum names {quoted(name)}; known are {', '.join(CHECKSUM_ALGORITHMS)}."
        raise refusal(problems.UNKNOWN_ALGORITHM, detail)
    try:
        algorithm, digest = parse_checksum(value)
    except ValueError as error:
        raise refusal(problems.INVALID_CHECKSUM, str(error)) from error
    return Checksum(algorithm=algorithm, digest=digest)
