"""Reading the header fields that both protocols use, strictly: one line, plain digits, nothing guessed.

A lenient reader and a strict one in front of it disagree about where a body ends or how long a file is; so `+5`,
`007`, `1_0` and doubled lines are refused here, and the refusal names the field.
"""

import re
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.commands import Coding
from ferryman_protocol.digest_fields import Digests, parse_digests, parse_want
from ferryman_protocol.field_values import content_codings, media_type, whole_number
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.refusals import not_found, quoted, refusal, unsupported_coding

MAX_NUMBER: Final = 999_999_999_999_999  # bytes: the largest Integer a structured field can carry (RFC 9651 §3.3.1)

# RFC 9110 §8.3.1, with parameters of printable ASCII; 255 is what a database column and a log line bear.
_MEDIA_TYPE: Final = re.compile(r"(?=.{3,255}\Z)[!#-'*+.^-z|~\d-]+/[!#-'*+.^-z|~\d-]+(?:[ \t]*;[ -~]*)?", re.ASCII)

_SINGLETONS: Final = (
    "Content-Length",
    "Content-Type",
    "Content-Disposition",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Defer-Length",
    "Upload-Metadata",
    "Upload-Concat",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Incomplete",
    "Upload-Draft-Interop-Version",
    "X-HTTP-Method-Override",
)


def refuse_doubled(headers: Headers) -> None:
    """Raise Refused (400) when a field that may come once came on several lines."""
    if not headers.repeated:
        return
    for name in _SINGLETONS:
        count = len(headers.all(name.lower()))
        if count > 1:
            raise refusal(problems.INVALID_FIELD, f"{name} may be sent once, but came {count} times.")


def require_id(upload_id: str) -> str:
    """The id itself, or Refused (404) when it has not the form of an id."""
    if not is_id(upload_id):
        raise problems.Refused(not_found(upload_id))
    return upload_id


def number(headers: Headers, name: str) -> int | None:
    """The field's whole number, None when it is absent; raises Refused (400)."""
    values = headers.all(name.lower())
    if not values:
        return None
    value = whole_number(values[0])
    if value is None or value > MAX_NUMBER:
        detail = f"{name} must be a plain whole number of at most 15 digits, not {quoted(values[0])}."
        raise refusal(problems.INVALID_FIELD, detail)
    return value


def content_length(headers: Headers) -> int | None:
    """Bytes of the body by Content-Length, 0 when there is no body, None when it is chunked; raises Refused (400)."""
    length = number(headers, "Content-Length")
    if "transfer-encoding" not in headers:
        return length or 0
    if length is not None:
        # RFC 9112 §6.1: both together are how requests are smuggled.
        raise refusal(problems.BAD_REQUEST, "Content-Length and Transfer-Encoding came together.")
    return None


def essence(headers: Headers) -> str:
    """The media type of the body without its parameters, in lower case; empty when there is none."""
    values = headers.all("content-type")
    return media_type(values[0]) if values else ""


def stored_media_type(value: str | None) -> str | None:
    """A client's media type with its parameters, if it can be served again in a header field as it is; else None."""
    return value if value is not None and _MEDIA_TYPE.fullmatch(value) else None


def one_coding(headers: Headers) -> Coding:
    """The one content coding of the body; raises Refused (415 with Accept-Encoding) for stacks and unknown ones."""
    match content_codings(headers):
        case ():
            return "identity"
        case ("gzip",):
            return "gzip"
        case ("zstd",):
            return "zstd"
        case (name,):
            raise unsupported_coding(f"The content coding {quoted(name)} is not supported; gzip and zstd are.")
        case codings:
            raise unsupported_coding(f"Only one content coding can be undone, not {len(codings)} on top of each other.")


def digests(headers: Headers, name: str) -> Digests | None:
    """The digests of Content-Digest or Repr-Digest that can be checked; raises Refused (400)."""
    if name.lower() not in headers:
        return None
    try:
        return parse_digests(headers.all(name.lower()))
    except ValueError as error:
        raise refusal(problems.INVALID_DIGEST, f"{name}: {error}") from error


def wanted_digests(headers: Headers) -> tuple[str, ...]:
    """The algorithms of Want-Repr-Digest that we know, the preferred first."""
    return parse_want(headers.all("want-repr-digest"))
