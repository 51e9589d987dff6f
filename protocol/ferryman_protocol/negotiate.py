"""Which protocol a request speaks, and what this server says about itself.

The rules, first match wins:

1. OPTIONS describes the server in both protocols, whatever else it carries.
2. `Tus-Resumable` together with a sign of the IETF protocol: refused, since the two would judge the body differently.
3. `Tus-Resumable`: tus. Only here `X-HTTP-Method-Override` counts.
4. A sign of the IETF protocol: a valid `Upload-Complete`, `Upload-Incomplete` or interop version, or the type
   `application/partial-upload`.
5. What only tus clients send, but without `Tus-Resumable`: tus, which answers 412.
6. HEAD, GET or DELETE of an upload: the IETF protocol, whose final clients send nothing that would tell them apart.
7. Anything else starts no upload here.

`Upload-Offset` and `Upload-Length` are in both protocols and tell nothing by themselves.
"""

from typing import Final

from ferryman_protocol import problems, rufh_read, tus1_read
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.digest_fields import CHECKSUM_ALGORITHMS
from ferryman_protocol.headers import Headers
from ferryman_protocol.limit_fields import upload_limit
from ferryman_protocol.model import TUS_VERSION, Limits, Reply, Request
from ferryman_protocol.problems import Refused
from ferryman_protocol.refusals import ACCEPT_ENCODING, method_not_allowed, refusal
from ferryman_protocol.request_fields import essence, refuse_doubled, require_id
from ferryman_protocol.rufh import Rufh
from ferryman_protocol.rufh_versions import INTEROP_HEADER, VERSIONS
from ferryman_protocol.structured_fields import boolean_field, integer_field
from ferryman_protocol.tus1 import Tus1

_TUS_ONLY: Final = ("upload-defer-length", "upload-concat", "upload-metadata", "upload-checksum")
_APPEND_TYPES: Final = f"{tus1_read.OFFSET_STREAM}, {rufh_read.PARTIAL_UPLOAD}"


def recognise(request: Request, limits: Limits) -> Dialect:
    """The dialect that reads this request; raises Refused, to be answered by :func:`fallback`'s dialect."""
    headers = request.headers
    if request.method == "OPTIONS":
        return Rufh(None)
    ietf = _speaks_ietf(headers)
    if "tus-resumable" in headers:
        if ietf:
            raise refusal(problems.MIXED_PROTOCOLS, "Tus-Resumable came together with fields of the IETF protocol.")
        return Tus1()
    if ietf:
        return Rufh(_interop(headers))
    if _speaks_tus(request):
        return Tus1()
    if request.upload_id is not None and request.method in ("HEAD", "GET", "DELETE"):
        return Rufh(None)
    raise _no_upload(request)


def fallback(request: Request) -> Dialect:
    """The dialect whose refusal a client of this request understands best, whatever is wrong with the request."""
    if "tus-resumable" in request.headers:
        return Tus1()
    if _speaks_ietf(request.headers):
        return Rufh(_interop(request.headers))
    return Tus1() if _speaks_tus(request) else Rufh(None)


def described(limits: Limits, *, upload: bool = False) -> Reply:
    """Answer OPTIONS with what both protocols ask for. `upload`: the URL was an upload's, not the collection's."""
    methods = rufh_read.UPLOAD_METHODS if upload else rufh_read.COLLECTION_METHODS
    fields = [("Tus-Resumable", TUS_VERSION), ("Tus-Version", TUS_VERSION)]
    if limits.extensions:
        fields.append(("Tus-Extension", ",".join(limits.extensions)))
    if limits.max_size is not None:
        fields.append(("Tus-Max-Size", str(limits.max_size)))
    if "checksum" in limits.extensions:
        fields.append(("Tus-Checksum-Algorithm", ",".join(CHECKSUM_ALGORITHMS)))
    fields += [
        ("Upload-Limit", upload_limit(limits, age=limits.max_age)),
        ACCEPT_ENCODING,
        ("Accept-Patch", _APPEND_TYPES),
        ("Allow", ", ".join(methods)),
    ]
    return Reply(status=204, headers=tuple(fields))


def _interop(headers: Headers) -> int | None:
    version = integer_field(headers, INTEROP_HEADER.lower())
    return version if version in VERSIONS else None


def _speaks_ietf(headers: Headers) -> bool:
    return (
        boolean_field(headers, "upload-complete") is not None
        or boolean_field(headers, "upload-incomplete") is not None
        or integer_field(headers, INTEROP_HEADER.lower()) is not None
        or essence(headers) == rufh_read.PARTIAL_UPLOAD
    )


def _speaks_tus(request: Request) -> bool:
    headers = request.headers
    if any(name in headers for name in _TUS_ONLY) or essence(headers) == tus1_read.OFFSET_STREAM:
        return True
    return request.method == "POST" and "upload-length" in headers and "upload-complete" not in headers


def _no_upload(request: Request) -> Refused:
    refuse_doubled(request.headers)
    if request.upload_id is not None:
        require_id(request.upload_id)
        if request.method != "PATCH":
            return method_not_allowed(request.method, rufh_read.UPLOAD_METHODS)
    elif request.method not in rufh_read.COLLECTION_METHODS:
        return method_not_allowed(request.method, rufh_read.COLLECTION_METHODS)
    if request.method == "PATCH":
        detail = f"PATCH must have one of the content types {_APPEND_TYPES}."
        return refusal(problems.UNSUPPORTED_MEDIA_TYPE, detail, headers=[("Accept-Patch", _APPEND_TYPES)])
    detail = "Neither Tus-Resumable nor Upload-Complete (?0 or ?1) is there to say that this is an upload."
    return refusal(problems.NOT_AN_UPLOAD, detail)
