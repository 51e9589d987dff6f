"""Every request gets an id, a line in the log and a place in the metrics."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferryman_server import request_log
from ferryman_server.metrics import Metrics

_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds by machines: not worth a line


class Observe:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and write down what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = request_log.begin()
        began, status, sent = time.perf_counter(), 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.count_request(scope["method"], status)
            if scope["path"] not in _QUIET:
                milliseconds = round((time.perf_counter() - began) * 1000, 1)
                request_log.requests.write(
                    scope["method"], scope["path"], status, sent=sent, milliseconds=milliseconds, ids=ids
                )
