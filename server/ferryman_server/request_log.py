"""What the log says about requests: an id that all lines of a request carry, and one line when it is answered.

The id, and the id of the upload once it is known, belong to the task that answers the request and to every task that
it starts: :func:`begin`, :func:`bind_upload`. The chain of processors in :mod:`ferryman_server.logs` adds them.

The line of an answered request goes another way where it can: as JSON it is put together here, and written together
with those of the same turn of the event loop. Through the chain, one by one, it would take a quarter of the time that a
small request takes. It looks the same either way.
"""

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import Final

import structlog

from ferryman_server.humane import printable

PIPED: Final = 4096  # bytes that a pipe takes whole (PIPE_BUF): so much is written at once, and no line is torn

_ids: Final[ContextVar[dict[str, str]]] = ContextVar("ferryman_ids")
_log: Final = structlog.get_logger("ferryman.request")


def begin() -> dict[str, str]:
    """Give the request that this task answers an id. Returns what its lines are to carry; see :func:`bind_upload`."""
    ids = {"request_id": f"{random.getrandbits(48):012x}"}  # tells requests apart, and is no secret
    _ids.set(ids)
    return ids


def bind_upload(upload_id: str) -> None:
    """Say which upload this task's request is about."""
    ids = _ids.get(None)
    if ids is not None:
        ids["upload_id"] = upload_id


def bound() -> Mapping[str, str]:
    """What the lines of this task's request are to carry; empty outside of requests."""
    return _ids.get(None) or {}


class RequestLog:
    """Writes the line of each answered request."""

    def __init__(self) -> None:
        self.direct = False  # whether lines are put together here; set by `logs.configure`
        self._lines: list[str] = []
        self._size = 0

    def write(
        self, method: str, path: str, status: int, *, sent: int, milliseconds: float, ids: Mapping[str, str]
    ) -> None:
        """Tell of an answered request. `sent`: bytes of the answer's body; `ids`: what `begin` returned."""
        if not self.direct:
            _log.info("request", method=method, path=path, status=status, sent=sent, ms=milliseconds)
            return
        told = "".join([f', "{name}": "{value}"' for name, value in ids.items()])  # letters and digits, all of them
        self._gather(
            f'{{"timestamp": "{_now()}", "level": "info", "logger": "ferryman.request", "event": "request", '
            f'"method": {_quoted(method)}, "path": {_quoted(printable(path))}, "status": {status}, "sent": {sent}, '
            f'"ms": {milliseconds}{told}}}\n'
        )

    def _gather(self, line: str) -> None:
        if self._size + len(line) > PIPED:
            self._flush()
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(line)
        self._size += len(line)

    def _flush(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return  # written already, as a pipe's worth
        try:
            sys.stderr.write("".join(lines))
        except OSError:
            return  # a full disk or a closed pipe behind the log must not fail a request


requests: Final = RequestLog()


def _now() -> str:
    seconds, fraction = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_moment(seconds)}.{fraction:06}Z"


@lru_cache(maxsize=2)
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
