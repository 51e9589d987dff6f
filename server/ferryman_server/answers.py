"""A protocol's reply as an ASGI answer: the least that puts status, fields and a problem document on the wire.

Every request of an upload is answered through here, thousands a second, so it builds the raw fields once and directly.
"""

import functools
import json

from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.model import Reply

_PROBLEM_TYPE = (b"content-type", b"application/problem+json")
_WITHOUT_CONTENT = (204, 304)  # RFC 9110 §8.6: a 204 carries no Content-Length, and a 304's would be another answer's


class Answer:
    """The ASGI callable that sends a reply."""

    def __init__(self, reply: Reply) -> None:
        self._status = reply.status
        self._body = b"" if reply.problem is None else problem_body(reply.problem)
        fields = [(_field_name(name), value.encode("latin-1")) for name, value in reply.headers]
        if reply.problem is not None:
            fields.insert(0, _PROBLEM_TYPE)
        if reply.status not in _WITHOUT_CONTENT:
            fields.insert(0, (b"content-length", b"%d" % len(self._body)))
        self._fields = fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, whole."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._fields})
        await send({"type": "http.response.body", "body": self._body})


def problem_body(problem: problems.Problem) -> bytes:
    """The problem document (RFC 9457) as it is sent: compact JSON in UTF-8."""
    return json.dumps(problems.document(problem), ensure_ascii=False, separators=(",", ":")).encode()


@functools.lru_cache(maxsize=256)
def _field_name(name: str) -> bytes:
    return name.lower().encode("latin-1")
