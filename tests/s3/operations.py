"""Which S3 operation a request is: read from its method, its address (bucket in the path) and one header."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl, unquote


class Operation(Enum):
    """The operations that a store of uploads needs; everything else is OTHER."""

    CREATE_MULTIPART = "CreateMultipartUpload"
    UPLOAD_PART = "UploadPart"
    UPLOAD_PART_COPY = "UploadPartCopy"
    COMPLETE = "CompleteMultipartUpload"
    ABORT = "AbortMultipartUpload"
    PUT = "PutObject"
    COPY = "CopyObject"
    GET = "GetObject"
    HEAD = "HeadObject"
    DELETE = "DeleteObject"
    LIST = "ListObjects"
    LIST_MULTIPART = "ListMultipartUploads"
    LIST_PARTS = "ListParts"
    OTHER = "another operation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What a request asks for."""

    operation: Operation
    bucket: str
    key: str
    part: int | None
    upload_id: str | None


_OBJECT: Final = {
    ("POST", frozenset({"uploads"})): Operation.CREATE_MULTIPART,
    ("PUT", frozenset({"partNumber", "uploadId"})): Operation.UPLOAD_PART,
    ("POST", frozenset({"uploadId"})): Operation.COMPLETE,
    ("DELETE", frozenset({"uploadId"})): Operation.ABORT,
    ("GET", frozenset({"uploadId"})): Operation.LIST_PARTS,
    ("PUT", frozenset[str]()): Operation.PUT,
    ("GET", frozenset[str]()): Operation.GET,
    ("GET", frozenset({"partNumber"})): Operation.GET,
    ("HEAD", frozenset[str]()): Operation.HEAD,
    ("HEAD", frozenset({"partNumber"})): Operation.HEAD,
    ("DELETE", frozenset[str]()): Operation.DELETE,
}
_BUCKET: Final = {
    ("GET", frozenset[str]()): Operation.LIST,
    ("GET", frozenset({"uploads"})): Operation.LIST_MULTIPART,
}
_COPIES: Final = {Operation.PUT: Operation.COPY, Operation.UPLOAD_PART: Operation.UPLOAD_PART_COPY}

# Parameters that leave the operation what it is; any other one names a part of the object or bucket, as `tagging` does.
_PARAMETER: Final = re.compile(
    r"x-id|versionId|response-.*|x-amz-.*"
    r"|list-type|prefix|delimiter|marker|max-keys|continuation-token|start-after|fetch-owner|encoding-type"
    r"|max-parts|part-number-marker|max-uploads|key-marker|upload-id-marker",
    re.IGNORECASE,
)


def call_of(method: str, target: str, headers: Mapping[str, str]) -> Call:
    """Tell what is asked for; the names of `headers` are in lower case."""
    path, _, query = target.partition("?")
    bucket, _, key = unquote(path.removeprefix("/")).partition("/")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    telling = (method, frozenset(name for name in asked if not _PARAMETER.fullmatch(name)))
    operation = (_OBJECT if key else _BUCKET if bucket else {}).get(telling, Operation.OTHER)
    if "x-amz-copy-source" in headers:
        operation = _COPIES.get(operation, operation)
    part = asked.get("partNumber", "")
    return Call(
        operation=operation,
        bucket=bucket,
        key=key,
        part=int(part) if part.isdecimal() else None,
        upload_id=asked.get("uploadId"),
    )
