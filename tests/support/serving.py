"""A real uvicorn server on loopback, in a thread of the test's own process, for any ASGI application."""

import asyncio
import socket
import threading
import time
from types import TracebackType
from typing import Any, Literal, Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

Loop = Literal["asyncio", "uvloop"]


class Serving:
    """A running server. `app` may be exchanged between requests; `close` stops it gracefully and waits for that."""

    def __init__(self, app: ASGIApp, *, http: type[asyncio.Protocol], loop: Loop = "asyncio", **config: Any) -> None:
        self.app = app
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        settings = {
            "interface": "asgi3",
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "ws": "none",
            **config,
        }
        self.server = uvicorn.Server(uvicorn.Config(self._call, http=http, loop=loop, **settings))
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        self._wait_until_started()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server; connections that are being answered end first."""
        self.server.should_exit = True
        self._thread.join(20)
        self._socket.close()
        assert not self._thread.is_alive(), "the server did not stop"

    @property
    def idle(self) -> bool:
        """Whether no connection is open and no request is being answered."""
        state = self.server.server_state
        return not state.connections and not state.tasks

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server took too long to start"
            time.sleep(0.005)


async def answer(send: Send, status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
    """Send a whole answer with its Content-Length."""
    fields = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
