"""Every refusal is a row here: code, HTTP status, title, whose fault, what to do about it.

Answers are `application/problem+json` (RFC 9457) made from these rows; `detail` says which field or byte was wrong.
A row is a module constant; :data:`CATALOGUE` finds it by its code, and :func:`document` writes the answer's body.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from ferryman_protocol.frozen import dataclass

Scalar: TypeAlias = str | int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One row of the catalogue."""

    code: str  # stable, kebab-case: the last part of the problem's `type`
    status: int
    title: str
    fault: Literal["client", "server"]
    remedy: str  # what the person or program on the other side should do


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A refusal: its row, what exactly was wrong, and members for programs (`expected-offset`…)."""

    kind: Kind
    detail: str
    members: tuple[tuple[str, Scalar], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()  # header fields this refusal owes in every dialect (Accept-Encoding…)


class Refused(Exception):
    """Raised where a request is refused; carries the problem that says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.kind.status} {problem.kind.code}: {problem.detail}")
        self.problem = problem


class Overrun(Refused):
    """An append that would carry an IETF upload past its known length (R6).

    Whoever catches it makes the upload INVALID before answering: nothing may touch it any more.
    """


_rows: dict[str, Kind] = {}


def _row(code: str, status: int, title: str, fault: Literal["client", "server"], remedy: str) -> Kind:
    kind = Kind(code=code, status=status, title=title, fault=fault, remedy=remedy)
    _rows[code] = kind
    return kind


def _client(code: str, status: int, title: str, remedy: str) -> Kind:
    return _row(code, status, title, "client", remedy)


def _server(code: str, status: int, title: str, remedy: str) -> Kind:
    return _row(code, status, title, "server", remedy)


# A table reads better with three lines a row.
# fmt: off

# The request cannot be understood.
BAD_REQUEST: Final = _client("bad-request", 400,
    "The request cannot be understood",
    "Correct the request as the detail says and send it again.")
INVALID_FIELD: Final = _client("invalid-field", 400,
    "A header field has a value that is not allowed",
    "Correct the named field and send the request again.")
MISSING_FIELD: Final = _client("missing-field", 400,
    "A header field is missing",
    "Add the named field and send the request again.")
AMBIGUOUS_LENGTH: Final = _client("ambiguous-length", 400,
    "The length of the upload is not clear",
    "Send either Upload-Length with the number of bytes, or Upload-Defer-Length: 1, and only one of them.")
MIXED_PROTOCOLS: Final = _client("mixed-protocols", 400,
    "The request speaks two upload protocols at once",
    "Send either Tus-Resumable or the fields of Resumable Uploads for HTTP, not both.")
NOT_AN_UPLOAD: Final = _client("not-an-upload", 400,
    "The request does not start an upload",
    "Send Tus-Resumable: 1.0.0 with Upload-Length (tus), or Upload-Complete (Resumable Uploads for HTTP).")
INVALID_METADATA: Final = _client("invalid-metadata", 400,
    "Upload-Metadata cannot be read",
    "Send `key base64value` pairs separated by commas; every key once and not empty, every value padded base64.")
INVALID_CHECKSUM: Final = _client("invalid-checksum", 400,
    "Upload-Checksum cannot be read",
    "Send the algorithm's name, one space, and the digest in base64.")
UNKNOWN_ALGORITHM: Final = _client("unknown-checksum-algorithm", 400,
    "This checksum algorithm is not supported",
    "Use one of the algorithms that OPTIONS lists in Tus-Checksum-Algorithm.")
INVALID_DIGEST: Final = _client("invalid-digest", 400,
    "A digest field cannot be read",
    "Send a dictionary as RFC 9530 describes, for instance sha-256=:base64:.")
EXTENSION_UNAVAILABLE: Final = _client("extension-unavailable", 400,
    "This server does not offer that tus extension",
    "Use only the extensions that OPTIONS lists in Tus-Extension.")
UNSUPPORTED_VERSION: Final = _client("unsupported-version", 412,
    "This version of tus is not spoken here",
    "Send Tus-Resumable with a version that Tus-Version lists.")
METHOD_NOT_ALLOWED: Final = _client("method-not-allowed", 405,
    "This method is not allowed here",
    "Use one of the methods that Allow lists.")
UNSUPPORTED_MEDIA_TYPE: Final = _client("unsupported-media-type", 415,
    "The content type is not the expected one",
    "Send the Content-Type that the detail names.")
UNSUPPORTED_CODING: Final = _client("unsupported-coding", 415,
    "This content coding is not taken here",
    "Send the content plain, or with one of the codings that Accept-Encoding lists.")
HEADER_TOO_LARGE: Final = _client("header-too-large", 431,
    "The header fields are too large",
    "Shorten the header fields, for instance Upload-Metadata, and send the request again.")
SLOW_HEADER: Final = _client("slow-header", 408,
    "The header fields took too long to arrive",
    "Send the request again, its header fields at once.")
