"""A request's body over plain ASGI: for any server that is not ours, and for test clients that call the app directly.

Trailers are not part of ASGI, so there are none here; bytes that a server drops when its client disconnects are lost
before we could see them. Under our own server `open_body` finds the wire's body, which has neither gap.
"""

import asyncio
from typing import cast

from starlette.types import Receive, Scope

from ferryman_server.body import Body, End
from ferryman_server.pouring import Pouring
from ferryman_server.wire_cycle import EXTENSION, Wire


class ReceiveBody(Pouring):
    """The body of one request, fetched by `receive()` in a task of its own while it is poured."""

    def __init__(self, scope: Scope, receive: Receive, *, idle_timeout: float = 60.0) -> None:
        super().__init__(length=_length(scope), idle_timeout=idle_timeout)
        self._receive = receive
        self._room = asyncio.Event()
        self._room.set()
        self._reader: asyncio.Task[None] | None = None

    def _begin(self) -> None:
        if self._reader is None:
            self._reader = self._loop.create_task(self._read())

    def _pause(self) -> None:
        self._room.clear()
        if self._end is not None and self._reader is not None:
            self._reader.cancel()

    def _resume(self) -> None:
        self._room.set()

    async def _ended(self) -> None:
        """Whatever `receive` raised comes out of `pour`."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            if not self._reader.cancelled():
                self._reader.result()

    async def _read(self) -> None:
        try:
            while True:
                await self._room.wait()
                message = await self._receive()
                if message["type"] != "http.request":
                    return
                self.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    self.finish(End.COMPLETE)
                    return
        finally:
            self.finish(End.DISCONNECTED)


def open_body(scope: Scope, receive: Receive) -> Body:
    """The request's body: the wire's own under our server, else one made of `receive`."""
    wire = scope.get("extensions", {}).get(EXTENSION)
    if wire is not None:
        return cast(Wire, wire).body
    return ReceiveBody(scope, receive)


def _length(scope: Scope) -> int | None:
    """Content-Length in bytes; 0 for an HTTP/1 request that announces no body, None when it cannot be known."""
    fields = dict(scope["headers"])
    stated = fields.get(b"content-length", b"").strip()
    if stated.isdigit():
        return int(stated)
    framed = b"transfer-encoding" in fields or not scope.get("http_version", "1.1").startswith("1")
    return None if framed else 0
