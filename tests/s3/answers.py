"""Answers that the proxy gives itself, as S3 would."""

import http
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from tests.s3.log import Seen

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


def error(seen: Seen, status: int, code: str, headers: Mapping[str, str], *, closes: bool) -> bytes:
    """An error, with its document unless HEAD asked."""
    document = (_DECLARATION + _error(seen, code)).encode()
    head = _head(status, {"Content-Length": str(len(document)), **headers}, closes=closes)
    return head if seen.method == "HEAD" else head + document


def error_inside_200(seen: Seen, code: str, *, closes: bool) -> bytes:
    """Success, some blanks that keep the connection alive, and then an error: Complete and copies may end so."""
    pieces = (_DECLARATION, " " * 5, " " * 5, _error(seen, code), "")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece.encode()), piece.encode()) for piece in pieces)
    return _head(200, {"Transfer-Encoding": "chunked"}, closes=closes) + chunks


def _error(seen: Seen, code: str) -> str:
    told = {"Code": code, "Message": "The proxy said so.", "Resource": f"/{seen.bucket}/{seen.key}", "RequestId": "0"}
    return f"<Error>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in told.items())}</Error>"


def _head(status: int, headers: Mapping[str, str], *, closes: bool) -> bytes:
    fields = {"Server": "tests.s3.proxy", "Content-Type": "application/xml", **headers}
    if closes:
        fields["Connection"] = "close"
    first = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}"
    lines = [first, *(f"{name}: {value}" for name, value in fields.items()), ""]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