UNKNOWN_TRANSFER_CODING: Final = _client("unknown-transfer-coding", 501,
    "This transfer coding is not implemented",
    "Send the content with a Content-Length, or with Transfer-Encoding: chunked and nothing else.")
UNKNOWN_HTTP_VERSION: Final = _client("unknown-http-version", 505,
    "This version of HTTP is not spoken here",
    "Send the request as HTTP/1.1.")

# The upload is not there, or not any more.
NOT_FOUND: Final = _client("not-found", 404,
    "There is no such upload",
    "Check the URL; if it was an upload's, start a new upload.")
GONE: Final = _client("gone", 410,
    "The upload is gone",
    "Start a new upload.")
UPLOAD_FAILED: Final = _client("upload-failed", 410,
    "The upload has failed",
    "Read the detail for the reason, then start a new upload. DELETE frees what this one holds.")
UPLOAD_INVALID: Final = _client("upload-invalid", 410,
    "The upload became invalid: it was sent more bytes than its length",
    "Start a new upload with the right length. DELETE frees what this one holds.")

# The upload stands elsewhere than the request thinks.
MISMATCHING_UPLOAD_OFFSET: Final = _client("mismatching-upload-offset", 409,
    "The offset of the request is not the upload's offset",
    "Continue from the offset that Upload-Offset tells.")
COMPLETED_UPLOAD: Final = _client("completed-upload", 409,
    "The upload is complete: nothing more can be appended",
    "Send nothing more; to change the file, start a new upload.")
SUPERSEDED: Final = _client("superseded", 409,
    "A newer request took this upload over",
    "Let the newer request go on; otherwise continue from the offset that Upload-Offset tells.")
FINISHING: Final = _server("finishing", 503,
    "The upload has all its bytes and is being finished",
    "Ask again after the time that Retry-After tells.")
FINAL_UPLOAD: Final = _client("final-upload", 403,
    "A final upload is made of its partial uploads and takes no bytes itself",
    "Send the bytes to the partial uploads.")

# Concatenation.
INVALID_CONCATENATION: Final = _client("invalid-concatenation", 400,
    "Upload-Concat cannot be read",
    "Send `partial`, or `final;` and the URLs of partial uploads separated by spaces.")
UNKNOWN_PARTIAL: Final = _client("unknown-partial", 400,
    "A partial upload named by the final one does not exist",
    "Name partial uploads that exist, or upload the missing part again.")
NOT_A_PARTIAL: Final = _client("not-a-partial", 400,
    "An upload named by the final one is not a partial upload",
    "Create the parts with Upload-Concat: partial.")

# Lengths and limits.
INCONSISTENT_UPLOAD_LENGTH: Final = _client("inconsistent-upload-length", 400,
    "The lengths given for the upload contradict each other",
    "Send the same length everywhere: Upload-Length is the offset plus everything that is still to come.")
EXCEEDS_LENGTH: Final = _client("exceeds-length", 413,
    "The content goes beyond the upload's length",
    "Ask for the offset with HEAD and send only what is missing.")
OVERRUN: Final = _client("overrun", 400,
    "The content goes beyond the upload's length, so the upload is now invalid",
    "Start a new upload with the right length.")
EXCEEDS_MAX_SIZE: Final = _client("exceeds-max-size", 413,
    "The upload is larger than this server takes",
    "Send a smaller file, or ask the operator to raise the maximum size.")
EXCEEDS_MAX_APPEND_SIZE: Final = _client("exceeds-max-append-size", 413,
    "One request brings more than this server takes at once",
    "Send the upload in several smaller requests, each within max-append-size of Upload-Limit.")
BELOW_MIN_APPEND_SIZE: Final = _client("below-min-append-size", 400,
    "One request brings less than this server takes at once",
    "Send at least min-append-size bytes of Upload-Limit a request; only the last one may be smaller.")
BELOW_MIN_SIZE: Final = _client("below-min-size", 400,
    "The file is too small for a resumable upload here",
    "Send the whole file in one request with Upload-Complete: ?1.")

# The content is not what it should be.
CHECKSUM_MISMATCH: Final = _client("checksum-mismatch", 460,
    "The content does not have the checksum of Upload-Checksum",
    "Send the same content again from the same offset; nothing of it was stored.")
CONTENT_DIGEST_MISMATCH: Final = _client("content-digest-mismatch", 400,
    "The content does not have the digest of Content-Digest",
    "Send the same content again from the same offset; nothing of it was stored.")
DIGEST_MISMATCH: Final = _client("digest-mismatch", 400,
    "The upload does not have the digest of Repr-Digest",
    "The bytes were changed on the way or the digest is wrong: start a new upload.")
CORRUPT_ENCODING: Final = _client("corrupt-encoding", 400,
    "The coded content is damaged",
    "Code the content anew and send it again from the same offset; nothing of it was stored.")
TRUNCATED_ENCODING: Final = _client("truncated-encoding", 400,
    "The coded content ends too early",
    "Send the whole coded content, from the same offset; nothing of it was stored.")
WINDOW_TOO_LARGE: Final = _client("window-too-large", 400,
    "The zstd window is larger than 8 MiB",
    "Compress with a window of at most 8 MiB (window log 23), as RFC 9659 asks.")
