"""What the head of a request must be before any application sees it, and the answer to one that is not.

The parser (llhttp, strict) already refuses folded fields, control bytes, white space before the colon, a
Content-Length that is not digits, or doubled, or beside Transfer-Encoding. Here is what it leaves to its caller: the
version, Host, the transfer coding, the request target. Everything raises :class:`Refused` with a row of the catalogue.
"""

import functools
import json
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import httptools

from ferryman_protocol import problems
from ferryman_protocol.frozen import dataclass
from ferryman_protocol.problems import Kind, Problem, Refused

_HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")  # RFC 9110 §7.2: uri-host [ ":" port ]
_PLAIN: Final = re.compile(rb"/(?:[\w.~-][\w.~/-]*)?")  # a target that is its own path: no query, nothing to decode
_JUDGED: Final = frozenset((b"host", b"expect", b"transfer-encoding", b"content-length"))
_FIELD_REASONS: Final = ("header", "Content-Length", "Transfer-Encoding", "whitespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What the wire needs to know of a request's head."""

    raw_path: bytes
    path: str  # percent-decoded; what is not UTF-8 becomes U+FFFD
    query: bytes
    length: int | None  # of the body, in bytes; None when chunked
    waits: bool  # the client waits for 100 (Continue)


def read_head(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Head:
    """Check a request's head; names in lower case, values trimmed. Raises Refused."""
    if version not in ("1.0", "1.1"):
        raise _refused(problems.UNKNOWN_HTTP_VERSION, f"the request says HTTP/{version}")
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _JUDGED:
            found.setdefault(name, []).append(value)
    _check_host(version, found.get(b"host", ()))
    raw_path, path, query = _read_target(target)
    return Head(
        raw_path=raw_path,
        path=path,
        query=query,
        length=_read_length(version, found.get(b"transfer-encoding", ()), found.get(b"content-length", ())),
        # RFC 9110 §10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore".
        waits=version == "1.1" and b"100-continue" in map(bytes.lower, found.get(b"expect", ())),
    )


def header_too_large(limit: int) -> Refused:
    """The head of a request goes beyond the limit, in bytes."""
    return _refused(problems.HEADER_TOO_LARGE, f"the request line and the header fields go beyond {limit} bytes")


def slow_header(seconds: float) -> Problem:
    """The head of a request did not come in time."""
    return Problem(kind=problems.SLOW_HEADER, detail=f"the header fields were not complete after {seconds:g} seconds")


def unreadable(error: httptools.HttpParserError, headers: Sequence[tuple[bytes, bytes]] | None) -> Problem:
    """What to tell a client whose bytes the parser refused. `headers`: the fields read so far while in the head."""
    if isinstance(error.__context__, Refused):
        return error.__context__.problem
    reason = str(error)
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return Problem(kind=problems.BAD_REQUEST, detail="the method is not one of HTTP's (they are in capitals)")
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return _target_problem()
    if headers is None or not any(word in reason for word in _FIELD_REASONS):
        return Problem(kind=problems.BAD_REQUEST, detail=f"the request cannot be read: {reason}")
    # The parser tells a field only when the next one has begun, so the last one told is a neighbour of the wrong one.
    last = headers[-1][0][:60].decode("latin-1") if headers else ""  # a name may have thousands of characters
    where = f"in or behind the field after {last}" if last else "near the first field"
    return Problem(kind=problems.INVALID_FIELD, detail=f"{reason} ({where})")


def answer(problem: Problem, defaults: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole answer to a request that no application gets to see; the connection ends with it."""
    body = json.dumps(problems.document(problem)).encode()
    status = HTTPStatus(problem.kind.status)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode("ascii"))]
    lines += [b"%s: %s" % field for field in defaults]
    lines += [b"content-type: application/problem+json", b"content-length: %d" % len(body), b"connection: close"]
    return b"\r\n".join([*lines, b"", body])


def _check_host(version: str, hosts: Sequence[bytes]) -> None:
    """RFC 9112 §3.2: "A server MUST respond with a 400 […] to any HTTP/1.1 request message that lacks a Host header
    field and to any request message that contains more than one Host header field line or […] an invalid value"."""
    if not hosts and version == "1.1":
        raise _refused(problems.MISSING_FIELD, "Host is missing")
    if len(hosts) > 1:
        raise _refused(problems.INVALID_FIELD, f"Host came {len(hosts)} times; it must come once")
    if hosts and not _is_host(hosts[0]):
        raise _refused(problems.INVALID_FIELD, "Host is not a host name with an optional port")


@functools.lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _read_target(target: bytes) -> tuple[bytes, str, bytes]:
    """The path, as it came and decoded, and the query of a request target in origin, absolute or asterisk form
    (RFC 9112 §3.2)."""
    if _PLAIN.fullmatch(target):
        return target, target.decode("ascii"), b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise Refused(_target_problem()) from None
    path = url.path or b"/"
    return path, unquote(path.decode("ascii")), url.query or b""


def _read_length(version: str, codings: Sequence[bytes], lengths: Sequence[bytes]) -> int | None:
    if codings:
        # RFC 9112 §6.1: a message of HTTP/1.0 that has a Transfer-Encoding has to be treated as badly framed.
        if version == "1.0":
            raise _refused(problems.INVALID_FIELD, "Transfer-Encoding is not part of HTTP/1.0")
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise _refused(problems.UNKNOWN_TRANSFER_CODING, "Transfer-Encoding is not `chunked`")
        return None
    return int(lengths[0]) if lengths else 0


def _target_problem() -> Problem:
    detail = "the request target is not a path, or has a byte in it that must be percent-encoded"
    return Problem(kind=problems.BAD_REQUEST, detail=detail)


def _refused(kind: Kind, detail: str) -> Refused:
    return Refused(Problem(kind=kind, detail=detail))
