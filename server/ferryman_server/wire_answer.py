"""The head of an answer, and how the body behind it is framed (RFC 9112 §6). What an application gets wrong is told to
it by RuntimeError: fields that would break the message, a body that is not as long as its Content-Length said.

uvicorn looks through each name and each value for itself, which took a tenth of a small request's time. Names are few
and are remembered here; values are looked through all at once.
"""

import functools
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Field: TypeAlias = tuple[bytes, bytes]

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2: token
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5: field-value
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_WITHOUT_CONTENT: Final = (204, 304)


class AnswerHead:
    """A head ready to be sent, and what it promises."""

    __slots__ = ("chunked", "data", "keep_alive", "length")

    def __init__(
        self, status: int, fields: Sequence[Field], *, keep_alive: bool, bodiless: bool, may_chunk: bool
    ) -> None:
        """`bodiless`: no body follows whatever the head says (HEAD). `may_chunk`: the client knows HTTP/1.1."""
        self.keep_alive = keep_alive
        self.length: int | None = None  # bytes of the body; None: its end will be seen, or there is none (HEAD)
        self.chunked = False
        if not _VALUE.fullmatch(b"".join([value for _, value in fields])):
            raise RuntimeError("Invalid HTTP header value.")
        lines = [STATUS_LINE[status]]
        closing = False
        for name, value in fields:
            start, framing = _start(name)
            lines += (start, value, b"\r\n")
            if framing is not None:
                closing = self._heed(framing, value) or closing
        if self.length is None and not self.chunked and not bodiless:
            lines.append(self._frame(status, may_chunk=may_chunk))
        if not self.keep_alive and not closing:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self.data = b"".join(lines)

    def _heed(self, name: bytes, value: bytes) -> bool:
        """Take what the application says about the framing. Returns whether it says that the connection ends."""
        if name == b"content-length" and not self.chunked:
            self.length = int(value)
        elif name == b"transfer-encoding" and value.lower() == b"chunked":
            self.length, self.chunked = None, True
        elif name == b"connection" and b"close" in [token.strip().lower() for token in value.split(b",")]:
            self.keep_alive = False
            return True
        return False

    def _frame(self, status: int, *, may_chunk: bool) -> bytes:
        """Frame a body about which the application said nothing. Returns the field that says so, if it takes one."""
        if status in _WITHOUT_CONTENT:
            self.length = 0
        elif may_chunk:
            self.chunked = True
            return b"transfer-encoding: chunked\r\n"
        else:
            self.keep_alive = False  # the body's end is the connection's end
        return b""


def chunk(body: bytes, *, last: bool) -> bytes:
    """A piece of a chunked body (RFC 9112 §7.1)."""
    data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return data + b"0\r\n\r\n" if last else data


@functools.lru_cache(maxsize=256)
def _start(name: bytes) -> tuple[bytes, bytes | None]:
    """How a field's line starts; and the field's name, if it is about the framing."""
    if not _NAME.fullmatch(name):
        raise RuntimeError("Invalid HTTP header name.")
    lower = name.lower()
    return lower + b": ", lower if lower in _FRAMING else None