BODY_STALLED: Final = _client("body-stalled", 408,
    "No byte of the content came for too long",
    "Ask for the offset with HEAD and continue from there.")
DISCONNECTED: Final = _client("disconnected", 400,
    "The connection broke before the content ended",
    "Ask for the offset with HEAD and continue from there.")

# The caller.
UNAUTHORISED: Final = _client("unauthorised", 401,
    "This needs a proof of who you are",
    "Send the credentials that this server asks for.")
UNKNOWN_HOST: Final = _client("unknown-host", 421,
    "The server does not go by this name here",
    "Use the server's own address, or add the name to its setting allowed_hosts.")
FORBIDDEN: Final = _client("forbidden", 403,
    "This is not allowed for you",
    "Ask the operator for access.")
TOO_MANY_REQUESTS: Final = _client("too-many-requests", 429,
    "Too many requests at once",
    "Wait for the time that Retry-After tells, then try again.")

# Downloads.
PRECONDITION_FAILED: Final = _client("precondition-failed", 412,
    "A condition of the request does not hold",
    "Ask without the condition, or with the current ETag.")
RANGE_NOT_SATISFIABLE: Final = _client("range-not-satisfiable", 416,
    "The range lies outside the file",
    "Ask for a range within the size that Content-Range tells.")

# Media and their frames.
NO_SUCH_MEDIUM: Final = _client("no-such-medium", 404,
    "There is no such medium or frame",
    "Check the URL; the list of media tells which there are.")
NOT_ACCEPTABLE: Final = _client("not-acceptable", 406,
    "It is not to be had in the form that is asked for",
    "Ask for one of the forms that the detail names.")
TOO_MANY_FRAMES: Final = _client("too-many-frames", 413,
    "So many frames are too much for one answer",
    "Ask for fewer frames at once; the detail tells how many fit.")
UNUSABLE_FRAME: Final = _client("unusable-frame", 422,
    "No picture can be made of this frame",
    "Ask for the frame's own bytes; or upload an archive in which the frame is right.")
PICTURES_UNAVAILABLE: Final = _client("pictures-unavailable", 501,
    "This server cannot make pictures",
    "Ask for the frame's own bytes; or have the operator install ferryman[media].")

# What is said of media.
INVALID_CONTENT: Final = _client("invalid-content", 422,
    "A field of the content is not as it should be",
    "Correct the named field and send the request again.")
CONTENT_TOO_LARGE: Final = _client("content-too-large", 413,
    "The content is larger than is taken here",
    "Send only the fields that are to change.")
SLUG_TAKEN: Final = _client("slug-taken", 409,
    "Another medium has this slug",
    "Choose another slug.")
NOTHING_TO_PROCESS: Final = _client("nothing-to-process", 409,
    "There is nothing here to be processed anew",
    "Read the detail for the reason; only complete archives are processed anew.")
FOREIGN_PAGE: Final = _client("foreign-page", 403,
    "A page of another site may not ask for this",
    "Use this server's own page. A proxy in front of the server has to pass the Host field on as it came.")

# The server.
STORAGE_FULL: Final = _server("storage-full", 507,
    "The storage is full",
    "Ask the operator to make room, then continue from the offset that HEAD tells.")
STORAGE_UNAVAILABLE: Final = _server("storage-unavailable", 503,
    "The storage does not answer as it should",
    "Try again after the time that Retry-After tells; ask for the offset with HEAD first.")
CROWDED: Final = _server("crowded", 503,
    "The server has as many connections as it can serve",
    "Try again after the time that Retry-After tells.")
SHUTTING_DOWN: Final = _server("shutting-down", 503,
    "The server is going down",
    "Try again in a moment; ask for the offset with HEAD first.")
INTERNAL: Final = _server("internal", 500,
    "The server made a mistake",
    "Ask for the offset with HEAD and try again; if it happens again, tell the operator.")

# fmt: on

CATALOGUE: Final[Mapping[str, Kind]] = MappingProxyType(_rows)

_REGISTERED: Final = (MISMATCHING_UPLOAD_OFFSET.code, INCONSISTENT_UPLOAD_LENGTH.code)


def type_uri(kind: Kind) -> str:
    """The problem's `type`: the IANA address for the two types the IETF draft registers, a URN for the others."""
    if kind.code in _REGISTERED:
        return f"https://iana.org/assignments/http-problem-types#{kind.code}"
    return f"urn:ferryman:problem:{kind.code}"


def document(problem: Problem, instance: str | None = None) -> dict[str, Scalar]:
    """The problem as an `application/problem+json` object (RFC 9457 §3); `instance` is the request's own URI or id."""
    body: dict[str, Scalar] = {
        "type": type_uri(problem.kind),
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "remedy": problem.kind.remedy,
    }
    if instance is not None:
        body["instance"] = instance
    # Members never hide the standard ones: a program must be able to trust `status` and `type`.
    body.update((name, value) for name, value in problem.members if name not in body)
    return body
