"""A stream of events as an answer: sends what its follower takes, and ends with the client or the server.

A browser that has lost the stream comes back by itself and says what it heard last. So whatever goes wrong in the
middle simply ends the answer.
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ferryman_server.event_follower import Follower
from ferryman_server.state.base import StateError
from ferryman_server.wire_cycle import EXTENSION

PIECE: Final = 64 << 10  # bytes handed over at once: so much of a stuck client's stream is in memory, about
LAST_WORDS: Final = 0.5  # seconds that a stopping server waits for a client to take what it has been sent

log = structlog.get_logger("ferryman.events")

_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx: hand on what comes as it comes
}


class EventStream(Response):
    """The answer; without a follower it is one to HEAD."""

    def __init__(self, follower: Follower | None) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["Content-Length"]  # nobody knows it
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request. Raises nothing because of the client or the state."""
        follower = self._follower
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if follower is None:
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._tell_until_gone(follower, scope, receive, send)
        finally:
            if follower is not None:
                follower.close()

    async def _tell_until_gone(self, follower: Follower, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the client leaves, which not every server's `send` tells, or the server stops."""
        telling = asyncio.create_task(_tell(follower, send))
        leaving = asyncio.create_task(_gone(receive))
        stopping = asyncio.create_task(_late(follower))
        tasks = {telling, leaving, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
            elif stopping.done() and EXTENSION in scope.get("extensions", {}):
                scope["extensions"][EXTENSION].abort()  # its client takes nothing: it would never come to its end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(follower: Follower, send: Send) -> None:
    with suppress(OSError):  # ASGI: how `send` says that the client has left
        try:
            async with aclosing(follower.blocks()) as blocks:
                async for block in blocks:
                    for start in range(0, len(block), PIECE):
                        piece = block[start : start + PIECE]
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
        except StateError as failure:
            log.warning("a listener could not be told how things stand, its stream ends", error=str(failure))
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    """Return when the client has left; what it sends meanwhile is of no interest."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _late(follower: Follower) -> None:
    """Return when the stream should have ended some time ago, since the server is stopping."""
    await follower.stopped.wait()
    await asyncio.sleep(LAST_WORDS)
